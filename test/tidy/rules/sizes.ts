// Files stay small enough to be read at once. A file that is too long already may only get shorter.

import type { Finding, SourceFile } from './tree.js'

/** Most lines of a source file. */
export const MAX_LINES = 500
/** Most bytes of any committed file. */
export const MAX_BYTES = 1_500_000

const countLines = (text: string) => text.split('\n').length - (text.endsWith('\n') ? 1 : 0)

/** `ratchet`: path → lines it had when the rule came. */
export function lengthFindings(files: readonly SourceFile[], ratchet: Readonly<Record<string, number>>): Finding[] {
  const lengths = new Map(files.map(({ path, text }) => [path, countLines(text)]))
  const tooLong = [...lengths].flatMap(([path, lines]) => {
    const limit = Math.max(MAX_LINES, ratchet[path] ?? 0)
    return lines > limit ? [{ path, line: lines, message: `over ${limit} lines: split it, one concern a file` }] : []
  })
  const stale = Object.entries(ratchet).flatMap(([path, allowed]) => {
    const lines = lengths.get(path) ?? 0
    const message = `has ${lines} lines now: lower its number in test/tidy/long-files.json (or take it out)`
    return lines < allowed ? [{ path, line: 0, message }] : []
  })
  return [...tooLong, ...stale]
}

export function blobFindings(sizes: ReadonlyMap<string, number>): Finding[] {
  return [...sizes].flatMap(([path, bytes]) =>
    bytes > MAX_BYTES ? [{ path, line: 0, message: `${bytes} bytes: nothing over ${MAX_BYTES} is committed` }] : [],
  )
}
