// The store: what a commit costs, and how long a start takes with a million blocks on ssd.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { openDatabase, type Database } from '../../ts/directory/database.js'
import { Directory } from '../../ts/directory/directory.js'
import { BlockStore } from '../../ts/directory/store.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'
import { perSlotTier } from '../../ts/protocol/tiers.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'

const KEY_BYTES = 32
/** Blocks of one conversation. */
const CHAIN = 64
const FINGERPRINT = 'the model'
const BOUND_MS = 3000
const slotsFor = (blocks: number) => perSlotTier(tier => (tier === 'ssd' ? blocks : 1))
/** Blocks that are put before a commit is waited for. */
const SOME = 10_000

interface Measured {
  readonly blocks: number
  readonly putMs: number
  readonly fileBytes: number
  /** Time until the records are read, unsealed, and in the directory, and the processor's part of it. */
  readonly readMs: number
  readonly readCpuMs: number
  readonly restoreMs: number
  readonly restoreCpuMs: number
}

/** Milliseconds that the work takes, and those of the processor, all threads together. */
async function timed(work: () => unknown): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return { ms: performance.now() - start, cpuMs: (user + system) / 1000 }
}

/** Milliseconds of commits of one small record each, sorted. */
async function commits(database: Database, count: number): Promise<number[]> {
  const table = database.table('bench')
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const { ms } = await timed(() => {
      table.put(randomBytes(KEY_BYTES), randomBytes(320))
      return database.flushed()
    })
    times.push(ms)
  }
  return times.toSorted((a, b) => a - b)
}

/** Puts blocks in chains of 64, as conversations leave them. */
async function fill(database: Database, blocks: number): Promise<void> {
  const directory = new Directory(slotsFor(blocks))
  const store = new BlockStore(database.table('blocks'))
  store.restore(directory, FINGERPRINT)
  let parent = randomBytes(KEY_BYTES).toString('latin1')
  for (let i = 0; i < blocks; i++) {
    if (i % CHAIN === 0) parent = randomBytes(KEY_BYTES).toString('latin1')
    const key = randomBytes(KEY_BYTES).toString('latin1')
    const tokens = Uint32Array.from({ length: BLOCK_TOKENS }, (_, at) => (i * 31 + at * 17) % 150_000)
    const block = directory.obtain(key, parent, i % CHAIN, tokens)
    directory.reserve('ssd')?.become(block, 'present')
    block.lastUse = 1e12 + (i - (i % CHAIN))
    store.put(block)
    parent = key
    if (i % SOME === SOME - 1) await database.flushed()
  }
  await database.flushed()
}

async function measure(blocks: number, dataDir: string): Promise<Measured> {
  const written = openDatabase(dataDir)
  const put = await timed(() => fill(written, blocks))
  await written.close()
  const read = openDatabase(dataDir)
  const walked = await timed(() => {
    for (const record of read.table('blocks').entries()) if (record.value.length === 0) throw new Error('a record does not open')
  })
  await read.close()
  const database = openDatabase(dataDir)
  const restored = await timed(() => {
    const report = new BlockStore(database.table('blocks')).restore(new Directory(slotsFor(blocks)), FINGERPRINT)
    if (report.restored !== blocks) throw new Error(`${report.restored} of ${blocks} blocks came back`)
  })
  await database.close()
  const fileBytes = statSync(join(dataDir, 'store/records.sqlite')).size
  return { blocks, putMs: put.ms, fileBytes, readMs: walked.ms, readCpuMs: walked.cpuMs, restoreMs: restored.ms, restoreCpuMs: restored.cpuMs }
}

async function run({ quick, alone }: BenchContext): Promise<Report> {
  const blocks = quick || !alone ? 100_000 : 1_000_000
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-bench-'))
  try {
    const database = openDatabase(dataDir)
    const times = await commits(database, quick ? 100 : 500)
    await database.close()
    const measured = await measure(blocks, dataDir)
    return report(times, measured)
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function report(times: readonly number[], measured: Measured): Report {
  const { blocks, putMs, fileBytes, readMs, readCpuMs, restoreMs, restoreCpuMs } = measured
  const [median = 0, p99 = 0] = [times[times.length >> 1], times[Math.floor(0.99 * times.length)]]
  const rows = [
    ['a commit of one record, median', `${median.toFixed(2)} ms`],
    ['a commit of one record, p99', `${p99.toFixed(2)} ms`],
    [`${blocks} blocks put and committed`, `${(putMs / 1000).toFixed(2)} s`],
    ['the file, a block', `${(fileBytes / blocks).toFixed(0)} B`],
    ['all records read and unsealed', `${(readMs / 1000).toFixed(2)} s (processor ${(readCpuMs / 1000).toFixed(2)} s)`],
    ['the directory restored', `${(restoreMs / 1000).toFixed(2)} s (processor ${(restoreCpuMs / 1000).toFixed(2)} s)`],
  ]
  const bound = (BOUND_MS * blocks) / 1e6
  return {
    tables: [{ title: `The store, ${blocks} blocks`, columns: ['', ''], rows }],
    plots: [],
    notes: [`The directory is restored in ${(restoreMs / 1000).toFixed(2)} s (bound ${(bound / 1000).toFixed(1)} s): ${restoreMs <= bound ? 'met' : 'not met'}.`],
    data: { ...measured, commitMs: { median, p99 } },
  }
}

export const store: Bench = { name: 'store', about: 'commits, and a start with 100,000 blocks (alone: a million)', run }
