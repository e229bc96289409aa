// The memory and disk of this machine, and the tier sizes that fit it.

import { existsSync } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { dirname, join } from 'node:path'
import type { SlotTierName } from '../protocol/tiers.js'
import type { ServeOptions } from './options.js'

const GIB = 2 ** 30
const MIB = 2 ** 20
/** Unit of `blocks` in what stat says. */
const STAT_BLOCK_BYTES = 512

/** Bytes. */
export interface Machine {
  /** The control group's limit; Infinity without one. */
  readonly memoryLimit: number
  readonly availableMemory: number
  readonly freeDisk: number
  /** Bytes that the disk tier takes already: they count as free, or its default would shrink at every start. */
  readonly storedBytes: number
}

/** `hbmBytes` and so on. */
export type TierBytes = Readonly<Record<`${SlotTierName}Bytes`, number>>

/** Measures memory, and the disk that `directory` is or will be on. */
export async function readMachine(directory: string): Promise<Machine> {
  const limit = process.constrainedMemory()
  const disk = await statfs(existingAncestor(directory))
  return {
    memoryLimit: limit > 0 ? limit : Number.POSITIVE_INFINITY,
    availableMemory: freemem(),
    freeDisk: disk.bavail * disk.bsize,
    storedBytes: await allocatedBytes(directory),
  }
}

/** Bytes on disk of the files in `directory`; 0 if there is no such directory. */
export async function allocatedBytes(directory: string): Promise<number> {
  if (!existsSync(directory)) return 0
  const files = await Promise.all((await readdir(directory)).map((name) => stat(join(directory, name))))
  return files.reduce((bytes, { blocks }) => bytes + blocks * STAT_BLOCK_BYTES, 0)
}

function existingAncestor(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingAncestor(dirname(path))
}

function clamp(value: number, low: number, high: number): number {
  return Math.floor(Math.min(high, Math.max(low, value)))
}

/**
 * Tier sizes: what was given, else what fits. With M = min(limit, available) − weights: hbm = M/8, dram = M/4, ssd =
 * a fifth of the disk that is free or its own already, each within bounds. `--no-reuse` keeps nothing: neither dram nor ssd.
 * A GPU has its own memory: there hbm is 0, for what it has left.
 */
export function fitTiers(options: ServeOptions, machine: Machine, weightBytes: number, onGpu = false): TierBytes {
  const memory = Math.max(0, Math.min(machine.memoryLimit, machine.availableMemory) - weightBytes)
  const hbmBytes = options.hbmBytes ?? (onGpu ? 0 : clamp(memory / 8, 256 * MIB, 4 * GIB))
  if (options.noReuse) return { hbmBytes, dramBytes: 0, ssdBytes: 0 }
  return {
    hbmBytes,
    dramBytes: options.dramBytes ?? clamp(memory / 4, 512 * MIB, 32 * GIB),
    ssdBytes: options.ssdBytes ?? clamp((machine.freeDisk + machine.storedBytes) / 5, 0, 20 * GIB),
  }
}
