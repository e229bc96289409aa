// Profiles by name. A machine's name alone is its first model.

import { cpu2, cpu2Avx512 } from './cpu-2.js'
import { hopper } from './hopper.js'
import { paper4xA100 } from './paper-4xa100.js'
import type { HardwareProfile } from './profile.js'

const profiles = new Map<string, HardwareProfile>()
for (const profile of [cpu2, cpu2Avx512, ...paper4xA100, ...hopper]) {
  profiles.set(profile.name, profile)
  const machine = profile.name.split('/')[0] as string
  if (!profiles.has(machine)) profiles.set(machine, profile)
}

export const profileNames: readonly string[] = [...profiles.keys()]

/** undefined: there is none of this name. */
export function profileNamed(name: string): HardwareProfile | undefined {
  return profiles.get(name)
}
