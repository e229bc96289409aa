// A control group with a bound of its own for a process under test, where this user may make one.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'

/** The file of the bound, by version of control groups. */
const VERSIONS = [
  { root: ROOT, bound: 'memory.max' },
  { root: join(ROOT, 'memory'), bound: 'memory.limit_in_bytes' },
] as const

export interface MemoryGroup {
  /** Moves a process into the group, and bounds what it takes from then on. */
  hold(pid: number, bytes: number): void
  /** Of the processes that are in it: none may be. */
  remove(): void
}

/** null: control groups cannot be made here, or memory is not theirs. */
export function memoryGroup(name: string): MemoryGroup | null {
  for (const { root, bound } of VERSIONS) {
    const folder = join(root, name)
    try {
      mkdirSync(folder)
    } catch {
      continue
    }
    if (existsSync(join(folder, bound))) return groupIn(folder, bound)
    rmdirSync(folder)
  }
  return null
}

function groupIn(folder: string, bound: string): MemoryGroup {
  return {
    hold: (pid, bytes) => {
      writeFileSync(join(folder, bound), String(bytes))
      writeFileSync(join(folder, 'cgroup.procs'), String(pid))
    },
    remove: () => {
      if (readFileSync(join(folder, 'cgroup.procs'), 'utf8') === '') rmdirSync(folder)
    },
  }
}
