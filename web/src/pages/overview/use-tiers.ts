import type { TierSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../../components/SegmentBar.vue'
import type { Live } from '../../connection/use-connection.js'
import { formatBytes, formatNumber } from '../../format.js'

export interface TierRow {
  readonly name: string
  readonly medium: string
  /** Bytes used and bound. */
  readonly bytes: string
  readonly blocks: string
  readonly hits: string
  readonly segments: readonly Segment[]
  /** The bar in words. */
  readonly summary: string
}

/** The holders of a tier's blocks, in the order in which they are drawn. */
const HOLDERS = ['running', 'waiting', 'cached'] as const

export function toTierRow(tier: TierSample): TierRow {
  const bytes = `${formatBytes(tier.usedBytes)} of ${formatBytes(tier.capacityBytes)}`
  const counts = HOLDERS.map((kind) => `${formatNumber(tier.blocks[kind])} ${kind}`).join(', ')
  const total = `${formatNumber(tier.blocks.total)} of ${formatNumber(tier.capacityBlocks)} blocks`
  return {
    name: tier.name,
    medium: tier.medium,
    bytes,
    blocks: `${total}: ${counts}`,
    hits: formatNumber(tier.hitTokens),
    segments: HOLDERS.map((kind) => ({ kind, share: tier.capacityBlocks > 0 ? tier.blocks[kind] / tier.capacityBlocks : 0 })),
    summary: `${tier.name}: ${bytes}, ${total}: ${counts}`,
  }
}

/** Tiers with a capacity, fastest first. */
export function useTiers(live: Live): ComputedRef<readonly TierRow[]> {
  return computed(() => (live.sample.value?.tiers ?? []).filter(({ capacityBytes }) => capacityBytes > 0).map(toTierRow))
}
