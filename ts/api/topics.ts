// What one socket of the dashboard is subscribed to. Topics are computed once for all sockets, and only while one listens.

import type { Socket } from 'socket.io'
import type { ClientToServerEvents, ServerToClientEvents, Topic } from '../protocol/events.js'
import type { Telemetry } from '../telemetry/telemetry.js'

export type PageSocket = Pick<Socket<ClientToServerEvents, ServerToClientEvents>, 'emit'>

/** A socket, and whether it may and can take something now: what a slow one cannot take is dropped, the next replaces it. */
export interface Listener {
  readonly socket: PageSocket
  isReady(): boolean
}

/** Begins to send a topic; the returned function ends that. */
type Publisher = (telemetry: Telemetry, listener: Listener) => () => void

const PUBLISHERS: Readonly<Record<Topic, Publisher>> = {
  overview: (telemetry, { socket, isReady }) => telemetry.listen((sample) => isReady() && socket.emit('sample', sample)),
  requests: (telemetry, { socket, isReady }) =>
    telemetry.records.follow({ isReady, take: (batch) => void socket.emit('requests', batch) }),
  map: (telemetry, { socket, isReady }) => telemetry.maps.listenFromNow((map) => isReady() && socket.emit('map', map)),
  'what-if': (telemetry, { socket, isReady }) =>
    telemetry.whatIfs.listenFromNow((whatIf) => isReady() && socket.emit('what-if', whatIf)),
}

const TOPICS = Object.keys(PUBLISHERS) as readonly Topic[]

export class Subscriptions {
  readonly #telemetry: Telemetry
  readonly #listener: Listener
  readonly #running = new Map<Topic, () => void>()

  constructor(telemetry: Telemetry, listener: Listener) {
    this.#telemetry = telemetry
    this.#listener = listener
  }

  /** To these topics and no others. What a client sends is anything; unknown topics are ignored. */
  replace(topics: unknown): void {
    const wanted = new Set<unknown>(Array.isArray(topics) ? topics : [])
    for (const topic of TOPICS) {
      if (!wanted.has(topic)) this.#stop(topic)
      else if (!this.#running.has(topic)) this.#running.set(topic, PUBLISHERS[topic](this.#telemetry, this.#listener))
    }
  }

  close(): void {
    for (const topic of TOPICS) this.#stop(topic)
  }

  #stop(topic: Topic): void {
    this.#running.get(topic)?.()
    this.#running.delete(topic)
  }
}
