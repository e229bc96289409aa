// Causes of computing that reuse could have spared, and of waiting: how to find one in a request or in the sums since the
// start, and the advice. One row a cause.

import { TIER_NAMES, type RequestRecord, type Sample, type TierName } from 'attentionstore/protocol'
import { formatCount, formatMs, formatNumber } from '../format.js'
import { tierLink, type WhatIfLink } from './what-if-link.js'
import type { MissReason } from './words.js'

/** The place to look in: one request, or all since the start. */
export interface Place {
  readonly sample: Sample | null
  readonly record: RequestRecord | null
}

/** Where a cause was at work: how much of it in words, and the advice for just this case. */
export interface Finding {
  readonly amount: string
  readonly advice: string
  readonly link?: WhatIfLink
}

export interface Cause {
  readonly id: string
  readonly name: string
  /** The reason for tokens that it explains; null: it cost time, not tokens. */
  readonly reason: MissReason | null
  readonly inRequest: (record: RequestRecord, place: Place) => Finding | null
  /** null: nothing of it since the start. */
  readonly inSample: (sample: Sample, place: Place) => Finding | null
}

const tokens = (count: number) => formatCount(count, 'token')
const blocks = (count: number) => formatCount(count, 'block')

/** Loads, reads and waits that are shorter than this are none of a reader's business. */
const LEAST_MS = 20
/** Share of the time to first token, or of computing, from which waiting is worth a word. */
const LEAST_SHARE = 0.1

const lengthOf = (spans: ReadonlyArray<readonly [number, number]>) => spans.reduce((sum, [from, to]) => sum + to - from, 0)

/** The tier that blocks are lost from: the last one that has room. */
function lowestTier(sample: Sample | null): TierName {
  return TIER_NAMES.findLast((name) => sample?.tiers.some((tier) => tier.name === name && tier.capacityBytes > 0)) ?? 'ssd'
}

const option = (tier: TierName) => `--${tier}-bytes`

/** Tokens whose blocks ended like this, by the tier in which they lay last. */
function ended(record: RequestRecord, causes: ReadonlyArray<RequestRecord['evictions'][number]['cause']>) {
  const found = record.evictions.filter(({ cause }) => causes.includes(cause))
  return { count: found.reduce((sum, eviction) => sum + eviction.tokens, 0), tier: found[0]?.tier ?? null }
}

function tooSmall(tier: TierName, sample: Sample | null): Pick<Finding, 'advice' | 'link'> {
  const below = TIER_NAMES.slice(TIER_NAMES.indexOf(tier) + 1).map(option)
  const turnOn = below.length === 0 ? ', if the disk has room' : `, or turn on a tier below it with ${below.join(' or ')}`
  return { advice: `${tier} is too small for what comes back. Raise ${option(tier)}${turnOn}.`, link: tierLink(sample, tier) }
}

const QUEUED_FOR: Readonly<Record<NonNullable<RequestRecord['queued_for']>, string>> = {
  turn: 'for a place in the batch: other requests were computed first. Nothing of the cache helps; fewer requests at a time, or a faster machine, do.',
  room: 'for blocks in hbm, which running requests held. Raise --hbm-bytes, or send fewer requests at a time.',
  history: 'for its own history, which had to come up from ssd. Raise --dram-bytes, so that more of it is in memory when it is wanted.',
  another: 'for another request that was computing the same beginning: it then reused it. That is cheaper than computing it twice.',
}

