// The machine that a request log was written on, as a profile: what `ts/scheduler/costs/machine.ts` found there.

import { z } from 'zod'
import { cpu2 } from '../../engine/simulated/profiles/cpu-2.js'
import { perSlotTier } from '../../protocol/tiers.js'
import { hopper } from '../../engine/simulated/profiles/hopper.js'
import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import type { MachineRecord } from '../../scheduler/costs/machine.js'

/** The name of such a profile. */
export const RECORDED = 'recorded'

const count = z.int().positive()
const size = z.int().nonnegative()
const ms = z.number().nonnegative()
const rate = z.number().positive().optional()

export const machineRecord: z.ZodType<MachineRecord> = z.object({
  device: z.string(),
  layers: count,
  kv_bytes_per_token: count,
  max_context: count,
  max_batch_tokens: count,
  max_running: count,
  tier_bytes: z.object(perSlotTier(() => size)),
  step_ms: z.object({ base: ms, row: ms, few_row: ms, attended: ms }),
  bytes_per_ms: z.object({ load: rate, read: rate, write: rate }),
})

/** Saves are as fast as loads. Gaps of the record (streams that had no work, and prices) are filled from a profile of its kind. */
export function profileOf({ device, tier_bytes, step_ms, bytes_per_ms, ...shape }: MachineRecord): HardwareProfile {
  const kind = device.startsWith('cuda') ? (hopper[0] ?? cpu2) : cpu2
  return {
    ...kind,
    name: RECORDED,
    device: `simulated (${device})`,
    layers: shape.layers,
    kvBytesPerToken: shape.kv_bytes_per_token,
    modelContext: shape.max_context,
    maxBatchTokens: shape.max_batch_tokens,
    maxRunning: shape.max_running,
    tierBytes: tier_bytes,
    stepBaseMs: step_ms.base,
    stepPerRowMs: step_ms.row,
    stepPerFewRowMs: step_ms.few_row,
    stepPerHistoryTokenMs: 0,
    stepPerAttendedMs: step_ms.attended,
    loadRate: bytes_per_ms.load ?? kind.loadRate,
    saveRate: bytes_per_ms.load ?? kind.saveRate,
    readRate: bytes_per_ms.read ?? kind.readRate,
    writeRate: bytes_per_ms.write ?? kind.writeRate,
  }
}
