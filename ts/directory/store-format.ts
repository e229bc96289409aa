// The store's format. A store of another version is not read: what needs no computing again is carried over, and its files
// go, because lmdb keeps the bytes of removed records until it has use for their pages.

import { open, type RootDatabase } from 'lmdb'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Raised where the records of a table change meaning. Before 2, values were not sealed. */
const FORMAT = '2'
/** Tables of format 1 that hold no token ids, and whose records mean the same. */
const CARRIED: readonly string[] = ['conversations']

export interface PreparedStore {
  /** The folder of the lmdb environment. */
  readonly path: string
  /** Records of blocks that were dropped with a store of another format. */
  readonly droppedBlocks: number
}

/** Seals a value of a table under its key. */
export type Seal = (table: string, key: Uint8Array, value: Uint8Array) => Uint8Array

/**
 * Makes `store/` one of today's format. The caller holds the directory's lock. It is whole at every moment: a new store is
 * made beside the old one and takes its name when it is complete.
 */
export function prepareStore(dataDir: string, seal: Seal): PreparedStore {
  const path = join(dataDir, 'store')
  const [aside, old] = [`${path}.new`, `${path}.old`]
  if (!existsSync(path) && isOfFormat(aside)) renameSync(aside, path)
  rmSync(aside, { recursive: true, force: true })
  const droppedBlocks = existsSync(join(path, 'data.mdb')) && !isOfFormat(path) ? convert(path, aside, seal) : 0
  if (existsSync(aside)) {
    renameSync(path, old)
    renameSync(aside, path)
  }
  rmSync(old, { recursive: true, force: true })
  if (!isOfFormat(path)) markedFolder(path)
  return { path, droppedBlocks }
}

/** Of one format, opened as every environment is. */
export function openEnvironment(path: string): RootDatabase {
  return open({ path, maxDbs: 16, keyEncoding: 'binary', encoding: 'binary', noSubdir: false, overlappingSync: false })
}

export function openTable(root: RootDatabase, name: string) {
  return root.openDB<Uint8Array, Uint8Array>({ name, keyEncoding: 'binary', encoding: 'binary' })
}

/** Writes what is carried over to a new store in `to`; the number of blocks that are not. */
function convert(from: string, to: string, seal: Seal): number {
  const [before, after] = [openEnvironment(from), openEnvironment(markedFolder(to))]
  for (const name of CARRIED) {
    const target = openTable(after, name)
    after.transactionSync(() => {
      for (const { key, value } of openTable(before, name).getRange()) target.putSync(key, Buffer.from(seal(name, key, value)))
    })
  }
  const blocks = [...openTable(before, 'blocks').getKeys()].filter(isSlot).length
  void before.close()
  void after.close()
  return blocks
}

/** The table has one record more, which says whose blocks they are. */
function isSlot(key: Uint8Array): boolean {
  return key[0] === 's'.charCodeAt(0)
}

function isOfFormat(folder: string): boolean {
  const mark = join(folder, 'format')
  return existsSync(mark) && readFileSync(mark, 'utf8') === FORMAT
}

function markedFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  writeFileSync(join(path, 'format'), FORMAT, { mode: 0o600 })
  return path
}
