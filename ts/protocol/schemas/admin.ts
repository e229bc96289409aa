import { z } from 'zod'
import { DISK_PLACES, DISK_STATES } from '../disk.js'
import { LOWER_TIERS, TIER_NAMES } from '../tiers.js'

const count = z.int().nonnegative()

export const CacheStatusBody = z
  .object({
    tiers: z.array(
      z.object({
        name: z.enum(TIER_NAMES),
        medium: z.string(),
        capacity_bytes: count,
        committed_bytes: count,
        used_bytes: count,
        capacity_blocks: count,
        blocks: z.object({ total: count, running: count, cached: count }),
        hit_tokens: count,
      }),
    ),
    policy: z.string(),
    io_engine: z.string(),
  })
  .meta({ id: 'CacheStatus' })

export const DemoteRequest = z.object({ to: z.enum(LOWER_TIERS) }).meta({ id: 'DemoteRequest' })

export const DemoteResponse = z.object({ demoted_blocks: count, skipped_in_use: count }).meta({ id: 'DemoteResponse' })

export const ResetResponse = z.object({ removed_blocks: count, skipped_in_use: count }).meta({ id: 'ResetResponse' })

export const HealthResponse = z.object({ status: z.literal('ok') }).meta({ id: 'Health' })

export const ReadyResponse = z
  .object({
    status: z.literal('ready'),
    disks: z.partialRecord(z.enum(DISK_PLACES), z.enum(DISK_STATES)).meta({ description: 'places that the server cannot write to as it should' }),
  })
  .meta({ id: 'Ready' })

export const DiskList = z
  .object({
    disks: z.array(
      z.object({
        place: z.enum(DISK_PLACES),
        state: z.enum(DISK_STATES),
        reason: z.string().nullable(),
        since_ms: count,
        lost_lines: count.optional(),
      }),
    ),
  })
  .meta({ id: 'DiskList' })
