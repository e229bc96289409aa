// Blocks of other models and layouts whose extents still lie on the ssd: they are found again when their model serves, and
// an erasure reaches them meanwhile. Bounded by the slots of the extents.

import type { BlockKey, ExtentOwners } from '../engine/types.js'
import type { OwnedName, OwnedPart, OwnedTables } from './owned-tables.js'
import { ANYONE, slotKey as remainsKey, usersIn } from './remains.js'
import { blockOfRecord, slotKey, slotOfRecord } from './store.js'

const NOBODY: ReadonlySet<never> = new Set()

/** A slot of another owner; `owner`: its place in the engine's list. */
export interface ForeignSlot {
  readonly owner: number
  readonly slot: number
}

/** How a referrers' part is read. */
export interface ReferrerRecords {
  conversationOf(key: Uint8Array): string
  keysOf(value: Uint8Array): Iterable<BlockKey>
}

/** What the store's other records say. */
export interface StoredState {
  /** Says of a stored conversation whether it still is one. */
  readonly isKnown: (conversation: string) => boolean
  /** Records that servers before had written are not there any more. */
  readonly isLost: boolean
}

interface Owner {
  readonly name: string
  readonly isBlock: Set<number>
  /** Conversations by slot that holds bytes. */
  readonly users: Map<number, Set<string>>
  /** Keys of the records of each conversation's blocks. */
  readonly referrers: Map<string, Uint8Array[]>
}

export class ForeignBlocks {
  readonly #tables: OwnedTables
  readonly #owners = new Map<string, Owner>()
  readonly #order: readonly string[]
  /** Blocks of which there were records at the start, and no bytes. */
  readonly lostAtStart: number

  constructor(tables: OwnedTables, extents: ExtentOwners, records: ReferrerRecords, { isKnown, isLost }: StoredState) {
    this.#tables = tables
    this.#order = extents.foreign.map(({ owner }) => owner)
    const live = new Map(extents.foreign.map(({ owner, slots }) => [owner, slots]))
    let lost = tables.formerBlocks
    for (const [name, part] of tables.foreign) {
      this.#owners.set(name, ownerOf(name, part, records, isKnown))
      lost += this.givenUp(name, live.get(name) ?? 0)
    }
    this.lostAtStart = lost
    if (isLost) for (const { owner, slots } of extents.foreign) this.#areAnyones(owner, slots)
  }

  /** Whose bytes lie in slots without a record, a store that was lost would have said. */
  #areAnyones(name: string, slots: number): void {
    const owner = this.#owners.get(name) ?? { name, isBlock: new Set(), users: new Map(), referrers: new Map() }
    this.#owners.set(name, owner)
    for (let slot = 0; slot < slots; slot++) if (!owner.users.has(slot)) owner.users.set(slot, new Set([ANYONE]))
  }

  /** The owner has only its first `slotsLeft` slots left: what the store says of the others goes. Answers how many blocks. */
  givenUp(name: string, slotsLeft: number): number {
    const owner = this.#owners.get(name)
    if (!owner) return 0
    let blocks = 0
    for (const slot of [...owner.users.keys()].filter(slot => slot >= slotsLeft)) {
      if (owner.isBlock.has(slot)) blocks++
      this.#forgetSlot(owner, slot)
    }
    if (slotsLeft > 0) return blocks
    for (const part of ['blocks', 'referrers', 'remains', 'writing'] as const) this.#forgetPart(name, part)
    this.#owners.delete(name)
    return blocks
  }

  /** Slots that hold bytes of the conversation, and of no other one that is known. */
  solelyOf(conversation: string): ForeignSlot[] {
    const slots: ForeignSlot[] = []
    for (const [place, name] of this.#order.entries()) {
      for (const [slot, users] of this.#owners.get(name)?.users ?? []) {
        const isItsOwn = users.size === 1 && users.has(conversation)
        if (isItsOwn || users.has(ANYONE)) slots.push({ owner: place, slot })
      }
    }
    return slots
  }

  /** The slot is about to be overwritten: should the server end before it is, the next erasure does it. */
  erasing({ owner: place, slot }: ForeignSlot): void {
    const owner = this.#at(place)
    if (!owner) return
    owner.users.set(slot, new Set([ANYONE]))
    this.#tables.putForeign(owner.name, 'remains', remainsKey(slot), Buffer.from(ANYONE))
  }

  /** The slot holds nothing any more. */
  erased({ owner: place, slot }: ForeignSlot): void {
    const owner = this.#at(place)
    if (owner) this.#forgetSlot(owner, slot)
  }

  /** The conversation is no longer known. */
  forget(conversation: string): void {
    for (const owner of this.#owners.values()) {
      for (const users of owner.users.values()) users.delete(conversation)
      for (const key of owner.referrers.get(conversation) ?? []) this.#tables.removeForeign(owner.name, 'referrers', key)
      owner.referrers.delete(conversation)
    }
  }

  #at(place: number): Owner | undefined {
    return this.#owners.get(this.#order[place] ?? '')
  }

  #forgetSlot(owner: Owner, slot: number): void {
    owner.users.delete(slot)
    owner.isBlock.delete(slot)
    this.#tables.removeForeign(owner.name, 'blocks', slotKey(slot))
    for (const name of ['remains', 'writing'] as const) this.#tables.removeForeign(owner.name, name, remainsKey(slot))
  }

  #forgetPart(owner: string, name: OwnedName): void {
    for (const { key } of this.#tables.foreign.get(owner)?.[name] ?? []) this.#tables.removeForeign(owner, name, key)
  }
}

function ownerOf(name: string, part: OwnedPart, records: ReferrerRecords, isKnown: (conversation: string) => boolean): Owner {
  const owner: Owner = { name, isBlock: new Set(), users: new Map(), referrers: new Map() }
  const slotOf = new Map<BlockKey, number>()
  for (const { key, value } of part.blocks) {
    const slot = slotOfRecord(key)
    if (slot === null) continue
    owner.isBlock.add(slot)
    owner.users.set(slot, new Set())
    slotOf.set(blockOfRecord(value), slot)
  }
  for (const { key, value } of [...part.remains, ...part.writing]) {
    const slot = Buffer.from(key).readUInt32BE()
    const named = usersIn(value).filter(user => user === ANYONE || isKnown(user))
    owner.users.set(slot, new Set([...(owner.users.get(slot) ?? NOBODY), ...named]))
  }
  for (const { key, value } of part.referrers) {
    const conversation = records.conversationOf(key)
    const kept = owner.referrers.get(conversation)
    if (kept) kept.push(key)
    else owner.referrers.set(conversation, [key])
    if (!isKnown(conversation)) continue
    for (const block of records.keysOf(value)) {
      const slot = slotOf.get(block)
      if (slot !== undefined) owner.users.get(slot)?.add(conversation)
    }
  }
  return owner
}
