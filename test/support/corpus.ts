// Corpora that may lie beside the repository; nothing of them is ever committed.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './paths.js'

/** `../shared/data/corpus/NAME.jsonl.xz`, or null where it is not. */
export function corpusFile(name: string): string | null {
  const path = join(ROOT, '../shared/data/corpus', `${name}.jsonl.xz`)
  return existsSync(path) ? path : null
}

/** `../shared/data/traces/NAME`, or null where it is not. */
export function traceFile(name: string): string | null {
  const path = join(ROOT, '../shared/data/traces', name)
  return existsSync(path) ? path : null
}

export interface Dialogue {
  readonly turns: ReadonlyArray<readonly [role: string, text: string]>
}

/** The first `limit` dialogues of a corpus; empty where it, or xz, is missing. */
export function readDialogues(name: string, limit: number): Dialogue[] {
  const path = corpusFile(name)
  if (path === null) return []
  const text = execFileSync('xz', ['-dc', path], { encoding: 'utf8', maxBuffer: 1 << 28 })
  return text
    .split('\n')
    .slice(0, limit)
    .map((line) => JSON.parse(line) as Dialogue)
}
