// The machine: what it is, and what it can do at most.

import { execFile } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')
const run = promisify(execFile)

export interface MachinePeaks {
  readonly threads: number
  /** f32 fused multiply-adds in registers, GFLOP/s. */
  readonly f32_gflops: number
  /** Sequential memory reads, GB/s. */
  readonly read_gbps: number
}

export function machineName(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
}

/** Measured by benches/machine, which cargo builds at the first call. */
export async function measurePeaks(threads: number): Promise<MachinePeaks> {
  const manifest = join(ROOT, 'benches/machine/Cargo.toml')
  const target = join(ROOT, 'target/machine')
  const args = ['run', '--release', '--quiet', '--locked', '--manifest-path', manifest, '--target-dir', target, '--']
  const { stdout } = await run('cargo', [...args, String(threads)])
  return JSON.parse(stdout) as MachinePeaks
}
