// Reads a trace of any known format; the first record decides which.

import { statSync } from 'node:fs'
import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { seededRandom } from '../random.js'
import { agents } from './agents.js'
import { azure } from './azure.js'
import { unpackedBytes } from './bytes.js'
import { invalidTrace, missingTrace } from './errors.js'
import type { ReadContext, TraceFormat } from './format.js'
import { BlockIds } from './ids.js'
import { mooncake } from './mooncake.js'
import { recordsOf } from './records.js'
import { requestLog } from './request-log.js'
import { sharegpt } from './sharegpt.js'
import type { Beginning, Trace, TraceRequest } from './trace.js'

const FORMATS: readonly TraceFormat[] = [mooncake, requestLog, sharegpt, agents, azure]

/** Most requests, and most block ids of them all together: what is larger is refused, not swallowed. */
const MAX_REQUESTS = 20_000_000
const MAX_ACCESSES = 500_000_000

export interface ReadOptions {
  /** Of the arrival times that a format without times is given. @default 1 */
  readonly seed?: number
  /** Told the share of the file that has been read, 0 … 1. */
  readonly onProgress?: (share: number) => void
}

/**
 * Reads `path`, plain or xz, lines or a tar archive.
 * @throws ExitError: 3 if it cannot be read; 2, naming file and place, if it is damaged, of no known format, mixed, empty
 * or too large.
 */
export async function readTrace(path: string, { seed = 1, onProgress = () => {} }: ReadOptions = {}): Promise<Trace> {
  const size = sizeOf(path)
  const ids = new BlockIds()
  const beginnings = new Map<number, Beginning>()
  let machine: HardwareProfile | null = null
  const onMachine = (found: HardwareProfile): void => void (machine = found)
  const context: ReadContext = { ids, shared: ids.scope(), beginnings, onMachine, random: seededRandom(seed) }
  const requests: TraceRequest[] = []
  let reader: OpenFormat | null = null
  let accesses = 0
  for await (const { value, place } of recordsOf(path, unpackedBytes(path, (read) => onProgress(read / size)))) {
    if (value === '') continue
    const known: OpenFormat | null = reader ?? formatOf(value, context)
    const found = known?.read(value) ?? null
    if (!known || !found) throw invalidTrace(path, place, `not a record of ${namesOf(reader)}`)
    reader = known
    for (const request of found) accesses += request.blocks.length
    requests.push(...found)
    if (requests.length > MAX_REQUESTS || accesses > MAX_ACCESSES) throw invalidTrace(path, place, 'the trace is too large')
  }
  if (!reader || requests.length === 0) throw invalidTrace(path, '', 'it holds no request')
  const { name, blockTokens } = reader.format
  return { format: name, blockTokens, uniqueBlocks: ids.count, beginnings, machine, requests: inOrder(requests) }
}

interface OpenFormat {
  readonly format: TraceFormat
  read(value: unknown): readonly TraceRequest[] | null
}

/** A format is tried on a context of its own: what did not match must leave no ids behind. */
function formatOf(value: unknown, context: ReadContext): OpenFormat | null {
  const format = FORMATS.find((candidate) => {
    const ids = new BlockIds()
    return candidate.open({ ids, shared: ids.scope(), beginnings: new Map(), onMachine: () => {}, random: () => 0 })(value) !== null
  })
  return format ? { format, read: format.open(context) } : null
}

function namesOf(reader: OpenFormat | null): string {
  return reader ? `the format ${reader.format.name}, with which the file begins` : `any known format (${FORMATS.map(({ name }) => name).join(', ')})`
}

function sizeOf(path: string): number {
  try {
    return Math.max(1, statSync(path).size)
  } catch (cause) {
    throw missingTrace(path, cause)
  }
}

/** By arrival, from 0; what arrives together stays in the order of the file. */
function inOrder(requests: readonly TraceRequest[]): TraceRequest[] {
  const sorted = requests.toSorted((a, b) => a.atMs - b.atMs)
  const start = sorted[0]?.atMs ?? 0
  return sorted.map((request) => ({ ...request, atMs: request.atMs - start }))
}
