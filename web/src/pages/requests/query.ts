// Which requests the list shows, and in which order: as the address keeps it.

import type { RequestRecord } from 'attentionstore/protocol'
import { MISS_WORDS, type MissReason } from '../../miss/words.js'

export const STATUSES = [
  { value: 'all', label: 'All' },
  { value: 'ok', label: 'Answered' },
  { value: 'cancelled', label: 'Cancelled' },
  { value: 'failed', label: 'Failed' },
] as const

export type StatusChoice = (typeof STATUSES)[number]['value']

const missed = ({ miss }: RequestRecord) => miss.evicted + miss.damaged + miss.unknown + miss.reasoning_dropped

/** Largest first, but for the newest; among equals the newest. */
export const SORTS = [
  { value: 'newest', label: 'Newest first', of: ({ seq }: RequestRecord) => seq },
  { value: 'ttft', label: 'Slowest first token', of: ({ ttft_ms: ttft }: RequestRecord) => ttft ?? -1 },
  { value: 'duration', label: 'Longest', of: ({ duration_ms: duration }: RequestRecord) => duration },
  { value: 'prompt', label: 'Longest prompt', of: ({ prompt_tokens: prompt }: RequestRecord) => prompt },
  { value: 'computed', label: 'Most computed', of: ({ computed_tokens: computed }: RequestRecord) => computed },
  { value: 'missed', label: 'Most lost', of: missed },
] as const

export type SortChoice = (typeof SORTS)[number]['value']

export interface RequestQuery {
  readonly status: StatusChoice
  /** null: of all tenants. */
  readonly tenant: string | null
  /** Only those with tokens computed for this reason; null: whatever the reasons. */
  readonly reason: MissReason | null
  readonly sort: SortChoice
  /** In the ids of request and conversation, the tenant or the error. */
  readonly search: string
}

export const EVERYTHING: RequestQuery = { status: 'all', tenant: null, reason: null, sort: 'newest', search: '' }

type Address = Readonly<Record<string, unknown>>

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** The choice that an address names; of values that mean nothing the default. */
export function queryOf(address: Address): RequestQuery {
  return {
    status: STATUSES.find(({ value }) => value === address['status'])?.value ?? EVERYTHING.status,
    tenant: text(address['tenant']),
    reason: MISS_WORDS.find(({ reason }) => reason === address['reason'])?.reason ?? null,
    sort: SORTS.find(({ value }) => value === address['sort'])?.value ?? EVERYTHING.sort,
    search: text(address['q']) ?? '',
  }
}

/** Only what differs from the default, so that the plain list has the plain address. */
export function addressOf({ status, tenant, reason, sort, search }: RequestQuery): Record<string, string> {
  return {
    ...(status === EVERYTHING.status ? {} : { status }),
    ...(tenant === null ? {} : { tenant }),
    ...(reason === null ? {} : { reason }),
    ...(sort === EVERYTHING.sort ? {} : { sort }),
    ...(search === '' ? {} : { q: search }),
  }
}

/** Whether the list leaves any request out. */
export function isFiltered({ status, tenant, reason, search }: RequestQuery): boolean {
  return status !== 'all' || tenant !== null || reason !== null || search !== ''
}

export function matches(record: RequestRecord, { status, tenant, reason, search }: RequestQuery): boolean {
  if (status !== 'all' && record.status !== status) return false
  if (tenant !== null && record.tenant !== tenant) return false
  if (reason !== null && record.miss[reason] === 0) return false
  const sought = search.trim().toLowerCase()
  return sought === '' || [record.request_id, record.conversation, record.tenant, record.error ?? ''].some((field) => field.toLowerCase().includes(sought))
}

/** `records` newest first. */
export function chosenOf(records: readonly RequestRecord[], query: RequestQuery): readonly RequestRecord[] {
  const found = isFiltered(query) ? records.filter((record) => matches(record, query)) : records
  const sort = SORTS.find(({ value }) => value === query.sort)
  if (!sort || sort.value === 'newest') return found
  return found.toSorted((a, b) => sort.of(b) - sort.of(a) || b.seq - a.seq)
}

/** Those that the records are of, in the order of the alphabet. */
export function tenantsOf(records: readonly RequestRecord[]): readonly string[] {
  return [...new Set(records.map(({ tenant }) => tenant))].toSorted()
}
