// Tests wait for events and assert on results; time belongs to benches/.

import { findLines, type Finding, type SourceFile } from './tree.js'

interface Ban {
  readonly pattern: RegExp
  readonly message: string
}

const TS_BANS: readonly Ban[] = [
  {
    pattern: /timers\/promises|setTimeout\((resolve|r|done|ok)\b|Atomics\.wait\b/,
    message: 'no sleeps in tests: wait for the event, the log line or the reply that you expect',
  },
  {
    pattern: /\bDate\.now\(|\bperformance\.now\(|\bprocess\.hrtime\b|\bnew Date\(\)/,
    message: 'no wall clock in tests: inject a clock, or measure it in benches/',
  },
]

const RUST_BANS: readonly Ban[] = [
  {
    pattern: /\bthread::sleep\b|\bsleep\(Duration/,
    message: 'no sleeps in tests: wait on a channel, a barrier or a condition variable',
  },
  {
    // `now()` alone may be the origin of an injected clock or a file's date; its difference to another time is measuring.
    pattern: /\.elapsed\(\)|\b(Instant|SystemTime)::now\(\)\s*\.duration_since|\bInstant::now\(\)\s*[-<>.]|[-<>]\s*Instant::now\(\)/,
    message: 'no wall clock in tests: inject a clock, or measure it in benches/',
  },
]

/** First line of a Rust file's test code, or null: a file under tests/ is all of it. */
export function rustTestStart(file: SourceFile): number | null {
  if (/(^|\/)tests\/|(^|\/|_)tests?\.rs$/.test(file.path)) return 1
  const line = file.text.split('\n').findIndex((text) => /^\s*#\[cfg\((all\()?test\b/.test(text))
  return line === -1 ? null : line + 1
}

const isTsTest = (path: string) => /\.test\.ts$|^test\//.test(path) && path.endsWith('.ts')

/** `allowed`: path → reason, for files that are about time itself. */
export function clockFindings(files: readonly SourceFile[], allowed: Readonly<Record<string, string>>): Finding[] {
  return files.flatMap((file) => {
    if (file.path in allowed || file.path.startsWith('benches/')) return []
    if (isTsTest(file.path)) return TS_BANS.flatMap((ban) => findLines(file, ban.pattern, ban.message))
    const from = file.path.endsWith('.rs') ? rustTestStart(file) : null
    if (from === null) return []
    return RUST_BANS.flatMap((ban) => findLines(file, ban.pattern, ban.message, from))
  })
}
