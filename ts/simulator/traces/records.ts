// The records of a trace file, one by one: lines of JSON, lines of CSV, or files of JSON in a tar archive.

import { extract } from 'tar-stream'
import { ExitError } from '../../protocol/errors.js'
import { invalidTrace } from './errors.js'

export interface TraceRecord {
  /** Parsed JSON, or the text of a line that is not JSON. */
  readonly value: unknown
  /** `line 12` or the name of a file in the archive. */
  readonly place: string
}

/** Longest line, and largest file in an archive. */
const MAX_RECORD_BYTES = 256 * 2 ** 20

const TAR_MAGIC_AT = 257
const TAR_BLOCK = 512

/**
 * @throws ExitError with exit code 2, naming file and place, for a record that is too long or an archive that is damaged.
 */
export async function* recordsOf(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<TraceRecord> {
  const pieces = bytes[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < TAR_BLOCK) {
    const next = await pieces.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  const whole = continued(head, pieces)
  const isTar = head.toString('latin1', TAR_MAGIC_AT, TAR_MAGIC_AT + 5) === 'ustar'
  yield* isTar ? archived(path, whole) : lines(path, whole)
}

async function* continued(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

async function* lines(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<TraceRecord> {
  let rest: Buffer[] = []
  let waiting = 0
  let number = 0
  const record = (line: Buffer): TraceRecord => ({ value: parsed(line.toString()), place: `line ${number}` })
  for await (const piece of bytes) {
    let from = 0
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
      number++
      yield record(Buffer.concat([...rest, piece.subarray(from, end)]))
      rest = []
      waiting = 0
      from = end + 1
    }
    waiting += piece.length - from
    if (waiting > MAX_RECORD_BYTES) throw invalidTrace(path, `line ${number + 1}`, 'the line is longer than 256 MiB')
    if (from < piece.length) rest.push(Buffer.from(piece.subarray(from)))
  }
  number++
  if (waiting > 0) yield record(Buffer.concat(rest))
}

async function* archived(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<TraceRecord> {
  const unpack = extract()
  const feeding = feed(unpack, bytes)
  try {
    for await (const entry of unpack) {
      const { name, type, size } = entry.header
      if ((size ?? 0) > MAX_RECORD_BYTES) throw invalidTrace(path, name, 'the file is larger than 256 MiB')
      const pieces: Buffer[] = []
      for await (const piece of entry) pieces.push(piece as Buffer)
      if (type === 'file' && name.endsWith('.json')) yield { value: parsed(Buffer.concat(pieces).toString()), place: name }
    }
    await feeding
  } catch (cause) {
    if (cause instanceof ExitError) throw cause
    throw invalidTrace(path, '', `the archive is damaged: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

/** Writes `bytes` into the unpacker at its pace; an error of the source becomes one of the unpacker. */
async function feed(unpack: ReturnType<typeof extract>, bytes: AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const piece of bytes) {
      if (!unpack.write(piece)) await new Promise<void>((resolve) => unpack.once('drain', resolve))
    }
    unpack.end(undefined)
  } catch (error) {
    unpack.destroy(error as Error)
  }
}

function parsed(text: string): unknown {
  const trimmed = text.trim()
  try {
    return JSON.parse(trimmed)
  } catch {
    return trimmed
  }
}
