// Which conversation a request belongs to, and which of its messages are answers whose token ids are known.

import type { BlockKey } from '../engine/types.js'
import { chainOf, chainStart, openingName, saltName, type ChainHash, type ChainMessage, type OpeningName, type SaltName } from './chain.js'
import type { PageQuery } from './query.js'
import { AnswerRecords, type AnswerRecord, type TokenRecord } from './records.js'
import { ConversationRegistry, conversationKey, type Conversation, type Page } from './registry.js'
import { addOpening, addToStrand, advanceStrand, chooseInStrand, forkStrand, goesOnFrom, isShared, openStrand, strandOf, useStrand } from './strand.js'
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
  /** Turns with different ones find nothing of one another. @default none */
  readonly cacheSalt?: string
  /** The id that the client gave, or null. */
  readonly conversation: string | null
  /** A key that names the conversation if no other rule does, unless it stands for many unlike histories. */
  readonly hint: string | null
  /** null: a raw prompt, which has no chain. */
  readonly messages: readonly ChainMessage[] | null
  /** The tools that the prompt names, as a text; turns with different ones find nothing of one another. @default none */
  readonly tools?: string
  /** How many answers the request asks for. @default 1 */
  readonly choices?: number
  /** The answer goes on with the last message, and both are one. @default false */
  readonly isOpen?: boolean
  /** The source of a template in the place of the model's own; turns with different ones find nothing of one another. */
  readonly template?: string
}

/** What a request turned out to be. Nothing is stored before `accept`. */
export interface Resolution {
  readonly tenant: string
  readonly id: string
  readonly salt: SaltName
  readonly date: string
  readonly forkedFrom: string | null
  /** Chain hash after the messages that the answer follows; null for a raw prompt. */
  readonly parent: ChainHash | null
  /** The stored answer that the messages continue. */
  readonly continues: ChainHash | null
  /** For each message, the record of the answer it repeats. */
  readonly stored: ReadonlyArray<AnswerRecord | undefined>
  /** How many answers there will be. Of several none is a tip of the conversation before it is continued. */
  readonly choices: number
  /** The key was asked for a name. `isShared`: it stands for many unlike histories, and gave none. null: it was not asked. */
  readonly key: { readonly id: string; readonly opening: OpeningName; readonly isShared: boolean } | null
}

