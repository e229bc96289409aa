// The native benchmark, `attentionstore-bench`: run with its progress passed on, its JSON read back.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = join(import.meta.dirname, '../..')

export interface NativeMeasurement {
  readonly name: string
  readonly unit: string
  /** A ceiling's best round, anything else's median. */
  readonly value: number
  readonly low: number
  readonly high: number
  readonly samples: readonly number[]
  readonly is_ceiling: boolean
  readonly limit: { readonly what: string; readonly value: number } | null
  /** Share of the limit that was reached; 1 is the limit, whatever the unit. */
  readonly reached: number | null
}

export interface NativeResult {
  readonly machine: {
    readonly cpu: string
    readonly processors: number
    readonly memory_bytes: number
    readonly disk: string
    readonly devices: readonly string[]
  }
  readonly measurements: readonly NativeMeasurement[]
  readonly skipped: ReadonlyArray<{ readonly name: string; readonly reason: string }>
}

function binary(): string {
  const path = join(process.env['CARGO_TARGET_DIR'] ?? join(ROOT, 'target'), 'release/attentionstore-bench')
  if (existsSync(path)) return path
  throw new Error(`${path} is not built: cargo build --release -p attentionstore-bench`)
}

/** Runs it to its end; each line that it says while it measures goes to `progress`. */
export async function runNative(args: readonly string[], progress: (line: string) => void): Promise<NativeResult> {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-bench-'))
  try {
    const json = join(folder, 'result.json')
    const child = spawn(binary(), [...args, '--json', json], { stdio: ['ignore', 'ignore', 'pipe'] })
    const lines: string[] = []
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line)
      progress(line)
    })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`attentionstore-bench ended with ${code}: ${lines.at(-1) ?? 'it said nothing'}`)
    return JSON.parse(readFileSync(json, 'utf8')) as NativeResult
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
