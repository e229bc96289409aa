// Tables whose records are about slots of the ssd tier. Several models may have extents in one directory, and each has
// slots from 0 on: each owner of extents has its own part of a table, by a prefix of the keys.

import type { Database, Table } from './database.js'

/** What is known of slots: the blocks in them, who refers to these, and what else lies or is being written there. */
const NAMES = ['blocks', 'referrers', 'remains', 'writing'] as const

export type OwnedName = (typeof NAMES)[number]

export interface OwnedEntry {
  /** Without the prefix. */
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** One owner's part of each table. */
export type OwnedPart = Readonly<Record<OwnedName, readonly OwnedEntry[]>>

/** A prefix begins with the first and ends with the second; no record from before there were owners has both. */
const BEGIN = 'm'
const END = '\n'

export class OwnedTables {
  readonly #tables: Readonly<Record<OwnedName, Table>>
  readonly #owner: string
  readonly #own: Record<OwnedName, readonly OwnedEntry[] | null>
  /** Parts of all other owners, as they were at the start. */
  readonly foreign: ReadonlyMap<string, OwnedPart>
  /** Records of blocks from before there were owners. They are removed: nothing has the bytes any more. */
  readonly formerBlocks: number

  constructor(database: Pick<Database, 'table'>, owner: string) {
    this.#owner = owner
    this.#tables = perName(name => database.table(name))
    const foreign = new Map<string, Record<OwnedName, OwnedEntry[]>>()
    let former = 0
    this.#own = perName(name => {
      const own: OwnedEntry[] = []
      for (const { key, value } of this.#tables[name].entries()) {
        const found = split(key)
        if (found === null) {
          this.#tables[name].remove(key)
          if (name === 'blocks' && key[0] === 's'.charCodeAt(0)) former++
          continue
        }
        if (found.owner === owner) own.push({ key: found.key, value })
        else partOf(foreign, found.owner)[name].push({ key: found.key, value })
      }
      return own
    })
    this.foreign = foreign
    this.formerBlocks = former
  }

  /** The part of this service's owner. */
  table(name: OwnedName): Table {
    const table = this.#tables[name]
    return {
      entries: () => {
        const own = this.#own[name] ?? this.#read(name)
        // The records of the start are of use once.
        this.#own[name] = null
        return own
      },
      put: (key, value) => table.put(prefixed(this.#owner, key), value),
      remove: key => table.remove(prefixed(this.#owner, key)),
    }
  }

  putForeign(owner: string, name: OwnedName, key: Uint8Array, value: Uint8Array): void {
    this.#tables[name].put(prefixed(owner, key), value)
  }

  removeForeign(owner: string, name: OwnedName, key: Uint8Array): void {
    this.#tables[name].remove(prefixed(owner, key))
  }

  #read(name: OwnedName): OwnedEntry[] {
    const own: OwnedEntry[] = []
    for (const { key, value } of this.#tables[name].entries()) {
      const found = split(key)
      if (found?.owner === this.#owner) own.push({ key: found.key, value })
    }
    return own
  }
}

function partOf(parts: Map<string, Record<OwnedName, OwnedEntry[]>>, owner: string): Record<OwnedName, OwnedEntry[]> {
  const known = parts.get(owner)
  if (known) return known
  const part = perName<OwnedEntry[]>(() => [])
  parts.set(owner, part)
  return part
}

function perName<Value>(of: (name: OwnedName) => Value): Record<OwnedName, Value> {
  const values: Partial<Record<OwnedName, Value>> = {}
  for (const name of NAMES) values[name] = of(name)
  return values as Record<OwnedName, Value>
}

function prefixed(owner: string, key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${BEGIN}${owner}${END}`, 'utf8'), key])
}

function split(key: Uint8Array): { readonly owner: string; readonly key: Uint8Array } | null {
  const end = key[0] === BEGIN.charCodeAt(0) ? key.indexOf(END.charCodeAt(0)) : -1
  if (end < 0) return null
  return { owner: Buffer.from(key.subarray(1, end)).toString('utf8'), key: key.subarray(end + 1) }
}
