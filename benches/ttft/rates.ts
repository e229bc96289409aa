// The server's own measurements of its transfers and steps, as differences between two looks at /metrics.

import { metricWith } from '../../test/support/cache.js'
import type { TestServer } from '../../test/support/server.js'

export interface Rates {
  /** Bytes a second: dram → hbm, ssd → dram. */
  readonly load: number
  readonly read: number
  /** Milliseconds that steps took. */
  readonly computeMs: number
}

interface Look {
  readonly loadBytes: number
  readonly loadSeconds: number
  readonly readBytes: number
  readonly readSeconds: number
  readonly computeSeconds: number
  readonly stallSeconds: number
}

async function look(server: TestServer): Promise<Look> {
  const of = (name: string, labels = '') => metricWith(server, `attentionstore_${name}`, labels)
  return {
    loadBytes: await of('transfer_bytes_total', 'kind="load"'),
    loadSeconds: await of('transfer_seconds_total', 'kind="load"'),
    readBytes: await of('transfer_bytes_total', 'kind="read"'),
    readSeconds: await of('transfer_seconds_total', 'kind="read"'),
    computeSeconds: await of('compute_seconds_total'),
    stallSeconds: await of('load_stall_seconds_total'),
  }
}

/** Rates of what happens while `work` runs. */
export async function ratesDuring<T>(server: TestServer, work: () => Promise<T>): Promise<{ readonly result: T; readonly rates: Rates }> {
  const before = await look(server)
  const result = await work()
  const after = await look(server)
  const since = (key: keyof Look) => after[key] - before[key]
  return {
    result,
    rates: {
      load: since('loadBytes') / since('loadSeconds'),
      read: since('readBytes') / since('readSeconds'),
      computeMs: 1000 * (since('computeSeconds') - since('stallSeconds')),
    },
  }
}
