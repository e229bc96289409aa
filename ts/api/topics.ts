// What the dashboard's sockets subscribe to: a room a topic, computed only while somebody is in it.

import type { Server, Socket } from 'socket.io'
import type { ClientToServerEvents, ServerToClientEvents, Topic } from '../protocol/events.js'
import type { Telemetry } from '../telemetry/telemetry.js'

export type PageServer = Server<ClientToServerEvents, ServerToClientEvents>
export type PageSocket = Socket<ClientToServerEvents, ServerToClientEvents>

interface Audience {
  /** The topic's room. Volatile: what a slow socket cannot take now is dropped, the next one replaces it. */
  room(): ReturnType<PageServer['to']>
}

/** Begins to send a topic to its room; the returned function ends that. */
type Publisher = (telemetry: Telemetry, audience: Audience) => () => void

const PUBLISHERS = {
  overview: (telemetry, { room }) => telemetry.listen((sample) => room().volatile.emit('sample', sample)),
} satisfies Partial<Record<Topic, Publisher>>

const TOPICS = Object.keys(PUBLISHERS) as ReadonlyArray<keyof typeof PUBLISHERS>

/** The socket is in the rooms of these topics and no others. What a client sends is anything. */
export function subscribe(socket: PageSocket, topics: unknown): void {
  const wanted = new Set<unknown>(Array.isArray(topics) ? topics : [])
  for (const topic of TOPICS) {
    if (wanted.has(topic)) void socket.join(topic)
    else void socket.leave(topic)
  }
}

/**
 * Publishes each topic from when the first socket enters its room until the last one has left it. `beforeSending` turns
 * out who may no longer listen. The returned function ends all.
 */
export function publishWhileWatched(io: PageServer, telemetry: Telemetry, beforeSending: () => void): () => void {
  const running = new Map<string, () => void>()
  const stop = (topic: string): void => {
    running.get(topic)?.()
    running.delete(topic)
  }
  const { adapter } = io.of('/')
  adapter.on('create-room', (name: string) => {
    const topic = TOPICS.find((known) => known === name)
    if (topic === undefined) return
    const room = (): ReturnType<PageServer['to']> => {
      beforeSending()
      return io.to(topic)
    }
    running.set(topic, PUBLISHERS[topic](telemetry, { room }))
  })
  adapter.on('delete-room', stop)
  return () => [...running.keys()].forEach(stop)
}
