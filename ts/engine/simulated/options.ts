// How a simulated engine is made.

import { systemClock, type Clock } from '../clock.js'
import type { SequenceSpec, SlotTierName, Transfer } from '../types.js'
import { SimulatedDisk } from './disk.js'
import { cpu2 } from './profiles/cpu-2.js'
import type { HardwareProfile } from './profiles/profile.js'
import { VOCABULARY_SIZE } from './vocabulary.js'

/** Faults that a test injects. Each is asked when the transfer ends; an error code makes it fail. */
export interface Faults {
  readonly fails?: (transfer: Transfer | { readonly kind: 'plan save' }) => string | undefined
  /** Times as long as the profile says. */
  readonly slowdown?: (kind: Transfer['kind']) => number
  /** Asked when a constrained answer's token at this index is to be sampled: its mask is not ready yet. */
  readonly isLate?: (spec: SequenceSpec, index: number) => boolean
}

/** Memory of the tiers, and room on the disk, that comes as it is asked for. */
export interface SimulatedMemory {
  /** Slots of each tier that are there at the start, those of a step, and the time that a step takes. */
  readonly atStart: number
  readonly stepSlots: number
  readonly stepMs: number
  /** Most slots that a tier can have now. */
  readonly most: (tier: SlotTierName) => number
}

/** Tokens that were answered once: of the sequence, the token at this index. undefined: one is sampled. */
export type Recorded = (spec: SequenceSpec, index: number) => number | undefined

export interface SimulatedOptions {
  readonly profile: HardwareProfile
  readonly clock: Clock
  readonly slots: Readonly<Record<SlotTierName, number>>
  readonly dramStagingOnly: boolean
  /** null: all of it is there from the start. */
  readonly memory: SimulatedMemory | null
  readonly maxBatchTokens: number
  readonly modelContext: number
  readonly disk: SimulatedDisk
  readonly faults: Faults
  /** Answers of a recording, in place of sampled ones. */
  readonly recorded: Recorded | null
  /** Token ids below it are taken; those that no text has stand for a letter each. */
  readonly vocabSize: number
}

export function simulatedOptions(given: Partial<SimulatedOptions>): SimulatedOptions {
  const profile = given.profile ?? cpu2
  return {
    profile,
    clock: systemClock,
    slots: { hbm: 256, dram: 512, ssd: 4096 },
    dramStagingOnly: false,
    memory: null,
    maxBatchTokens: 256,
    modelContext: profile.modelContext,
    disk: new SimulatedDisk(crypto.randomUUID()),
    faults: {},
    recorded: null,
    vocabSize: VOCABULARY_SIZE,
    ...given,
  }
}
