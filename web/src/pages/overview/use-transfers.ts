import type { TransferSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../../components/SegmentBar.vue'
import type { Live } from '../../connection/use-connection.js'
import { formatBytes, formatNumber, formatRate } from '../../format.js'

const WAYS = { load: 'dram → hbm', save: 'hbm → dram', read: 'ssd → dram', write: 'dram → ssd' } as const
const COLOURS = { load: 'dram', save: 'hbm', read: 'ssd', write: 'computed' } as const
export type TransferKind = keyof typeof WAYS
const KINDS = Object.keys(WAYS) as TransferKind[]

export interface TransferRow {
  readonly kind: TransferKind
  readonly way: string
  readonly speed: string
  readonly limit: string
  readonly moved: string
  readonly segments: readonly Segment[]
  readonly summary: string
}

export function toTransferRow(kind: TransferKind, { bytes, ms, queueDepth, limit }: TransferSample): TransferRow {
  const speed = ms > 0 ? (bytes / ms) * 1000 : null
  const told = speed === null ? 'not yet' : formatRate(speed)
  const against = limit === null ? '' : `of ${formatRate(limit.bytesPerS)} ${limit.basis}`
  const share = speed === null || limit === null ? 0 : Math.min(1, speed / limit.bytesPerS)
  const waiting = queueDepth > 0 ? `; ${formatNumber(queueDepth)} under way or waiting` : ''
  const verb = kind === 'write' ? 'written to ssd' : 'moved'
  return {
    kind,
    way: WAYS[kind],
    speed: told,
    limit: against,
    moved: `${formatBytes(bytes)} ${verb}${waiting}`,
    segments: [{ kind: COLOURS[kind], share }],
    summary: `${kind}, ${WAYS[kind]}: ${told} ${against}`,
  }
}

export function useTransfers(live: Live): ComputedRef<readonly TransferRow[]> {
  return computed(() => {
    const transfers = live.sample.value?.transfers
    return transfers ? KINDS.map((kind) => toTransferRow(kind, transfers[kind])) : []
  })
}
