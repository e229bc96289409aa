// Tables whose records are about slots of the ssd tier. Several models may have extents in one directory, and each has
// slots from 0 on: each owner of extents has its own part of a table, by a prefix of the keys.

import type { Database, Sources, Table } from './database.js'
import type { StoredRecord } from './packed-records.js'

/** What is known of slots: the blocks in them, who refers to these, and what else lies or is being written there. */
const NAMES = ['blocks', 'referrers', 'remains', 'writing'] as const

export type OwnedName = (typeof NAMES)[number]

/** One owner's part of each table; keys are without the prefix. */
export type OwnedPart = Readonly<Record<OwnedName, readonly StoredRecord[]>>

/** A prefix begins with the first and ends with the second; no record from before there were owners has both. */
const BEGIN = 'm'
const END = '\n'

export class OwnedTables {
  readonly #tables: Readonly<Record<OwnedName, Table>>
  readonly #owner: string
  /** Records of the other owners, by their whole key as text: the store may have to be made anew. */
  readonly #others: Readonly<Record<OwnedName, Map<string, StoredRecord>>> = perName(() => new Map())
  /** Parts of all other owners, as they were at the start. */
  readonly foreign: ReadonlyMap<string, OwnedPart>
  /** Records of blocks from before there were owners. They are removed: nothing has the bytes any more. */
  readonly formerBlocks: number

  constructor(database: Pick<Database, 'table'>, owner: string) {
    this.#owner = owner
    this.#tables = perName(name => database.table(name))
    const foreign = new Map<string, Record<OwnedName, StoredRecord[]>>()
    let former = 0
    const { after, before } = rangeOf(owner)
    for (const name of NAMES) {
      const table = this.#tables[name]
      // The own part, which may be long, is not read here: those who use it read it once.
      for (const range of [{ before: after }, { after: before }]) {
        for (const record of table.entries(range)) {
          const found = split(record.key)
          if (found) {
            partOf(foreign, found.owner)[name].push({ key: found.key, value: record.value })
            this.#others[name].set(textOf(record.key), record)
            continue
          }
          table.remove(record.key)
          if (name === 'blocks' && record.key[0] === 's'.charCodeAt(0)) former++
        }
      }
    }
    this.foreign = foreign
    this.formerBlocks = former
  }

  /** The part of this service's owner. */
  table(name: OwnedName): Table {
    const [table, owner] = [this.#tables[name], this.#owner]
    const { after, before } = rangeOf(owner)
    return {
      *entries() {
        for (const { key, value } of table.entries({ after, before })) yield { key: key.subarray(after.length), value }
      },
      put: (key, value) => table.put(prefixed(owner, key), value),
      remove: key => table.remove(prefixed(owner, key)),
    }
  }

  putForeign(owner: string, name: OwnedName, key: Uint8Array, value: Uint8Array): void {
    const whole = prefixed(owner, key)
    this.#others[name].set(textOf(whole), { key: whole, value })
    this.#tables[name].put(whole, value)
  }

  removeForeign(owner: string, name: OwnedName, key: Uint8Array): void {
    const whole = prefixed(owner, key)
    this.#others[name].delete(textOf(whole))
    this.#tables[name].remove(whole)
  }

  /** All records of each table, of which `own` gives this service's. */
  sources(own: Readonly<Record<OwnedName, () => Iterable<StoredRecord>>>): Sources {
    return perName(name => () => this.#all(name, own[name]))
  }

  *#all(name: OwnedName, own: () => Iterable<StoredRecord>): Iterable<StoredRecord> {
    for (const { key, value } of own()) yield { key: prefixed(this.#owner, key), value }
    yield* this.#others[name].values()
  }
}

function partOf(parts: Map<string, Record<OwnedName, StoredRecord[]>>, owner: string): Record<OwnedName, StoredRecord[]> {
  const known = parts.get(owner)
  if (known) return known
  const part = perName<StoredRecord[]>(() => [])
  parts.set(owner, part)
  return part
}

function perName<Value>(of: (name: OwnedName) => Value): Record<OwnedName, Value> {
  const values: Partial<Record<OwnedName, Value>> = {}
  for (const name of NAMES) values[name] = of(name)
  return values as Record<OwnedName, Value>
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1')

function prefixed(owner: string, key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${BEGIN}${owner}${END}`, 'utf8'), key])
}

/** All keys of an owner lie between the two, and no other. */
function rangeOf(owner: string): { readonly after: Buffer; readonly before: Buffer } {
  const prefix = `${BEGIN}${owner}`
  return { after: Buffer.from(`${prefix}${END}`, 'utf8'), before: Buffer.concat([Buffer.from(prefix, 'utf8'), Buffer.of(END.charCodeAt(0) + 1)]) }
}

function split(key: Uint8Array): { readonly owner: string; readonly key: Uint8Array } | null {
  const end = key[0] === BEGIN.charCodeAt(0) ? key.indexOf(END.charCodeAt(0)) : -1
  if (end < 0) return null
  return { owner: Buffer.from(key.subarray(1, end)).toString('utf8'), key: key.subarray(end + 1) }
}
