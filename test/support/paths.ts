import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The repository's root. */
export const ROOT = join(import.meta.dirname, '../..')

const folders: string[] = []

/** A fresh folder, removed when the process ends. */
export function temporaryFolder(prefix = 'attentionstore-test-'): string {
  const folder = mkdtempSync(join(tmpdir(), prefix))
  if (folders.length === 0) process.once('exit', () => folders.forEach((path) => rmSync(path, { recursive: true, force: true })))
  folders.push(folder)
  return folder
}
