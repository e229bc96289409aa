// The last requests that ended: what they reused, why not more, and when what ran. No text.

import type { FinishReason } from '../../engine/types.js'
import type { RequestEviction, RequestRecord } from '../../protocol/index.js'
import { MAX_REQUEST_RECORDS, MOST_EVICTIONS } from '../../protocol/schemas/requests.js'
import type { Loss } from '../../scheduler/accounts/misses.js'
import type { Sequence } from '../../scheduler/sequence/sequence.js'
import type { Trail } from '../../scheduler/accounts/trail.js'
import type { ChangedRecords, RequestHistory, TurnUsage } from '../types.js'

export interface Ending {
  readonly status: RequestRecord['status']
  readonly finish: FinishReason | null
  /** Code of the error of a failed one. */
  readonly error: string | null
  /** Milliseconds, as the clock says. */
  readonly endedAt: number
}

interface Entry {
  record: Omit<RequestRecord, 'phases'>
  readonly trail: Trail
  /** Grows from change to change. */
  changedAt: number
}

export class RequestRecords implements RequestHistory {
  /** By `seq` modulo the bound. */
  readonly #ring: Entry[] = []
  #nextSeq = 0
  #changes = 0

  add(sequence: Sequence, usage: TurnUsage, ending: Ending): void {
    const { trail } = sequence
    const seq = this.#nextSeq++
    const entry: Entry = { record: recordOf(seq, sequence, usage, ending), trail, changedAt: ++this.#changes }
    const old = this.#ring[seq % MAX_REQUEST_RECORDS]
    if (old) old.trail.onLate = null
    this.#ring[seq % MAX_REQUEST_RECORDS] = entry
    trail.onLate = () => (entry.changedAt = ++this.#changes)
  }

  /** Records older than `cursor` (undefined: all), newest first, at most `limit`. `next`: where older ones begin. */
  page(cursor: number | undefined, limit: number): { readonly records: readonly RequestRecord[]; readonly next: number | null } {
    const oldest = Math.max(0, this.#nextSeq - MAX_REQUEST_RECORDS)
    const end = Math.min(cursor ?? this.#nextSeq, this.#nextSeq)
    const start = Math.max(oldest, end - limit)
    const records: RequestRecord[] = []
    for (let seq = end - 1; seq >= start; seq--) records.push(toRecord(this.#ring[seq % MAX_REQUEST_RECORDS] as Entry))
    return { records, next: start > oldest ? start : null }
  }

  /** Of an erased conversation's requests only the numbers stay: no id says whose they were. Answers how many there are. */
  anonymise(tenant: string, conversation: string): number {
    const entries = this.#ring.filter(({ record }) => record.conversation === conversation && record.tenant === tenant)
    for (const entry of entries) {
      entry.record = { ...entry.record, conversation: '', request_id: '' }
      entry.changedAt = ++this.#changes
    }
    return entries.length
  }

  /** The latest state, for whoever wants only what changes from now on. */
  get mark(): number {
    return this.#changes
  }

  /** What was added or changed since `mark`; of more than `most` the newest. */
  changedSince(mark: number, most: number): ChangedRecords {
    const changed = this.#ring.filter(({ changedAt }) => changedAt > mark).toSorted((a, b) => a.record.seq - b.record.seq)
    const told = changed.slice(Math.max(0, changed.length - most))
    return { records: told.map(toRecord), skipped: changed.length - told.length, mark: this.#changes }
  }
}

function toRecord({ record, trail }: Entry): RequestRecord {
  return { ...record, phases: trail.phases(record.accepted_at_ms) }
}

function recordOf(seq: number, sequence: Sequence, usage: TurnUsage, { status, finish, error, endedAt }: Ending): Entry['record'] {
  const { missedTokens: missed, reusedTokens: reused } = usage
  const hasAnswered = sequence.times.firstToken > 0
  return {
    seq,
    request_id: sequence.requestId,
    conversation: usage.conversation,
    tenant: sequence.tenant,
    status,
    finish_reason: finish === null ? null : finish === 'length' ? 'length' : 'stop',
    error,
    accepted_at_ms: sequence.times.accepted,
    queued_for: sequence.waited.longest,
    duration_ms: Math.max(0, endedAt - sequence.times.accepted),
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    reused_tokens: { ...reused },
    computed_tokens: usage.computedTokens,
    recomputed_tokens: usage.recomputedTokens,
    outside_view_tokens: usage.outsideViewTokens,
    miss: {
      never_seen: missed.neverSeen,
      reasoning_dropped: missed.reasoningDropped,
      prompt_scored: missed.promptScored,
      evicted: missed.evicted,
      damaged: missed.damaged,
      outside_view: missed.outsideView,
      unknown: missed.unknown,
    },
    evictions: decisions(sequence.serving.settled?.misses.losses ?? []),
    ttft_ms: hasAnswered ? usage.ttftMs : null,
    estimated_ttft_ms: hasAnswered ? usage.ttftWithoutReuseMs : null,
  }
}

/** Losses of one cause, tier and policy as one; those of the most tokens first. */
function decisions(losses: readonly Loss[]): RequestEviction[] {
  const merged = new Map<string, RequestEviction>()
  for (const { tokens, ghost } of losses) {
    const { cause, tier, policy, at } = ghost
    const name = `${cause} ${tier} ${policy}`
    const before = merged.get(name)
    merged.set(name, { tokens: tokens + (before?.tokens ?? 0), at_ms: Math.max(at, before?.at_ms ?? 0), cause, tier, policy })
  }
  return [...merged.values()].toSorted((a, b) => b.tokens - a.tokens).slice(0, MOST_EVICTIONS)
}
