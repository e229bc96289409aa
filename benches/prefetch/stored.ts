// Conversations on a disk whose reads are limited, and servers that find them there.

import { temporaryFolder } from '../../test/support/paths.js'
import { TestServer } from '../../test/support/server.js'
import type { BenchContext } from '../support/bench.js'
import { settled } from '../support/server.js'
import { playHistory, type History } from '../ttft/history.js'

/** Bytes a second. */
export const READ_LIMIT = 200e6
/** bf16 keys and values of one token in all layers of the default model. */
const KV_BYTES = 2 * 30 * 192 * 2
export const HISTORY_TOKENS = 2400
export const LONG_TOKENS = 4000

export interface Stored {
  readonly home: string
  readonly histories: readonly History[]
  readonly longs: readonly History[]
}

export const AMPLE = ['--hbm-bytes', '512MiB']

/** Milliseconds to read the history of a conversation at the limit. */
export const readMs = (tokens: number) => (1000 * tokens * KV_BYTES) / READ_LIMIT

export async function start(context: BenchContext, home: string, args: readonly string[]): Promise<TestServer> {
  const tiers = ['--dram-bytes', '768MiB', '--ssd-bytes', '2GiB', '--ssd-read-limit', `${READ_LIMIT}B/s`]
  const server = await TestServer.start({ args: ['--model', context.modelPath, '--threads', String(context.threads), ...tiers, ...args], home })
  await settled(server)
  return server
}

export async function store(context: BenchContext, count: number, longCount: number): Promise<Stored> {
  const home = temporaryFolder()
  const server = await start(context, home, AMPLE)
  const played = async (tokens: number, starts: readonly number[]) => {
    const histories: History[] = []
    for (const [i, from] of starts.entries()) {
      context.progress(`history ${i + 1} of ${starts.length}, ${tokens} tokens`)
      histories.push(await playHistory(server, tokens, from))
    }
    return histories
  }
  const histories = await played(HISTORY_TOKENS, Array.from({ length: count }, (_, i) => 1000 * (i + 1)))
  const longs = await played(LONG_TOKENS, Array.from({ length: longCount }, (_, i) => 500_000 + 100_000 * i))
  await server.stop()
  return { home, histories, longs }
}
