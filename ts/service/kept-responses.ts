// Responses that clients may name again: in memory, and with a store in the data directory as well. Each keeps its own input
// and output and points at the one before, so a thread of n turns costs its length once, not n times.

import { conversationKey } from '../conversations/registry.js'
import type { StoredRecord } from '../directory/packed-records.js'
import type { ResponseStore, StoredResponse } from './response-store.js'
import type { KeptResponse, KeptResponses, ResponseThread } from './types.js'

export interface KeptResponsesOptions {
  /** Most bytes of all responses together; 0: none is kept. */
  readonly maxBytes: number
  /** Milliseconds that a response is kept after its last use. */
  readonly ttlMs: number
  /** Milliseconds, on any clock that does not go back. With a store: since the Unix epoch. */
  readonly now: () => number
  /** Keeps them across restarts. @default memory only */
  readonly store?: ResponseStore | null
  /** Says of a conversation's key whether there is one; responses of others are not kept. @default all are known */
  readonly isKnown?: (conversation: string) => boolean
  /** Ends when every write to the store so far is on disk. @default at once */
  readonly flushed?: () => Promise<void>
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
  /** Of its record in the store; null: it has none. */
  number: number | null
}

/** What one tenant has. */
interface Share {
  /** Of all its texts, those included that only followers need. */
  bytes: number
  /** By id, the least recently used first. */
  readonly named: Map<string, Entry>
  /** By the id of an output item. */
  readonly items: Map<string, Entry>
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
  readonly #store: ResponseStore | null
  readonly #shares = new Map<string, Share>()
  #bytes = 0

  /** What the store has is there again, as far as its conversation is known and the bounds allow. */
  constructor(options: KeptResponsesOptions) {
    this.#options = options
    this.#store = options.store ?? null
    if (this.#store) this.#restore(this.#store.restore())
  }

  /** Of all texts that are held, those included that only followers need. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    let size = 0
    for (const { named } of this.#shares.values()) size += named.size
    return size
  }

  /** All that the store holds. */
  *records(): Iterable<StoredRecord> {
    const stored = new Set<Entry>()
    for (const named of this.#named()) for (let entry: Entry | null = named; entry !== null; entry = entry.before) stored.add(entry)
    for (const { number, response, before, lastUse, isNamed } of stored) {
      if (number !== null) yield* this.#store?.records({ number, response, before: before?.number ?? null, lastUse, isNamed }) ?? []
    }
  }

  keep(response: KeptResponse, before: ResponseThread | null): void {
    const last = before instanceof Thread ? before.last : null
    const entry = this.#newEntry(response, last, this.#options.now())
    if (last?.isErased || entry.bytes > this.#options.maxBytes || !this.#isKnown(response)) return
    if (last) this.#hold(last)
    this.#count(entry)
    this.#name(entry)
    this.#makeRoom()
  }

  find(tenant: string, id: string): KeptResponse | null {
    return this.#living(this.#shares.get(tenant)?.named.get(id))?.response ?? null
  }

  ownerOf(tenant: string, item: string): KeptResponse | null {
    return this.#living(this.#shares.get(tenant)?.items.get(item))?.response ?? null
  }

  thread(tenant: string, id: string): ResponseThread | null {
    const entry = this.#living(this.#shares.get(tenant)?.named.get(id))
    return entry === null ? null : new Thread(entry)
  }

  forget(tenant: string, id: string): boolean {
    const entry = this.#living(this.#shares.get(tenant)?.named.get(id))
    if (entry !== null) this.#unname(entry)
    return entry !== null
  }

  async flushed(): Promise<void> {
    await this.#options.flushed?.()
  }

  /** Forgets the responses of a conversation, by its key; answers their number. */
  eraseConversation(key: string): number {
    const own = [...this.#named()].filter(({ response }) => conversationKey(response.tenant, response.conversation) === key)
    for (const entry of own) {
      entry.isErased = true
      this.#unname(entry)
    }
    return own.length
  }

  /** Forgets what was not used for the time to live. */
  expire(): void {
    const oldest = this.#options.now() - this.#options.ttlMs
    for (const { named } of this.#shares.values()) {
      for (const entry of named.values()) {
        if (entry.lastUse > oldest) break
        this.#unname(entry)
      }
    }
  }

  #restore(stored: readonly StoredResponse[]): void {
    const now = this.#options.now()
    const entries = new Map<number, Entry>()
    for (const { number, response, before, lastUse, isNamed } of stored) {
      // A clock that was put back must not keep a response for longer.
      const entry = this.#newEntry(response, entries.get(before ?? 0) ?? null, Math.min(lastUse, now))
      entry.isNamed = isNamed
      entry.number = number
      entries.set(number, entry)
      if (entry.before) entry.before.followers++
      this.#count(entry)
    }
    const oldestFirst = [...entries.values()].sort((a, b) => a.lastUse - b.lastUse)
    for (const entry of oldestFirst) if (entry.isNamed) this.#name(entry)
    // Newest first: what goes takes those along that only it needs.
    for (const entry of [...entries.values()].toReversed()) {
      if (entry.isNamed && !this.#isKnown(entry.response)) this.#unname(entry)
      else if (entry.number !== null) this.#letGo(entry)
    }
    this.#makeRoom()
  }

  #newEntry(response: KeptResponse, before: Entry | null, lastUse: number): Entry {
    const bytes = ENTRY_BYTES + 2 * (response.input.length + response.body.length)
    return { response, before, bytes, lastUse, followers: 0, isNamed: true, isErased: false, number: null }
  }

  #isKnown({ tenant, conversation }: KeptResponse): boolean {
    return this.#options.isKnown?.(conversationKey(tenant, conversation)) ?? true
  }

  *#named(): Iterable<Entry> {
    for (const { named } of this.#shares.values()) yield* named.values()
  }

  #shareOf({ tenant }: KeptResponse): Share {
    const known = this.#shares.get(tenant)
    if (known) return known
    const share: Share = { bytes: 0, named: new Map(), items: new Map() }
    this.#shares.set(tenant, share)
    return share
  }

  /** The entry, used now; null where there is none or its time is over. */
  #living(entry: Entry | undefined): Entry | null {
    if (entry === undefined) return null
    const now = this.#options.now()
    if (entry.lastUse <= now - this.#options.ttlMs) {
      this.#unname(entry)
      return null
    }
    const { named } = this.#shareOf(entry.response)
    entry.lastUse = now
    named.delete(entry.response.id)
    named.set(entry.response.id, entry)
    this.#stand(entry)
    return entry
  }

