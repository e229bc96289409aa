// Which conversation a request belongs to, and which of its messages are answers whose token ids are known.

import type { BlockKey } from '../engine/types.js'
import { chainOf, chainStart, type ChainHash, type ChainMessage } from './chain.js'
import { AnswerRecords, type AnswerRecord } from './records.js'
import { ConversationRegistry, conversationKey, type Conversation, type Page } from './registry.js'
import type { PageQuery } from './query.js'
import type { Tables } from './table.js'

export interface ConversationOptions {
  /** null: in memory only. */
  readonly database: Tables | null
  /** Keys the message hashes; the same as long as the store lives. */
  readonly secret: Uint8Array
  readonly textFingerprint: string
  readonly maxRecordBytes: number
  readonly maxConversations: number
  readonly newId: () => string
  readonly now: () => number
  /** Told of the key of a conversation that is no longer known. @default nobody */
  readonly onForgotten?: (key: string) => void
}

export interface ConversationQuery {
  readonly tenant: string
  /** The id that the client gave, or null. */
  readonly conversation: string | null
  /** Names a new conversation if no other rule does. */
  readonly hint: string | null
  /** null: a raw prompt, which has no chain. */
  readonly messages: readonly ChainMessage[] | null
}

/** What a request turned out to be. Nothing is stored before `accept`. */
export interface Resolution {
  readonly tenant: string
  readonly id: string
  readonly date: string
  readonly forkedFrom: string | null
  /** Chain hash after the request's messages; null for a raw prompt. */
  readonly parent: ChainHash | null
  /** The stored answer that the messages continue. */
  readonly continues: ChainHash | null
  /** For each message, the record of the answer it repeats. */
  readonly stored: ReadonlyArray<AnswerRecord | undefined>
}

/** A finished answer, as far as it is remembered. */
export interface Answer {
  /** Ends its chain; null: the prompt was raw, and has none. */
  readonly hash: ChainHash | null
  /** Token ids that lie wholly inside its text, and the bytes that they cover. */
  readonly tokens: Uint32Array
  readonly bytes: number
  /** Tokens of prompt and answer, and of these, those that were left out because the conversation began beyond its window. */
  readonly length: number
  readonly leftOut: number
  /** The last block that was kept of them. */
  readonly leaf: BlockKey | null
}

const NAME = /^[A-Za-z0-9._:-]{1,128}$/

export class Conversations {
  readonly #options: ConversationOptions
  readonly #records: AnswerRecords
  readonly #registry: ConversationRegistry

  constructor(options: ConversationOptions) {
    this.#options = options
    this.#records = new AnswerRecords(options.database?.table('answers') ?? null, options.maxRecordBytes)
    this.#registry = new ConversationRegistry(options.database?.table('conversations') ?? null, options.maxConversations, options.onForgotten)
  }

  get size(): number {
    return this.#registry.size
  }

  get(tenant: string, id: string): Readonly<Conversation> | undefined {
    return this.#registry.get(tenant, id)
  }

  /**
   * With an id, the id names the conversation, and messages that continue none of its tips make a branch of it.
   * Without, the longest chain of messages that ends in a stored answer is the match: at a tip it continues that
   * conversation, elsewhere it forks it.
   */
  resolve(query: ConversationQuery): Resolution {
    const { tenant, messages } = query
    const start = chainStart(this.#options.secret, tenant, this.#options.textFingerprint, '')
    const chain = messages ? chainOf(start, messages) : []
    const stored = chain.map((hash, i) => (messages?.[i]?.role === 'assistant' ? this.#records.get(hash) : undefined))
    const last = stored.findLastIndex(record => record !== undefined)
    const continues = last < 0 ? null : (chain[last] as ChainHash)
    const matched = last < 0 ? undefined : this.#registry.byKey(stored[last]?.conversation ?? '')
    const { id, forkedFrom } = this.#name(query, matched, continues)
    const date = (this.#registry.get(tenant, id) ?? matched)?.date ?? isoDay(this.#options.now())
    return { tenant, id, date, forkedFrom, parent: messages ? (chain.at(-1) ?? start) : null, continues, stored }
  }

  /** The request was taken: its conversation exists from now on. */
  accept(resolution: Resolution): void {
    this.#registry.touch(this.#conversationOf(resolution))
  }

  /** The answer is complete. */
  answered(resolution: Resolution, { hash, tokens, bytes, length, leftOut, leaf }: Answer): void {
    const conversation = this.#conversationOf(resolution)
    conversation.tokens = length
    conversation.leftOut = leftOut
    conversation.leaf = leaf
    if (hash === null) {
      conversation.turns++
      this.#registry.touch(conversation)
      return
    }
    this.#records.put(hash, { conversation: conversationKey(resolution.tenant, resolution.id), tokens, bytes })
    this.#registry.advance(conversation, resolution.continues, hash, this.#options.now())
  }

  /** Forgets a conversation and the token records of its answers; answers how many, or null if there is none. */
  erase(tenant: string, id: string): number | null {
    if (!this.#registry.erase(tenant, id)) return null
    this.#registry.disown(tenant, id)
    return this.#records.eraseConversation(conversationKey(tenant, id))
  }

  byKey(key: string): Readonly<Conversation> | undefined {
    return this.#registry.byKey(key)
  }

  /** Tenants that have a conversation of this id. */
  tenantsOf(id: string): readonly string[] {
    return this.#registry.tenantsOf(id)
  }

  page(query: PageQuery): Page {
    return this.#registry.page(query)
  }

  /** A conversation with a new id that goes on where the last turn of this one ended. */
  fork(origin: Readonly<Conversation>): Readonly<Conversation> {
    const now = this.#options.now()
    const { tenant, date, turns, tokens, leftOut, leaf, tips } = origin
    const fork = { id: this.#options.newId(), tenant, date, forkedFrom: origin.id, createdAt: now, lastUse: now, turns, tokens, leftOut, leaf }
    const conversation: Conversation = { ...fork, tips: tips.slice(-1) }
    this.#registry.touch(conversation)
    return conversation
  }

  #name(query: ConversationQuery, matched: Conversation | undefined, continues: ChainHash | null): { id: string; forkedFrom: string | null } {
    const forkedFrom = matched?.id ?? null
    if (query.conversation !== null) {
      return { id: query.conversation, forkedFrom: forkedFrom === query.conversation ? null : forkedFrom }
    }
    if (matched && continues !== null && matched.tips.includes(continues)) return { id: matched.id, forkedFrom: null }
    if (!matched && query.hint !== null && NAME.test(query.hint)) return { id: query.hint, forkedFrom: null }
    return { id: this.#options.newId(), forkedFrom }
  }

  #conversationOf({ tenant, id, date, forkedFrom }: Resolution): Conversation {
    const known = this.#registry.get(tenant, id)
    const now = this.#options.now()
    if (known) {
      known.lastUse = now
      return known
    }
    return { id, tenant, date, forkedFrom, createdAt: now, lastUse: now, turns: 0, tokens: 0, leftOut: 0, leaf: null, tips: [] }
  }
}

function isoDay(now: number): string {
  return new Date(now).toISOString().slice(0, 10)
}
