// The socket, and what it brings: the whole state at every connect, then what was subscribed to, the latest wins.

import type { ClientToServerEvents, Sample, ServerInfo, ServerToClientEvents } from 'attentionstore/protocol'
import { io, type Socket } from 'socket.io-client'
import { onScopeDispose, shallowRef, type InjectionKey, type ShallowRef } from 'vue'
import { SampleHistory } from '../history/history.js'
import { Topics } from './topics.js'

export type ConnectionStatus = 'connecting' | 'live' | 'lost'

/** Topics that single pages look at; samples come always. */
export type PageTopic = 'requests' | 'map' | 'what-if'

/** The live data that the pages read. `history` is filled before `sample` changes, so watching `sample` is enough. */
export interface Live {
  readonly status: Readonly<ShallowRef<ConnectionStatus>>
  readonly info: Readonly<ShallowRef<ServerInfo | null>>
  readonly sample: Readonly<ShallowRef<Sample | null>>
  readonly history: SampleHistory
  /** Asks for a topic and hands on what it brings, until the returned function is called. */
  listen<T extends PageTopic>(topic: T, handler: ServerToClientEvents[T]): () => void
  /** Also: tries again at once. */
  connect(): void
  disconnect(): void
}

export const LIVE: InjectionKey<Live> = Symbol('live')

type PageSocket = Socket<ServerToClientEvents, ClientToServerEvents>

/** Not connected at first. @param onRefused A refused socket gives no reason: this callback may ask for it. */
export function useConnection(onRefused: () => void): Live {
  const status = shallowRef<ConnectionStatus>('connecting')
  const info = shallowRef<ServerInfo | null>(null)
  const sample = shallowRef<Sample | null>(null)
  const history = new SampleHistory()
  const socket: PageSocket = io({ autoConnect: false, reconnectionDelayMax: 5000 })
  const topics = new Topics((list) => {
    if (socket.connected) socket.emit('subscribe', list)
  })
  topics.open('overview')

  socket.on('connect', () => socket.emit('subscribe', topics.list))
  socket.on('snapshot', (snapshot) => {
    info.value = snapshot.info
    history.restore(snapshot.history, snapshot.sample)
    sample.value = snapshot.sample
    status.value = 'live'
  })
  socket.on('sample', (next) => {
    history.push(next)
    sample.value = next
  })
  socket.on('disconnect', () => {
    status.value = 'lost'
  })
  socket.on('connect_error', () => {
    status.value = 'lost'
    onRefused()
  })
  onScopeDispose(() => socket.disconnect())

  return {
    status,
    info,
    sample,
    history,
    listen: listener(socket, topics),
    connect: () => socket.disconnect().connect(),
    disconnect: () => socket.disconnect(),
  }
}

type Handlers = { readonly [T in PageTopic]: Set<ServerToClientEvents[T]> }

function listener(socket: PageSocket, topics: Topics): Live['listen'] {
  const handlers: Handlers = { requests: new Set(), map: new Set(), 'what-if': new Set() }
  socket.on('requests', (batch) => handlers.requests.forEach((handle) => handle(batch)))
  socket.on('map', (map) => handlers.map.forEach((handle) => handle(map)))
  socket.on('what-if', (whatIf) => handlers['what-if'].forEach((handle) => handle(whatIf)))
  return (topic, handler) => {
    const listening: Handlers[typeof topic] = handlers[topic]
    listening.add(handler)
    const close = topics.open(topic)
    return () => {
      close()
      listening.delete(handler)
    }
  }
}
