// Several owners' records in one table.

import test from 'ava'
import { ForeignBlocks } from '../../ts/directory/foreign-blocks.js'
import { OwnedTables, type OwnedName } from '../../ts/directory/owned-tables.js'
import type { StoredRecord } from '../../ts/directory/packed-records.js'
import { MemoryDatabase } from '../support/memory-database.js'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const textOf = ({ key, value }: StoredRecord): string => `${Buffer.from(key).toString('latin1')}=${Buffer.from(value).toString('latin1')}`
const none = (): StoredRecord[] => []
const ownedBy = (own: Partial<Record<OwnedName, () => Iterable<StoredRecord>>>) => ({ blocks: none, referrers: none, remains: none, writing: none, ...own })

test('each owner reads its own records, without those of owners whose names begin alike', (t) => {
  const database = new MemoryDatabase()
  for (const owner of ['a', 'ab', 'b']) new OwnedTables(database, owner).table('blocks').put(bytes('s1'), bytes(owner))
  for (const owner of ['a', 'ab', 'b']) {
    const tables = new OwnedTables(database, owner)
    t.deepEqual([...tables.table('blocks').entries()].map(textOf), [`s1=${owner}`])
    t.deepEqual([...tables.foreign.keys()].toSorted(), ['a', 'ab', 'b'].filter((other) => other !== owner))
  }
})

test('a store that is made anew has the records of other owners too, as they are then', (t) => {
  const database = new MemoryDatabase()
  const other = new OwnedTables(database, 'other')
  for (const slot of ['s1', 's2', 's3']) other.table('blocks').put(bytes(slot), bytes('x'))
  const tables = new OwnedTables(database, 'own')
  tables.removeForeign('other', 'blocks', bytes('s2'))
  tables.putForeign('other', 'remains', bytes('s3'), bytes('y'))
  const sources = tables.sources(ownedBy({ blocks: () => [{ key: bytes('s9'), value: bytes('z') }] }))
  t.deepEqual([...(sources['blocks']?.() ?? [])].map(textOf), ['mown\ns9=z', 'mother\ns1=x', 'mother\ns3=x'])
  t.deepEqual([...(sources['remains']?.() ?? [])].map(textOf), ['mother\ns3=y'])
})

test('after the store was lost, slots of other owners without a record may hold any conversation: an erasure takes them', (t) => {
  const extents = { owner: 'own', foreign: [{ owner: 'other', slots: 3 }] }
  const records = { conversationOf: () => '', keysOf: () => [] }
  const made = (isLost: boolean) => new ForeignBlocks(new OwnedTables(new MemoryDatabase(), 'own'), extents, records, { isKnown: () => true, isLost })
  t.deepEqual(made(true).solelyOf('c'), [0, 1, 2].map((slot) => ({ owner: 0, slot })))
  t.deepEqual(made(false).solelyOf('c'), [])
})
