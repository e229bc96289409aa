import type { CacheStatusBody, DemoteResponse, ResetResponse } from '../../protocol/index.js'
import { DemoteRequest } from '../../protocol/schemas/admin.js'
import { json } from '../../surfaces/surface.js'
import { validate } from '../../surfaces/validate.js'
import type { Handler } from '../route.js'

/** GET /admin/cache */
export const cacheStatus: Handler = (_, { service }) => {
  const { tiers, policy, ioEngine } = service.cacheStatus()
  const body: CacheStatusBody = {
    tiers: tiers.map((tier) => ({
      name: tier.name,
      medium: tier.medium,
      capacity_bytes: tier.capacityBytes,
      committed_bytes: tier.committedBytes,
      used_bytes: tier.usedBytes,
      capacity_blocks: tier.capacityBlocks,
      shortage: tier.shortage,
      blocks: { total: tier.blocks.total, running: tier.blocks.running, cached: tier.blocks.waiting + tier.blocks.resting },
      hit_tokens: tier.hitTokens,
    })),
    policy,
    io_engine: ioEngine,
  }
  return json(body)
}

/** POST /admin/cache/demote */
export const demoteCache: Handler = async ({ body }, { service }) => {
  const { demotedBlocks, skippedInUse, durable } = await service.demote(validate(DemoteRequest, body).to)
  const reply: DemoteResponse = { demoted_blocks: demotedBlocks, skipped_in_use: skippedInUse, durable }
  return json(reply)
}

/** POST /admin/cache/reset */
export const resetCache: Handler = async (_, { service }) => {
  const { removedBlocks, skippedInUse, durable } = await service.reset()
  const reply: ResetResponse = { removed_blocks: removedBlocks, skipped_in_use: skippedInUse, durable }
  return json(reply)
}
