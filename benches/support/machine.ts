// The machine: what it is, and what it can do at most.

import { cpus, totalmem } from 'node:os'
import type { MachinePeaks } from './bench.js'
import { runNative, type NativeResult } from './native.js'

const PEAKS = { f32_gflops: 'cpu/f32 multiply-add', read_gbps: 'memory/read' } as const

export function machineName(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
}

/** Of a run that measured them; null where it did not. */
export function peaksOf({ measurements }: NativeResult): MachinePeaks | null {
  const value = (wanted: string) => measurements.find(({ name }) => name === wanted)?.value
  const [f32, read] = [value(PEAKS.f32_gflops), value(PEAKS.read_gbps)]
  return f32 === undefined || read === undefined ? null : { f32_gflops: f32, read_gbps: read }
}

/** Measures the peaks alone. */
export async function measurePeaks(threads: number): Promise<MachinePeaks> {
  const one = async (name: string) => {
    const { measurements } = await runNative(['machine', '--quick', '--only', name, '--threads', String(threads)], () => {})
    return measurements[0]?.value ?? NaN
  }
  return { f32_gflops: await one(PEAKS.f32_gflops), read_gbps: await one(PEAKS.read_gbps) }
}
