// The repository's own files, as the tidy rules see them.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The repository's root. */
export const ROOT = join(import.meta.dirname, '../../..')

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** One breach of a rule: its place, and the remedy. */
export interface Finding {
  readonly path: string
  /** From 1; 0: the whole file. */
  readonly line: number
  readonly message: string
}

/** Paths of everything that is or could be committed. */
export function committablePaths(): string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' })
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)))
}

/** Reads the files whose path matches. */
export function readSources(matches: RegExp, paths: readonly string[] = committablePaths()): SourceFile[] {
  return paths
    .filter((path) => matches.test(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/** Size of a file in bytes. */
export function sizeOf(path: string): number {
  return statSync(join(ROOT, path)).size
}

/** Findings as lines that an editor can jump to. */
export function describe(findings: readonly Finding[]): string {
  return findings.map(({ path, line, message }) => `${path}:${line}: ${message}`).join('\n')
}

/** Findings for each line that matches, but only from line `from` on. */
export function findLines(file: SourceFile, pattern: RegExp, message: string, from = 1): Finding[] {
  return file.text.split('\n').flatMap((text, index) =>
    index + 1 >= from && pattern.test(text) ? [{ path: file.path, line: index + 1, message }] : [],
  )
}
