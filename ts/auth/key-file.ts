// Files of keys: one JSON line a key, `{id, name, tenant, sha256, created}`. The key itself is in none of them. Empty
// lines count for nothing, so that a removed line can be blanked where it stands.

import { appendFileSync, closeSync, existsSync, fstatSync, openSync, readFileSync, writeSync } from 'node:fs'
import { z } from 'zod'
import { AttentionStoreError } from '../protocol/errors.js'
import { TENANT_NAME } from '../protocol/schemas/conversations.js'

/** Every request is compared with every key, so there is a most. */
export const MAX_KEYS = 4096
const MAX_FILE_BYTES = 4 * 2 ** 20

export const KEY_NAME = /^[^\p{C}]{1,64}$/u

const KeyLine = z.object({
  id: z.string().regex(/^[\w.:-]{1,64}$/),
  name: z.string().regex(KEY_NAME),
  tenant: z.string().regex(TENANT_NAME),
  /** SHA-256 of the key, 64 hex digits. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** ISO time. */
  created: z.string().max(64),
})

export type KeyRecord = z.output<typeof KeyLine>

/** A file of keys that cannot be used. Its message names the line and the field, never what stands there. */
export class KeyFileError extends AttentionStoreError {
  override readonly name = 'KeyFileError'
}

/** @throws KeyFileError `key_file_unreadable` or `key_file_damaged`. */
export function readKeyFile(path: string): readonly KeyRecord[] {
  return parseKeys(readText(path), path)
}

/**
 * Appends a line. The file is made with mode 0600 if need be; one write with O_APPEND, so that keys that are added at
 * the same time all arrive, and whole.
 * @throws KeyFileError as `readKeyFile`, if the file is damaged already or full.
 */
export function appendKey(path: string, record: KeyRecord): void {
  const before = existsSync(path) ? readText(path) : ''
  if (parseKeys(before, path).length >= MAX_KEYS) throw damaged(path, null, `it has ${MAX_KEYS} keys, which is the most`)
  const separator = before === '' || before.endsWith('\n') ? '' : '\n'
  try {
    appendFileSync(path, `${separator}${JSON.stringify(record)}\n`, { mode: 0o600, flush: true })
  } catch (cause) {
    throw unreadable(path, 'written', cause)
  }
}

/**
 * Blanks the line of the key with this id; null: there is none. In place, because a rewritten file would lose a key
 * that is added meanwhile.
 * @throws KeyFileError as `readKeyFile`.
 */
export function removeKey(path: string, id: string): KeyRecord | null {
  const text = readText(path)
  const removed = parseKeys(text, path).find((record) => record.id === id)
  if (removed === undefined) return null
  const lines = text.split('\n')
  const index = lines.findIndex((line) => line.trim() !== '' && parseLine(line, path, 0).id === id)
  const offset = Buffer.byteLength(lines.slice(0, index).map((line) => `${line}\n`).join(''))
  blank(path, offset, Buffer.byteLength(lines[index] ?? ''))
  return removed
}

function blank(path: string, offset: number, length: number): void {
  try {
    const file = openSync(path, 'r+')
    try {
      writeSync(file, Buffer.alloc(length, ' '), 0, length, offset)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unreadable(path, 'written', cause)
  }
}

/** As far as the bound goes; a pipe or a device has no end. */
function readText(path: string): string {
  try {
    const file = openSync(path, 'r')
    try {
      if (!fstatSync(file).isFile()) throw damaged(path, null, 'it is not a file')
      if (fstatSync(file).size > MAX_FILE_BYTES) throw damaged(path, null, `it is larger than ${MAX_FILE_BYTES} bytes`)
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    if (cause instanceof KeyFileError) throw cause
    if (cause instanceof TypeError) throw damaged(path, null, 'it is not UTF-8')
    throw unreadable(path, 'read', cause)
  }
}

function parseKeys(text: string, path: string): readonly KeyRecord[] {
  const records: KeyRecord[] = []
  const ids = new Set<string>()
  const hashes = new Set<string>()
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return
    const record = parseLine(line, path, index + 1)
    if (ids.has(record.id)) throw damaged(path, index + 1, 'id: another key has it')
    if (hashes.has(record.sha256)) throw damaged(path, index + 1, 'sha256: it is the same key as another one')
    ids.add(record.id)
    hashes.add(record.sha256)
    records.push(record)
  })
  if (records.length > MAX_KEYS) throw damaged(path, null, `it has more than ${MAX_KEYS} keys`)
  return records
}

function parseLine(line: string, path: string, number: number): KeyRecord {
  const parsed = KeyLine.safeParse(jsonOf(line, path, number))
  if (parsed.success) return parsed.data
  const field = parsed.error.issues[0]?.path.map(String).join('.') ?? ''
  throw damaged(path, number, field === '' ? 'it is not an object with id, name, tenant, sha256 and created' : `${field}: missing or wrong`)
}

function jsonOf(line: string, path: string, number: number): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw damaged(path, number, 'it is not JSON')
  }
}

function damaged(path: string, line: number | null, reason: string): KeyFileError {
  const place = line === null ? path : `${path}: line ${line}`
  return new KeyFileError('key_file_damaged', `${place}: ${reason}`, { path, line })
}

function unreadable(path: string, verb: 'read' | 'written', cause: unknown): KeyFileError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause)
  return new KeyFileError('key_file_unreadable', `${path} cannot be ${verb}: ${code}`, { path }, { cause })
}
