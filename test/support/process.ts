// Figures of a process, from the kernel.

import { readdirSync, readFileSync } from 'node:fs'

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN) * 1024
}

/** Open file descriptors. */
export function openHandles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
