import { LANES, STREAM_NAMES, wayOf, type StreamName, type TransferSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../../components/SegmentBar.vue'
import type { Live } from '../../connection/use-connection.js'
import { formatBytes, formatNumber, formatRate } from '../../format.js'
import { streamColour } from '../../tiers.js'


export interface TransferRow {
  readonly kind: StreamName
  readonly way: string
  readonly speed: string
  readonly limit: string
  readonly moved: string
  readonly segments: readonly Segment[]
  readonly summary: string
}

export function toTransferRow(kind: StreamName, { bytes, ms, queueDepth, limit }: TransferSample): TransferRow {
  const speed = ms > 0 ? (bytes / ms) * 1000 : null
  const told = speed === null ? 'not yet' : formatRate(speed)
  const against = limit === null ? '' : `of ${formatRate(limit.bytesPerS)} ${limit.basis}`
  const share = speed === null || limit === null ? 0 : Math.min(1, speed / limit.bytesPerS)
  const waiting = queueDepth > 0 ? `; ${formatNumber(queueDepth)} under way or waiting` : ''
  const { to } = LANES[kind]
  const verb = kind === 'write' ? `written to ${to}` : 'moved'
  return {
    kind,
    way: wayOf(kind),
    speed: told,
    limit: against,
    moved: `${formatBytes(bytes)} ${verb}${waiting}`,
    segments: [{ kind: streamColour(kind), share }],
    summary: `${kind}, ${wayOf(kind)}: ${told} ${against}`,
  }
}

export function useTransfers(live: Live): ComputedRef<readonly TransferRow[]> {
  return computed(() => {
    const transfers = live.sample.value?.transfers
    return transfers ? STREAM_NAMES.map((kind) => toTransferRow(kind, transfers[kind])) : []
  })
}
