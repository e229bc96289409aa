// Texts and dialogues to evaluate with: JSON lines, plain or xz. `{"title", "text"}` or `{"turns": [[role, text], …]}`.

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import type { ReadableStream } from 'node:stream/web'
import xz from 'xz-decompress'
import { ExitError } from '../protocol/errors.js'

export interface Dialogue {
  readonly turns: ReadonlyArray<readonly [role: string, text: string]>
}

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])

/** `wikitext2_valid` of `…/wikitext2_valid.jsonl.xz`. */
export function corpusName(path: string): string {
  return basename(path).replace(/\.jsonl(\.xz)?$/, '')
}

/**
 * The texts of a file, without empty ones.
 * @throws ExitError: 3 if the file cannot be read, 2 if it is not such a file.
 */
export async function readTexts(path: string): Promise<string[]> {
  const texts = (await records(path)).flatMap(({ text }) => (typeof text === 'string' && text !== '' ? [text] : []))
  if (texts.length === 0) throw invalid(path, 'no line has a text')
  return texts
}

/**
 * The dialogues of a file, the longest of those that begin alike.
 * @throws ExitError: 3 if the file cannot be read, 2 if it is not such a file.
 */
export async function readDialogues(path: string): Promise<Dialogue[]> {
  const longest = new Map<string, Dialogue>()
  for (const { turns } of await records(path)) {
    if (!isTurns(turns)) throw invalid(path, 'a line has no turns')
    const first = turns[0]?.[1] ?? ''
    if (turns.length > (longest.get(first)?.turns.length ?? 0)) longest.set(first, { turns })
  }
  return [...longest.values()]
}

function isTurns(value: unknown): value is Dialogue['turns'] {
  const isTurn = (turn: unknown) => Array.isArray(turn) && turn.length === 2 && turn.every(part => typeof part === 'string')
  return Array.isArray(value) && value.length > 0 && value.every(isTurn)
}

async function records(path: string): Promise<Array<Record<string, unknown>>> {
  const lines = (await unpacked(path)).split('\n').filter(line => line !== '')
  try {
    return lines.map(line => JSON.parse(line) as Record<string, unknown>)
  } catch (cause) {
    throw invalid(path, cause instanceof Error ? cause.message : String(cause))
  }
}

async function unpacked(path: string): Promise<string> {
  const bytes = readFile(path)
  if (!bytes.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC)) return bytes.toString('utf8')
  try {
    const source = Readable.toWeb(Readable.from([bytes], { objectMode: false })) as ReadableStream<Uint8Array>
    return await textOf(new xz.XzReadableStream(source as never) as never)
  } catch (cause) {
    throw invalid(path, `the xz stream is damaged: ${String(cause)}`)
  }
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ExitError(3, 'corpus_missing', `${path} cannot be read: ${String(cause)}`, { path }, { cause })
  }
}

function invalid(path: string, sentence: string): ExitError {
  return new ExitError(2, 'invalid_corpus', `${path}: ${sentence}`, { path })
}
