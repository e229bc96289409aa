// A trace file's bytes: plain or xz, told apart by content.

import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import xz from 'xz-decompress'
import { ExitError } from '../../protocol/errors.js'
import { invalidTrace, missingTrace } from './errors.js'

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])

/** Most bytes that a file may unpack to: a small archive must not fill the machine. */
const MAX_BYTES = 16 * 2 ** 30

/**
 * The unpacked bytes of `path`, piece by piece.
 * @param onRead told the bytes read from the file so far.
 * @throws ExitError: 3 if the file cannot be read, 2 if it is damaged or unpacks to more than 16 GiB.
 */
export async function* unpackedBytes(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const raw = fileBytes(path, onRead)
  const first = await raw.next()
  if (first.done) return
  const whole = rejoined(first.value, raw)
  let total = 0
  for await (const piece of first.value.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC) ? unxz(path, whole) : whole) {
    total += piece.length
    if (total > MAX_BYTES) throw invalidTrace(path, '', 'it unpacks to more than 16 GiB')
    yield piece
  }
}

async function* fileBytes(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer, undefined> {
  let read = 0
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 18 })) {
      const bytes = piece as Buffer
      read += bytes.length
      onRead(read)
      yield bytes
    }
  } catch (cause) {
    throw missingTrace(path, cause)
  }
  return undefined
}

async function* rejoined(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* rest
}

async function* unxz(path: string, packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.toWeb(Readable.from(packed, { objectMode: false })) as ReadableStream<Uint8Array>
  const reader = new xz.XzReadableStream(source as never).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      // The library reuses its output buffer.
      yield Buffer.from(value)
    }
  } catch (cause) {
    if (cause instanceof ExitError) throw cause
    throw invalidTrace(path, '', `the xz stream is damaged: ${cause instanceof Error ? cause.message : String(cause)}`)
  } finally {
    await reader.cancel().catch(() => {})
  }
}