/** A finished answer, as far as it is remembered. */
export interface Answer {
  /** Ends its chain; null: the prompt was raw, and has none. */
  readonly hash: ChainHash | null
  readonly record: TokenRecord
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
  /** Of those with several answers: one at least is complete, so the turn is counted. */
  readonly #begun = new WeakSet<Resolution>()

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
   * Without, the longest chain of messages that ends in a stored answer is the match: at a tip, or at one of several answers
   * of which none is continued yet, it continues that conversation, elsewhere it forks it. Where nothing matches, the key names the
   * conversation, until it has brought more than `MOST_OPENINGS` unlike histories. Answers of another tenant or another cache salt are not found.
   */
  resolve(query: ConversationQuery): Resolution {
    const { tenant, messages, cacheSalt = '', tools = '', isOpen = false, template = '', choices = 1 } = query
    const { secret, textFingerprint, now } = this.#options
    const start = chainStart(secret, tenant, textFingerprint, tools, cacheSalt, template)
    const salt = saltName(secret, tenant, cacheSalt)
    const chain = messages ? chainOf(start, messages) : []
    const stored = chain.map((hash, i) => (messages?.[i]?.role === 'assistant' ? this.#records.get(hash) : undefined))
    const last = stored.findLastIndex(record => record !== undefined)
    const continues = last < 0 ? null : (chain[last] as ChainHash)
    const matched = last < 0 ? undefined : this.#registry.byKey(stored[last]?.conversation ?? '')
    const matchedStrand = matched && strandOf(matched, salt)
    const isAtTip = continues !== null && matchedStrand !== undefined && goesOnFrom(matchedStrand, continues)
    const key = matched ? null : this.#keyOf(query, salt)
    const { id, forkedFrom } = this.#name(query, matched, isAtTip, key?.isShared ?? false)
    const known = this.#registry.get(tenant, id)
    const date = (known && strandOf(known, salt))?.date ?? matchedStrand?.date ?? isoDay(now())
    return { tenant, id, salt, date, forkedFrom, parent: messages ? (chain.at(isOpen ? -2 : -1) ?? start) : null, continues, stored, choices, key }
  }

  /** The request was taken: its conversation exists from now on. */
  accept(resolution: Resolution): void {
    const { parent, continues, choices } = resolution
    const conversation = this.#use(resolution)
    if (continues !== null) chooseInStrand(conversation, continues)
    if (choices > 1 && parent !== null) openStrand(conversation, { question: parent, before: continues })
    this.#registry.touch(conversation)
    this.#noteKey(resolution)
  }

  /** An answer is complete: the request's only one, or one of several. */
  answered(resolution: Resolution, { hash, record, length, leftOut, leaf }: Answer): void {
    const { tenant, id, parent: question, continues: before, choices } = resolution
    const conversation = this.#use(resolution)
    const isFirst = !this.#begun.has(resolution)
    // The longest of several answers stands for the turn.
    if (isFirst || length > conversation.tokens) {
      conversation.tokens = length
      conversation.leftOut = leftOut
      conversation.leaf = leaf
    }
    if (isFirst) conversation.turns++
    this.#begun.add(resolution)
    if (hash !== null && question !== null) {
      this.#records.put(hash, { conversation: conversationKey(tenant, id), ...record })
      if (choices > 1) addToStrand(conversation, { question, before }, hash)
      else advanceStrand(conversation, { question, before }, hash)
    }
    this.#registry.touch(conversation)
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
    const { tenant, turns, tokens, leftOut, leaf } = origin
    const fork = { id: this.#options.newId(), tenant, forkedFrom: origin.id, createdAt: now, lastUse: now, turns, tokens, leftOut, leaf }
    const conversation: Conversation = { ...fork, ...forkStrand(origin) }
    this.#registry.touch(conversation)
    return conversation
  }

  #name(query: ConversationQuery, matched: Conversation | undefined, isAtTip: boolean, isKeyShared: boolean): { id: string; forkedFrom: string | null } {
    const forkedFrom = matched?.id ?? null
    if (query.conversation !== null) {
      return { id: query.conversation, forkedFrom: forkedFrom === query.conversation ? null : forkedFrom }
    }
    if (matched && isAtTip) return { id: matched.id, forkedFrom: null }
    if (!matched && !isKeyShared && query.hint !== null && NAME.test(query.hint)) return { id: query.hint, forkedFrom: null }
    return { id: this.#options.newId(), forkedFrom }
  }

  /** null: the request names its conversation by an id, has no key, or no message of a user by which its history could be told. */
  #keyOf({ tenant, conversation, hint, messages }: ConversationQuery, salt: SaltName): Resolution['key'] {
    if (conversation !== null || hint === null || messages === null || !NAME.test(hint)) return null
    const opening = openingName(this.#options.secret, tenant, messages)
    if (opening === null) return null
    const known = this.#registry.get(tenant, hint)
    return { id: hint, opening, isShared: known !== undefined && isShared(known, salt, opening) }
  }

  #noteKey({ tenant, salt, key }: Resolution): void {
    const named = key && this.#registry.get(tenant, key.id)
    if (named && addOpening(named, salt, key.opening)) this.#registry.touch(named)
  }

  /** Its conversation, made if need be, and its strand of it: both are used now. */
  #use({ tenant, id, salt, date, forkedFrom }: Resolution): Conversation {
    const now = this.#options.now()
    const conversation = this.#registry.get(tenant, id) ?? newConversation(tenant, id, forkedFrom, now)
    conversation.lastUse = now
    useStrand(conversation, salt, date)
    return conversation
  }
}

function newConversation(tenant: string, id: string, forkedFrom: string | null, now: number): Conversation {
  return { id, tenant, date: null, forkedFrom, createdAt: now, lastUse: now, turns: 0, tokens: 0, leftOut: 0, leaf: null, tips: [] }
}

/** The day of a time in milliseconds since the Unix epoch. */
export function isoDay(now: number): string {
  return new Date(now).toISOString().slice(0, 10)
}
