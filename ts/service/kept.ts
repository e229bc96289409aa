// What outlives a service: conversations, the records of blocks on ssd, who refers to them, and responses. Each part is made
// from those before it.

import { Conversations } from '../conversations/conversations.js'
import { Aliases } from '../directory/aliases.js'
import type { Database } from '../directory/database.js'
import { ForeignBlocks } from '../directory/foreign-blocks.js'
import { OwnedTables } from '../directory/owned-tables.js'
import type { SlotPool } from '../directory/slots.js'
import { BlockStore } from '../directory/store.js'
import { StoreError } from '../directory/store-error.js'
import { ApiError } from '../protocol/errors.js'
import type { Fault } from '../protocol/fault.js'
import type { Core } from '../scheduler/core/core.js'
import { conversationOf, keysOf } from './kept-keys.js'
import { MemoryResponses } from './kept-responses.js'
import { Referrers } from './referrers.js'
import { ResponseStore } from './response-store.js'

export interface Kept {
  /** null: it lives in memory only. */
  readonly database: Database | null
  readonly conversations: Conversations
  /** null: no ssd tier, or no database. */
  readonly store: BlockStore | null
  /** Blocks of other models whose extents are still there. null as `store`. */
  readonly foreign: ForeignBlocks | null
  readonly referrers: Referrers
  readonly aliases: Aliases
  readonly responses: MemoryResponses
  /** Answers whether every write to the store so far is on disk. */
  readonly flushed: () => Promise<boolean>
  /** The same, and what is left of a damaged store is gone: it may hold what was erased. */
  readonly forgotten: () => Promise<boolean>
}

/**
 * What a service before left in `dataDir` is in the directory of `core` again. `secret` hashes messages. Throws where the
 * database cannot be opened.
 */
export function restoreKept(core: Core, dataDir: string | null, secret: Uint8Array): Kept {
  const { options, engine, clock, directory, events } = core
  const database = dataDir === null ? null : options.openDatabase(dataDir, { clock, onFault: options.onFault })
  database?.onCondition(({ state, reason }) => options.onDisk?.({ place: 'store', state, reason }))
  const conversations = new Conversations({
    database,
    secret,
    textFingerprint: engine.info.textFingerprint,
    maxRecordBytes: options.maxRecordBytes,
    maxConversations: options.maxConversations,
    newId: options.newConversationId,
    now: () => clock.now(),
    onForgotten: key => events.emit('conversationForgotten', key),
  })
  const isKnown = (key: string): boolean => conversations.byKey(key) !== undefined
  const tables = database && new OwnedTables(database, engine.info.extents?.owner ?? '')
  const store = tables && core.tiers.ssd ? restoreBlocks(core, tables) : null
  const foreign = tables && restoreForeign(core, tables, database.isLost, isKnown)
  // After the blocks: it refers to those that are there.
  const referrers = new Referrers(directory, tables?.table('referrers') ?? null, isKnown)
  events.on('conversationForgotten', key => referrers.forget(key))
  const remains = tables && { left: tables.table('remains'), writing: tables.table('writing'), committed: () => database.flushed() }
  if (remains) directory.remains.keepIn(remains, { slot: slot => directory.pools.ssd.isFree(slot), conversation: isKnown })
  const aliases = new Aliases(database?.table('aliases') ?? null, () => clock.now())
  const responses = restoreResponses(core, database, isKnown)
  const { left, writing } = directory.remains.sources
  database?.rewriteFrom({
    ...conversations.sources,
    ...tables?.sources({ blocks: () => store?.records() ?? [], referrers: () => referrers.records(), remains: left, writing }),
    aliases: () => aliases.records(),
    responses: () => responses.records(),
  })
  if (database?.isLost) directory.remains.areAnyones(slotsWithoutBlock(directory.pools.ssd))
  const flushed = () => succeeds(async () => database?.flushed())
  const forgotten = () => succeeds(async () => database?.discardDamaged().then(() => database.flushed()))
  return { database, conversations, store, foreign, referrers, aliases, responses, flushed, forgotten }
}

/** false: the disk refuses, which the condition of the store says. */
async function succeeds(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (thrown) {
    if (thrown instanceof StoreError) return false
    throw thrown
  }
}

/** Without the option, a store has none: those of a server that had it could not be erased with their conversations. */
function restoreResponses({ options, clock, events }: Core, database: Database | null, isKnown: (conversation: string) => boolean): MemoryResponses {
  const stored = database && new ResponseStore(database.table('responses'))
  const store = options.storeResponses ? stored : null
  if (store === null) stored?.clear()
  const { maxResponseBytes: maxBytes, responseTtlMs: ttlMs } = options
  const responses = new MemoryResponses({ maxBytes, ttlMs, now: () => clock.now(), store, isKnown, flushed: () => flushedOrTold(database) })
  events.on('conversationForgotten', key => responses.eraseConversation(key))
  return responses
}

/** A client that deletes a response is told where that is not on disk. */
async function flushedOrTold(database: Database | null): Promise<void> {
  if (await succeeds(async () => database?.flushed())) return
  const { state = 'failing' } = database?.condition() ?? {}
  const message = 'The change is made, and is not on disk yet: the disk of the store takes nothing now. It follows when the disk does.'
  throw new ApiError('engine_error', message, null, { engine_code: `store_${state}` })
}

const FOREIGN = 'blocks of another model, setting or format were given up: the ssd tier has no room for them'

function* slotsWithoutBlock(ssd: SlotPool): Iterable<number> {
  for (let slot = 0; slot < ssd.committed; slot++) if (ssd.isFree(slot)) yield slot
}

/** Blocks on ssd from before. */
function restoreBlocks({ directory, engine, counters, events }: Core, tables: OwnedTables): BlockStore {
  const store = new BlockStore(tables.table('blocks'))
  const report = store.restore(directory, engine.info.fingerprint)
  counters.dropped.foreign += report.foreign
  counters.dropped.damaged += report.damaged
  events.on('ssdSlotLeft', slot => store.removed(slot))
  return store
}

/**
 * Blocks of other models stay in the store as long as their extents are there. `isLost`: the store no longer says of all
 * of them. Without an ssd tier nothing of them is known, and nothing is dropped.
 */
function restoreForeign(
  { engine, counters, events, options }: Core,
  tables: OwnedTables,
  isLost: boolean,
  isKnown: (conversation: string) => boolean,
): ForeignBlocks | null {
  const { extents } = engine.info
  if (extents === null) return null
  const foreign = new ForeignBlocks(tables, extents, { conversationOf, keysOf }, { isKnown, isLost })
  const lose = (blocks: number, context: Fault['context']): void => {
    // Of an extent there may have been the room that a model had ahead.
    if (blocks === 0) return
    counters.dropped.foreign += blocks
    options.onFault({ message: FOREIGN, code: 'foreign_blocks', context: { blocks, ...context } })
  }
  lose(foreign.lostAtStart, {})
  events.on('extentGivenUp', ({ owner, slotsLeft, bytes }) => lose(foreign.givenUp(owner, slotsLeft), { owner, bytes }))
  events.on('conversationForgotten', key => foreign.forget(key))
  return foreign
}
