// Responses that clients may name again, in memory. Each keeps its own input and output and points at the one before, so a
// thread of n turns costs its length once, not n times.

import { conversationKey } from '../conversations/registry.js'
import type { KeptResponse, KeptResponses, ResponseThread } from './types.js'

export interface KeptResponsesOptions {
  /** Most bytes of all responses together; 0: none is kept. */
  readonly maxBytes: number
  /** Milliseconds that a response is kept after its last use. */
  readonly ttlMs: number
  /** Milliseconds, on any clock that does not go back. */
  readonly now: () => number
}

/** Bytes that an entry costs besides its texts. */
const ENTRY_BYTES = 1024

interface Entry {
  readonly response: KeptResponse
  readonly before: Entry | null
  readonly bytes: number
  lastUse: number
  /** Entries that go on from this one. They need its text, also when its own id is forgotten. */
  followers: number
  /** Found by its id. */
  isNamed: boolean
  /** Its conversation was erased: nothing may go on from it. */
  isErased: boolean
}

class Thread implements ResponseThread {
  constructor(readonly last: Entry) {}

  /** Oldest first. */
  get responses(): readonly KeptResponse[] {
    const newestFirst: KeptResponse[] = []
    for (let entry: Entry | null = this.last; entry !== null; entry = entry.before) newestFirst.push(entry.response)
    return newestFirst.toReversed()
  }
}

export class MemoryResponses implements KeptResponses {
  readonly #options: KeptResponsesOptions
  /** By tenant and id, the least recently used first. */
  readonly #entries = new Map<string, Entry>()
  /** By tenant and id of an output item. */
  readonly #items = new Map<string, Entry>()
  #bytes = 0

  constructor(options: KeptResponsesOptions) {
    this.#options = options
  }

  /** Of all texts that are held, those included that only followers need. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  keep(response: KeptResponse, before: ResponseThread | null): void {
    const last = before instanceof Thread ? before.last : null
    const bytes = ENTRY_BYTES + 2 * (response.input.length + response.body.length)
    if (last?.isErased || bytes > this.#options.maxBytes) return
    const entry: Entry = { response, before: last, bytes, lastUse: this.#options.now(), followers: 0, isNamed: true, isErased: false }
    if (last) this.#hold(last)
    this.#bytes += bytes
    this.#entries.set(keyOf(response.tenant, response.id), entry)
    for (const item of response.items) this.#items.set(keyOf(response.tenant, item), entry)
    this.#makeRoom()
  }

  find(tenant: string, id: string): KeptResponse | null {
    return this.#living(this.#entries.get(keyOf(tenant, id)))?.response ?? null
  }

  ownerOf(tenant: string, item: string): KeptResponse | null {
    return this.#living(this.#items.get(keyOf(tenant, item)))?.response ?? null
  }

  thread(tenant: string, id: string): ResponseThread | null {
    const entry = this.#living(this.#entries.get(keyOf(tenant, id)))
    return entry === null ? null : new Thread(entry)
  }

  forget(tenant: string, id: string): boolean {
    const entry = this.#living(this.#entries.get(keyOf(tenant, id)))
    if (entry !== null) this.#unname(entry)
    return entry !== null
  }

  /** Forgets the responses of a conversation, by its key; answers their number. */
  eraseConversation(key: string): number {
    const own = [...this.#entries.values()].filter(({ response }) => conversationKey(response.tenant, response.conversation) === key)
    for (const entry of own) {
      entry.isErased = true
      this.#unname(entry)
    }
    return own.length
  }

  /** Forgets what was not used for the time to live. */
  expire(): void {
    const oldest = this.#options.now() - this.#options.ttlMs
    for (const entry of this.#entries.values()) {
      if (entry.lastUse > oldest) return
      this.#unname(entry)
    }
  }

  /** The entry, used now; null where there is none or its time is over. */
  #living(entry: Entry | undefined): Entry | null {
    if (entry === undefined) return null
    const now = this.#options.now()
    if (entry.lastUse <= now - this.#options.ttlMs) {
      this.#unname(entry)
      return null
    }
    const key = keyOf(entry.response.tenant, entry.response.id)
    entry.lastUse = now
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  #makeRoom(): void {
    this.expire()
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.#options.maxBytes) return
      this.#unname(entry)
    }
  }

  #unname(entry: Entry): void {
    const { tenant, id, items } = entry.response
    this.#entries.delete(keyOf(tenant, id))
    for (const item of items) if (this.#items.get(keyOf(tenant, item)) === entry) this.#items.delete(keyOf(tenant, item))
    entry.isNamed = false
    this.#letGo(entry)
  }

  /** One follower more; an entry that was let go counts again, and so do those before it. */
  #hold(from: Entry): void {
    for (let entry: Entry | null = from; entry !== null; entry = entry.before) {
      const wasHeld = entry.isNamed || entry.followers > 0
      entry.followers++
      if (wasHeld) return
      this.#bytes += entry.bytes
    }
  }

  /** Counts the bytes of an entry no longer where neither its id nor a follower needs it, and of those before it. */
  #letGo(from: Entry): void {
    for (let entry: Entry | null = from; entry !== null && !entry.isNamed && entry.followers === 0; entry = entry.before) {
      this.#bytes -= entry.bytes
      if (entry.before) entry.before.followers--
    }
  }
}

function keyOf(tenant: string, id: string): string {
  return `${tenant}\0${id}`
}
