import type { TierSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../components/SegmentBar.vue'
import type { Live } from '../connection/use-connection.js'
import { formatBytes, formatNumber } from '../format.js'

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

function toRow(tier: TierSample): TierRow {
  const { running, cached, total } = tier.blocks
  const share = (blocks: number) => (tier.capacityBlocks > 0 ? blocks / tier.capacityBlocks : 0)
  const bytes = `${formatBytes(tier.usedBytes)} of ${formatBytes(tier.capacityBytes)}`
  const counts = `${formatNumber(running)} running, ${formatNumber(cached)} cached`
  return {
    name: tier.name,
    medium: tier.medium,
    bytes,
    blocks: `${counts}, of ${formatNumber(tier.capacityBlocks)}`,
    hits: formatNumber(tier.hitTokens),
    segments: [
      { kind: 'running', share: share(running) },
      { kind: 'cached', share: share(cached) },
    ],
    summary: `${tier.name}: ${bytes}, ${formatNumber(total)} of ${formatNumber(tier.capacityBlocks)} blocks: ${counts}`,
  }
}

/** Tiers with a capacity, fastest first. */
export function useTiers(live: Live): ComputedRef<readonly TierRow[]> {
  return computed(() => (live.sample.value?.tiers ?? []).filter(({ capacityBytes }) => capacityBytes > 0).map(toRow))
}
