// The socket, and what it brings: the whole state at every connect, then samples, the latest wins.

import type { ClientToServerEvents, Sample, ServerInfo, ServerToClientEvents } from 'attentionstore/protocol'
import { io, type Socket } from 'socket.io-client'
import { onScopeDispose, shallowRef, type ShallowRef } from 'vue'
import { SampleHistory } from '../history/history.js'

export type ConnectionStatus = 'connecting' | 'live' | 'lost'

/** What the panels read. `history` is filled before `sample` changes, so watching `sample` is enough. */
export interface Live {
  readonly status: Readonly<ShallowRef<ConnectionStatus>>
  readonly info: Readonly<ShallowRef<ServerInfo | null>>
  readonly sample: Readonly<ShallowRef<Sample | null>>
  readonly history: SampleHistory
  reconnect(): void
}

export function useConnection(): Live {
  const status = shallowRef<ConnectionStatus>('connecting')
  const info = shallowRef<ServerInfo | null>(null)
  const sample = shallowRef<Sample | null>(null)
  const history = new SampleHistory()
  const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io({ reconnectionDelayMax: 5000 })

  const take = (next: Sample) => {
    history.push(next)
    sample.value = next
  }
  socket.on('snapshot', (snapshot) => {
    info.value = snapshot.info
    take(snapshot.sample)
    status.value = 'live'
  })
  socket.on('sample', take)
  socket.on('connect', () => socket.emit('subscribe', ['overview']))
  socket.on('disconnect', () => {
    status.value = 'lost'
  })
  socket.on('connect_error', () => {
    status.value = 'lost'
  })
  onScopeDispose(() => socket.disconnect())

  return { status, info, sample, history, reconnect: () => socket.disconnect().connect() }
}
