// Traces: when requests came, how long they were, and which blocks they shared. No text.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { ExitError } from '../../protocol/errors.js'

export interface TraceRequest {
  /** Milliseconds since the trace's first request. */
  readonly atMs: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Equal ids at the same place stand for equal tokens. */
  readonly blocks: readonly string[]
}

export interface Trace {
  /** Tokens that one block id stands for. */
  readonly blockTokens: number
  readonly requests: readonly TraceRequest[]
}

const count = z.int().nonnegative()
const time = z.number().nonnegative()

/** A line of `serve --request-log`: blocks of 64 tokens, of prompt and answer. */
const ownLine = z
  .object({ t_ms: time, input_tokens: count, output_tokens: count, block_hashes: z.array(z.string()) })
  .transform((line) => ({
    atMs: line.t_ms,
    inputTokens: line.input_tokens,
    outputTokens: line.output_tokens,
    blocks: line.block_hashes,
  }))

/** A line of a Mooncake trace: blocks of 512 tokens, of the prompt. */
const mooncakeLine = z
  .object({ timestamp: time, input_length: count, output_length: count, hash_ids: z.array(count) })
  .transform((line) => ({
    atMs: line.timestamp,
    inputTokens: line.input_length,
    outputTokens: line.output_length,
    blocks: line.hash_ids.map(String),
  }))

const FORMATS = [
  { name: 'request log', blockTokens: 64, line: ownLine },
  { name: 'Mooncake', blockTokens: 512, line: mooncakeLine },
] as const

type Format = (typeof FORMATS)[number]

/**
 * Reads a JSONL trace; the first line decides the format.
 * @param limit most requests to read.
 * @throws ExitError: 2 for a line that is not of the format, 3 if the file cannot be read.
 */
export async function readTrace(path: string, limit: number): Promise<Trace> {
  const requests: TraceRequest[] = []
  let format: Format | undefined
  let number = 0
  for await (const line of linesOf(path)) {
    number++
    if (line.trim() === '') continue
    if (requests.length === limit) break
    const value = parseLine(line)
    format ??= FORMATS.find((candidate) => candidate.line.safeParse(value).success)
    const parsed = format?.line.safeParse(value)
    if (!format || !parsed?.success) throw wrongLine(path, number, format)
    requests.push(parsed.data)
  }
  if (!format) throw new ExitError(2, 'invalid_trace', `--trace: ${path} holds no request`, { path })
  return { blockTokens: format.blockTokens, requests: fromZero(requests) }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
  } catch (cause) {
    throw new ExitError(3, 'trace_missing', `--trace: ${path} cannot be read: ${String(cause)}`, { path }, { cause })
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function wrongLine(path: string, line: number, format: Format | undefined): ExitError {
  const expected = format?.name ?? FORMATS.map(({ name }) => name).join(' or a ')
  return new ExitError(2, 'invalid_trace', `--trace: line ${line} of ${path} is not a line of a ${expected} trace`, { path, line })
}

function fromZero(requests: readonly TraceRequest[]): TraceRequest[] {
  const start = Math.min(...requests.map(({ atMs }) => atMs))
  return requests.map((request) => ({ ...request, atMs: request.atMs - start })).toSorted((a, b) => a.atMs - b.atMs)
}
