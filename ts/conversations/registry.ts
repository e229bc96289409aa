// Conversations: ids, the points where each can go on, and where it was forked from. No text.

import type { BlockKey } from '../engine/types.js'
import type { ChainHash, SaltName } from './chain.js'
import type { OpenTurn } from './open-turns.js'
import type { PageQuery } from './query.js'
import { RecencyList } from './recency.js'
import type { Strand, Stranded } from './strand.js'
import type { Table } from './table.js'

export interface Conversation extends Stranded {
  readonly id: string
  readonly tenant: string
  /** null: none, or that one was erased. */
  forkedFrom: string | null
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
  lastUse: number
  turns: number
  /** Length of the last turn, prompt and answer; tokens of it that are in no block; the last block that was kept. */
  tokens: number
  leftOut: number
  leaf: BlockKey | null
}

export function conversationKey(tenant: string, id: string): string {
  return `${tenant}\0${id}`
}

export interface Page {
  readonly conversations: readonly Conversation[]
  /** Matching ones on all pages. */
  readonly total: number
  /** `before` of the next page; null: there is none. */
  readonly next: number | null
}

/** Least recently used conversations are forgotten first; their KV and token records have bounds of their own. */
export class ConversationRegistry {
  readonly #conversations = new RecencyList<Conversation>()
  readonly #countByTenant = new Map<string, number>()
  readonly #table: Table | null
  readonly #most: number
  readonly #onForgotten: (key: string) => void

  /** @param onForgotten Told of the key of a conversation that is no longer known. */
  constructor(table: Table | null, most: number, onForgotten: (key: string) => void = () => {}) {
    this.#table = table
    this.#most = most
    this.#onForgotten = onForgotten
    const stored: Conversation[] = []
    for (const { key, value } of table?.entries() ?? []) {
      const conversation = decode(value)
      if (conversation) stored.push(conversation)
      else table?.remove(key)
    }
    stored.sort((a, b) => a.lastUse - b.lastUse)
    for (const conversation of stored) this.#use(conversation)
    this.#trim()
  }

  get size(): number {
    return this.#conversations.size
  }

  get(tenant: string, id: string): Conversation | undefined {
    return this.#conversations.get(conversationKey(tenant, id))
  }

  byKey(key: string): Conversation | undefined {
    return this.#conversations.get(key)
  }

  /** Tenants that have a conversation of this id. */
  tenantsOf(id: string): string[] {
    return [...this.#countByTenant.keys()].filter(tenant => this.get(tenant, id) !== undefined)
  }

  /** Most recently used first. Nothing is sorted; only a search looks at every conversation. */
  page({ tenant, text, before, limit }: PageQuery): Page {
    const matches = ({ tenant: owner, id }: Conversation): boolean =>
      (tenant === null || owner === tenant) && (text === null || id.includes(text))
    const found: Conversation[] = []
    let last = 0
    for (const { value, stamp } of this.#conversations.below(before ?? Infinity)) {
      if (!matches(value)) continue
      if (found.length === limit) return { conversations: found, total: this.#total(tenant, text, matches), next: last }
      found.push(value)
      last = stamp
    }
    // A walk from the first to the last has seen them all.
    return { conversations: found, total: before === null ? found.length : this.#total(tenant, text, matches), next: null }
  }

  #total(tenant: string | null, text: string | null, matches: (conversation: Conversation) => boolean): number {
    if (text === null) return tenant === null ? this.size : (this.#countByTenant.get(tenant) ?? 0)
    let total = 0
    for (const { value } of this.#conversations.below()) if (matches(value)) total++
    return total
  }

  /** Creates it, or counts use of it. */
  touch(conversation: Conversation): void {
    this.#use(conversation)
    this.#store(conversation)
    this.#trim()
  }

  erase(tenant: string, id: string): boolean {
    const key = conversationKey(tenant, id)
    this.#table?.remove(Buffer.from(key, 'utf8'))
    if (!this.#conversations.delete(key)) return false
    this.#count(tenant, -1)
    this.#onForgotten(key)
    return true
  }

  /** No conversation says any more that it was forked from this one. */
  disown(tenant: string, id: string): void {
    for (const { value } of this.#conversations.below()) {
      if (value.forkedFrom !== id || value.tenant !== tenant) continue
      value.forkedFrom = null
      this.#store(value)
    }
  }

  #store(conversation: Conversation): void {
    const key = conversationKey(conversation.tenant, conversation.id)
    this.#table?.put(Buffer.from(key, 'utf8'), encode(conversation))
  }

  #use(conversation: Conversation): void {
    const { tenant, id, lastUse } = conversation
    const key = conversationKey(tenant, id)
    if (this.#conversations.get(key) === undefined) this.#count(tenant, 1)
    this.#conversations.use(key, conversation, lastUse)
  }

  #count(tenant: string, change: 1 | -1): void {
    const count = (this.#countByTenant.get(tenant) ?? 0) + change
    if (count === 0) this.#countByTenant.delete(tenant)
    else this.#countByTenant.set(tenant, count)
  }

  #trim(): void {
    for (let oldest = this.#conversations.oldest; oldest && this.size > this.#most; oldest = this.#conversations.oldest) {
      this.erase(oldest.tenant, oldest.id)
    }
  }
}

/** Hashes and keys in base64. */
interface Stored extends Omit<Conversation, 'tips' | 'leaf' | 'salted'> {
  readonly tips: string[]
  readonly leaf: string | null
  readonly salted?: ReadonlyArray<readonly [SaltName, Strand]>
}

function encode({ tips, leaf, salted, date, open, openings, ...rest }: Conversation): Buffer {
  const stored: Stored = { ...rest, ...recoded({ date, tips, ...(open ? { open } : {}), ...(openings ? { openings } : {}) }, inBase64), leaf: leaf === null ? null : inBase64(leaf) }
  const strands = [...(salted ?? [])].map(([salt, strand]) => [salt, recoded(strand, inBase64)] as const)
  return Buffer.from(JSON.stringify(strands.length === 0 ? stored : { ...stored, salted: strands }))
}

/** null: not a record of this layout. */
function decode(value: Uint8Array): Conversation | null {
  try {
    const { salted, ...stored } = JSON.parse(Buffer.from(value).toString('utf8')) as Stored
    if (typeof stored.id !== 'string' || stored.date === undefined || !Array.isArray(stored.tips)) return null
    // Records of before there was a leaf have none.
    const leaf = typeof stored.leaf === 'string' ? fromBase64(stored.leaf) : null
    const strand = recoded(stored, fromBase64)
    const conversation: Conversation = { ...stored, ...strand, tokens: stored.tokens ?? 0, leftOut: stored.leftOut ?? 0, leaf }
    if (salted) conversation.salted = new Map(salted.map(([salt, other]) => [salt, recoded(other, fromBase64)]))
    return conversation
  } catch {
    return null
  }
}

function recoded({ date, tips, open, openings }: Strand, code: (hash: string) => string): Strand {
  const recodeTurn = ({ question, before, answers }: OpenTurn): OpenTurn => ({
    question: code(question),
    before: before === null ? null : code(before),
    answers: answers.map(code),
  })
  return { date, tips: tips.map(code), ...(open ? { open: open.map(recodeTurn) } : {}), ...(openings ? { openings } : {}) }
}

function inBase64(hash: ChainHash | BlockKey): string {
  return Buffer.from(hash, 'latin1').toString('base64')
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1')
}