export const CAUSES: readonly Cause[] = [
  {
    id: 'too-small',
    name: 'Too little room',
    reason: 'evicted',
    inRequest: (record, { sample }) => {
      const { count, tier } = ended(record, ['evicted', 'foreign'])
      return count === 0 ? null : { amount: tokens(count), ...tooSmall(tier ?? lowestTier(sample), sample) }
    },
    inSample: (sample) => {
      const lost = sample.blocks.dropped['evicted'] ?? 0
      return lost === 0 || sample.tokens.miss.evicted === 0 ? null : { amount: `${blocks(lost)} lost`, ...tooSmall(lowestTier(sample), sample) }
    },
  },
  {
    id: 'write-queue-full',
    name: 'Write queue full',
    reason: 'evicted',
    inRequest: (record, { sample }) => {
      const { count } = ended(record, ['write_queue_full'])
      return count === 0 ? null : { amount: tokens(count), ...writeQueueFull(sample) }
    },
    inSample: (sample) => {
      const lost = sample.blocks.dropped['write_queue_full'] ?? 0
      return lost === 0 ? null : { amount: `${blocks(lost)} lost`, ...writeQueueFull(sample) }
    },
  },
  {
    id: 'by-hand',
    name: 'Dropped on request',
    reason: 'evicted',
    inRequest: (record) => {
      const { count } = ended(record, ['reset', 'ttl'])
      return count === 0 ? null : { amount: tokens(count), advice: BY_HAND }
    },
    inSample: (sample) => {
      const lost = (sample.blocks.dropped['reset'] ?? 0) + (sample.blocks.dropped['ttl'] ?? 0)
      return lost === 0 ? null : { amount: blocks(lost), advice: BY_HAND }
    },
  },
  {
    id: 'forgotten',
    name: 'Gone too long ago',
    reason: 'unknown',
    inRequest: (record, { sample }) => (record.miss.unknown === 0 ? null : { amount: tokens(record.miss.unknown), ...forgotten(sample) }),
    inSample: (sample) => (sample.tokens.miss.unknown === 0 ? null : { amount: tokens(sample.tokens.miss.unknown), ...forgotten(sample) }),
  },
  {
    id: 'template',
    name: 'Template or client dropped it',
    reason: 'reasoning_dropped',
    inRequest: ({ miss }) => (miss.reasoning_dropped === 0 ? null : { amount: tokens(miss.reasoning_dropped), advice: TEMPLATE }),
    inSample: ({ tokens: { miss } }) => (miss.reasoningDropped === 0 ? null : { amount: tokens(miss.reasoningDropped), advice: TEMPLATE }),
  },
  {
    id: 'scored',
    name: 'Prompt scored',
    reason: 'prompt_scored',
    inRequest: ({ miss }) => (miss.prompt_scored === 0 ? null : { amount: tokens(miss.prompt_scored), advice: SCORED }),
    inSample: ({ tokens: { miss } }) => (miss.promptScored === 0 ? null : { amount: tokens(miss.promptScored), advice: SCORED }),
  },
  {
    id: 'window',
    name: 'Window',
    reason: 'outside_view',
    inRequest: ({ miss }) => (miss.outside_view === 0 ? null : { amount: tokens(miss.outside_view), advice: WINDOW }),
    inSample: ({ tokens: { miss } }) => (miss.outsideView === 0 ? null : { amount: tokens(miss.outsideView), advice: WINDOW }),
  },
  {
    id: 'damaged',
    name: 'Damaged',
    reason: 'damaged',
    inRequest: ({ miss }) => (miss.damaged === 0 ? null : { amount: tokens(miss.damaged), advice: DAMAGED }),
    inSample: ({ tokens: { miss } }) => (miss.damaged === 0 ? null : { amount: tokens(miss.damaged), advice: DAMAGED }),
  },
  {
    id: 'disk-slow',
    name: 'Disk too slow',
    reason: null,
    inRequest: ({ phases, ttft_ms: ttft }, { sample }) => {
      const ms = lengthOf(phases.read)
      return ms < LEAST_MS || ttft === null || ms < LEAST_SHARE * ttft ? null : { amount: `${formatMs(ms)} of reading`, ...diskSlow(sample) }
    },
    inSample: (sample) => {
      const { load, recompute, split } = sample.history
      const slow = recompute + split
      return slow === 0 ? null : { amount: `${formatNumber(slow)} of ${formatCount(load + slow, 'history', 'histories')} on ssd not worth reading whole`, ...diskSlow(sample) }
    },
  },
  {
    id: 'preempted',
    name: 'Preempted',
    reason: null,
    inRequest: ({ recomputed_tokens: again }, { sample }) => (again === 0 ? null : { amount: `${tokens(again)} computed twice`, ...preempted(sample) }),
    inSample: (sample) => (sample.preemptions === 0 ? null : { amount: formatCount(sample.preemptions, 'time'), ...preempted(sample) }),
  },
  {
    id: 'prefetched-in-vain',
    name: 'Prefetched in vain',
    reason: null,
    inRequest: () => null,
    inSample: (sample) => {
      const { fetched, wasted } = sample.prefetches
      if (wasted === 0) return null
      return {
        amount: `${formatNumber(wasted)} of ${blocks(fetched)}`,
        advice: 'Blocks came up from ssd for requests in the queue, and had to go again before their turn. Raise --dram-bytes; --no-prefetch spares the disk the work.',
        link: tierLink(sample, 'dram'),
      }
    },
  },
  {
    id: 'queued',
    name: 'Queued',
    reason: null,
    inRequest: ({ phases, queued_for: cause, ttft_ms: ttft }, { sample }) => {
      const ms = lengthOf(phases.queued)
      if (cause === null || ms < LEAST_MS || (ttft !== null && ms < LEAST_SHARE * ttft)) return null
      const tier: TierName | null = cause === 'room' ? 'hbm' : cause === 'history' ? 'dram' : null
      return { amount: formatMs(ms), advice: `It waited longest ${QUEUED_FOR[cause]}`, ...(tier === null ? {} : { link: tierLink(sample, tier) }) }
    },
    inSample: ({ requests }) => {
      const waiting = requests.queued + requests.preparing
      return waiting === 0 ? null : { amount: `${formatNumber(waiting)} now`, advice: 'Requests wait for a place in the batch, for room in hbm or for their history. Each request in Requests says for which.' }
    },
  },
]

