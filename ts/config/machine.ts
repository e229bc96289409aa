// What this machine has, and the tier sizes that fit it.

import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { dirname } from 'node:path'
import type { ServeOptions } from './options.js'

const GIB = 2 ** 30
const MIB = 2 ** 20

/** Bytes. */
export interface Machine {
  /** The control group's limit; Infinity without one. */
  readonly memoryLimit: number
  readonly availableMemory: number
  readonly freeDisk: number
}

export interface TierBytes {
  readonly hbmBytes: number
  readonly dramBytes: number
  readonly ssdBytes: number
}

/** Measures memory, and the disk that `directory` is or will be on. */
export async function readMachine(directory: string): Promise<Machine> {
  const limit = process.constrainedMemory()
  const disk = await statfs(existingAncestor(directory))
  return {
    memoryLimit: limit > 0 ? limit : Number.POSITIVE_INFINITY,
    availableMemory: freemem(),
    freeDisk: disk.bavail * disk.bsize,
  }
}

function existingAncestor(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingAncestor(dirname(path))
}

function clamp(value: number, low: number, high: number): number {
  return Math.floor(Math.min(high, Math.max(low, value)))
}

/**
 * Tier sizes: what was given, else what fits. With M = min(limit, available) − weights: hbm = M/8, dram = M/4, ssd =
 * a fifth of the free disk, each within bounds. `--no-reuse` keeps nothing: neither dram nor ssd.
 */
export function fitTiers(options: ServeOptions, machine: Machine, weightBytes: number): TierBytes {
  const memory = Math.max(0, Math.min(machine.memoryLimit, machine.availableMemory) - weightBytes)
  const hbmBytes = options.hbmBytes ?? clamp(memory / 8, 256 * MIB, 4 * GIB)
  if (options.noReuse) return { hbmBytes, dramBytes: 0, ssdBytes: 0 }
  return {
    hbmBytes,
    dramBytes: options.dramBytes ?? clamp(memory / 4, 512 * MIB, 32 * GIB),
    ssdBytes: options.ssdBytes ?? clamp(machine.freeDisk / 5, 0, 20 * GIB),
  }
}
