// Conversations: ids, the points where each can go on, and where it was forked from. No text.

import type { ChainHash } from './chain.js'
import type { Table } from './table.js'

export interface Conversation {
  readonly id: string
  readonly tenant: string
  /** ISO day: the date that a template asks for stays the same as long as the conversation lives. */
  readonly date: string
  readonly forkedFrom: string | null
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
  lastUse: number
  turns: number
  /** Chain hashes of the answers that no further turn continues, oldest first. */
  tips: ChainHash[]
}

/** Branches of one conversation that are remembered; the oldest is forgotten first. */
const MOST_TIPS = 64

export function conversationKey(tenant: string, id: string): string {
  return `${tenant}\0${id}`
}

/** Least recently used conversations are forgotten first; their KV and token records have bounds of their own. */
export class ConversationRegistry {
  readonly #conversations = new Map<string, Conversation>()
  readonly #table: Table | null
  readonly #most: number

  constructor(table: Table | null, most: number) {
    this.#table = table
    this.#most = most
    const stored: Conversation[] = []
    for (const { key, value } of table?.entries() ?? []) {
      const conversation = decode(value)
      if (conversation) stored.push(conversation)
      else table?.remove(key)
    }
    stored.sort((a, b) => a.lastUse - b.lastUse)
    for (const conversation of stored) this.#conversations.set(conversationKey(conversation.tenant, conversation.id), conversation)
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

  /** Creates it, or counts use of it. */
  touch(conversation: Conversation): void {
    const key = conversationKey(conversation.tenant, conversation.id)
    this.#conversations.delete(key)
    this.#conversations.set(key, conversation)
    this.#table?.put(Buffer.from(key, 'utf8'), encode(conversation))
    this.#trim()
  }

  /** An answer ends at `tip`; it continued `before`, if that was a tip. */
  advance(conversation: Conversation, before: ChainHash | null, tip: ChainHash, now: number): void {
    conversation.tips = conversation.tips.filter(hash => hash !== before && hash !== tip)
    conversation.tips.push(tip)
    conversation.tips.splice(0, conversation.tips.length - MOST_TIPS)
    conversation.turns++
    conversation.lastUse = now
    this.touch(conversation)
  }

  erase(tenant: string, id: string): boolean {
    const key = conversationKey(tenant, id)
    this.#table?.remove(Buffer.from(key, 'utf8'))
    return this.#conversations.delete(key)
  }

  #trim(): void {
    for (const { tenant, id } of this.#conversations.values()) {
      if (this.#conversations.size <= this.#most) return
      this.erase(tenant, id)
    }
  }
}

interface Stored extends Omit<Conversation, 'tips'> {
  readonly tips: string[]
}

function encode(conversation: Conversation): Buffer {
  const tips = conversation.tips.map(tip => Buffer.from(tip, 'latin1').toString('base64'))
  return Buffer.from(JSON.stringify({ ...conversation, tips } satisfies Stored))
}

/** null: not a record of this layout. */
function decode(value: Uint8Array): Conversation | null {
  try {
    const stored = JSON.parse(Buffer.from(value).toString('utf8')) as Stored
    if (typeof stored.id !== 'string' || typeof stored.date !== 'string' || !Array.isArray(stored.tips)) return null
    return { ...stored, tips: stored.tips.map(tip => Buffer.from(tip, 'base64').toString('latin1')) }
  } catch {
    return null
  }
}
