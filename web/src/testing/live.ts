// The connection for tests: what the server says is said by the test.

import type { Sample, ServerInfo, ServerToClientEvents } from 'attentionstore/protocol'
import { shallowRef, type ShallowRef } from 'vue'
import type { ConnectionStatus, Live, PageTopic } from '../connection/use-connection.js'
import { SampleHistory } from '../history/history.js'

export interface FakeLive extends Live {
  readonly status: ShallowRef<ConnectionStatus>
  readonly info: ShallowRef<ServerInfo | null>
  readonly sample: ShallowRef<Sample | null>
  /** Sends an event of a topic to its listeners; returns their number. */
  bring<T extends PageTopic>(topic: T, ...what: Parameters<ServerToClientEvents[T]>): number
}

export function fakeLive(): FakeLive {
  const handlers = new Map<PageTopic, Set<(...what: never[]) => void>>()
  const of = (topic: PageTopic) => handlers.get(topic) ?? handlers.set(topic, new Set()).get(topic) ?? new Set()
  return {
    status: shallowRef<ConnectionStatus>('connecting'),
    info: shallowRef<ServerInfo | null>(null),
    sample: shallowRef<Sample | null>(null),
    history: new SampleHistory(),
    listen(topic, handler) {
      of(topic).add(handler)
      return () => of(topic).delete(handler)
    },
    bring(topic, ...what) {
      const listening = of(topic)
      for (const handle of listening) handle(...(what as unknown as never[]))
      return listening.size
    },
    connect: () => {},
    disconnect: () => {},
  }
}

/** The part of a server's description that tells one start from another. */
export const infoOf = (startedAtMs: number): ServerInfo => ({
  version: '0',
  models: [],
  engine: 'simulated',
  device: '',
  maxModelLen: 0,
  modelContext: 0,
  layers: 0,
  blockTokens: 64,
  blockBytes: 0,
  maxBatchTokens: 0,
  policy: 'lru',
  ioEngine: 'none',
  reuse: true,
  startedAtMs,
  ttftEstimate: '',
})