const BY_HAND = 'A reset or --session-ttl dropped them. A longer --session-ttl keeps conversations that pause for longer.'
const TEMPLATE =
  'An earlier answer came back without its reasoning, so all that follows it is new to the cache. Send reasoning_content back with it, or see whether the template takes a variable that keeps it (--chat-template-kwargs).'
const SCORED = 'Log probabilities of a prompt need all of its rows. Ask with prompt_logprobs, or echo with logprobs, only where they are read.'
const WINDOW = 'These tokens lie before the window and cost nothing. With a larger --context-window the model would see them again.'
const DAMAGED = 'Blocks did not read back as written. Look at the disk and its file system; the log names the slots.'

function writeQueueFull(sample: Sample | null): Pick<Finding, 'advice' | 'link'> {
  const limited = sample?.transfers.write.limit?.basis === 'configured'
  const first = limited ? 'Raise --ssd-write-limit, which bounds the disk now, or' : 'Give --ssd-path a faster disk, or'
  return { advice: `Blocks came faster than the disk took them, and dram was full of those that waited. ${first} raise --dram-bytes, which holds them until they are written.`, link: tierLink(sample, 'dram') }
}

function diskSlow(sample: Sample | null): Pick<Finding, 'advice' | 'link'> {
  const limited = sample?.transfers.read.limit?.basis === 'configured'
  const first = limited ? 'Raise --ssd-read-limit, which bounds the disk now, or' : 'Give --ssd-path a faster disk, or'
  return { advice: `Reading history took about as long as computing it. ${first} raise --dram-bytes, so that less of it is on ssd alone.`, link: tierLink(sample, 'dram') }
}

function preempted(sample: Sample | null): Pick<Finding, 'advice' | 'link'> {
  return { advice: 'Running requests grew beyond hbm, and the youngest went back to the queue. Raise --hbm-bytes, or send fewer requests at a time.', link: tierLink(sample, 'hbm') }
}

function forgotten(sample: Sample | null): Pick<Finding, 'advice' | 'link'> {
  const tier = lowestTier(sample)
  return { advice: `They were kept once, and left longer ago than is remembered, or were computed because that was as fast as reading. More room lets conversations pause for longer: raise ${option(tier)}.`, link: tierLink(sample, tier) }
}

export interface FoundCause extends Finding {
  readonly id: string
  readonly name: string
  readonly reason: MissReason | null
}

/** The causes at work, in the order of the table: of a request, or of all since the start. */
export function causesIn(place: Place): readonly FoundCause[] {
  return CAUSES.flatMap((cause) => {
    const found = place.record ? cause.inRequest(place.record, place) : place.sample ? cause.inSample(place.sample, place) : null
    return found ? [{ id: cause.id, name: cause.name, reason: cause.reason, ...found }] : []
  })
}