  /**
   * Above the bound the tenant with the most bytes loses what it used least recently. So a tenant that has no more than an
   * equal share loses nothing to others, and one that is alone has all of it.
   */
  #makeRoom(): void {
    this.expire()
    while (this.#bytes > this.#options.maxBytes) {
      const largest = [...this.#shares.values()].reduce((a, b) => (b.bytes > a.bytes ? b : a))
      const [oldest] = largest.named.values()
      if (oldest === undefined) throw new Error('a tenant holds texts that no response needs')
      this.#unname(oldest)
    }
  }

  #name(entry: Entry): void {
    const { response } = entry
    const { named, items } = this.#shareOf(response)
    named.set(response.id, entry)
    for (const item of response.items) items.set(item, entry)
  }

  #unname(entry: Entry): void {
    const { response } = entry
    const { named, items } = this.#shareOf(response)
    named.delete(response.id)
    for (const item of response.items) if (items.get(item) === entry) items.delete(item)
    entry.isNamed = false
    if (entry.followers > 0) this.#stand(entry)
    this.#letGo(entry)
  }

  /** One follower more; entries that were let go count again. */
  #hold(from: Entry): void {
    const returning: Entry[] = []
    for (let entry: Entry | null = from; entry !== null; entry = entry.before) {
      const wasHeld = entry.isNamed || entry.followers > 0
      entry.followers++
      if (wasHeld) break
      returning.push(entry)
    }
    for (const entry of returning.toReversed()) this.#count(entry)
  }

  /** From here on its text is held, and stored. Those before it are already. */
  #count(entry: Entry): void {
    this.#bytes += entry.bytes
    this.#shareOf(entry.response).bytes += entry.bytes
    if (this.#store) entry.number ??= this.#store.add(entry.response, entry.before?.number ?? null, entry)
  }

  #stand(entry: Entry): void {
    if (entry.number !== null) this.#store?.stand(entry.number, entry)
  }

  /** Gives up the text of an entry where neither its id nor a follower needs it, and those before it likewise. */
  #letGo(from: Entry): void {
    for (let entry: Entry | null = from; entry !== null && !entry.isNamed && entry.followers === 0; entry = entry.before) {
      const share = this.#shareOf(entry.response)
      this.#bytes -= entry.bytes
      share.bytes -= entry.bytes
      if (share.bytes === 0) this.#shares.delete(entry.response.tenant)
      if (entry.number !== null) this.#store?.remove(entry.number)
      entry.number = null
      if (entry.before) entry.before.followers--
    }
  }
}
