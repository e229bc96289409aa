// What outlives a service: conversations, the records of blocks on ssd, who refers to them, and responses. Each part is made
// from those before it.

import { Conversations } from '../conversations/conversations.js'
import { Aliases } from '../directory/aliases.js'
import type { Database } from '../directory/database.js'
import { ForeignBlocks } from '../directory/foreign-blocks.js'
import { OwnedTables } from '../directory/owned-tables.js'
import { BlockStore } from '../directory/store.js'
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
}

/**
 * What a service before left in `dataDir` is in the directory of `core` again. `secret` hashes messages. Throws where the
 * database cannot be opened.
 */
export function restoreKept(core: Core, dataDir: string | null, secret: Uint8Array): Kept {
  const { options, engine, clock, directory, events } = core
  const database = dataDir === null ? null : options.openDatabase(dataDir)
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
  const foreign = tables && restoreForeign(core, tables, database.droppedBlocks ?? 0, isKnown)
  // After the blocks: it refers to those that are there.
  const referrers = new Referrers(directory, tables?.table('referrers') ?? null, isKnown)
  events.on('conversationForgotten', key => referrers.forget(key))
  const remains = tables && { left: tables.table('remains'), writing: tables.table('writing'), committed: () => database.flushed() }
  if (remains) directory.remains.keepIn(remains, { slot: slot => directory.pools.ssd.isFree(slot), conversation: isKnown })
  const aliases = new Aliases(database?.table('aliases') ?? null, () => clock.now())
  const responses = restoreResponses(core, database, isKnown)
  return { database, conversations, store, foreign, referrers, aliases, responses }
}

/** Without the option, a store has none: those of a server that had it could not be erased with their conversations. */
function restoreResponses({ options, clock, events }: Core, database: Database | null, isKnown: (conversation: string) => boolean): MemoryResponses {
  const stored = database && new ResponseStore(database.table('responses'))
  const store = options.storeResponses ? stored : null
  if (store === null) stored?.clear()
  const { maxResponseBytes: maxBytes, responseTtlMs: ttlMs } = options
  const responses = new MemoryResponses({ maxBytes, ttlMs, now: () => clock.now(), store, isKnown, flushed: async () => database?.flushed() })
  events.on('conversationForgotten', key => responses.eraseConversation(key))
  return responses
}

const FOREIGN = 'blocks of another model, setting or format were given up: the ssd tier has no room for them'

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
 * Blocks of other models stay in the store as long as their extents are there. `dropped`: blocks that went with a store of
 * another format. Without an ssd tier nothing of them is known, and nothing is dropped.
 */
function restoreForeign(
  { engine, counters, events, options }: Core,
  tables: OwnedTables,
  dropped: number,
  isKnown: (conversation: string) => boolean,
): ForeignBlocks | null {
  const { extents } = engine.info
  if (extents === null) return null
  const foreign = new ForeignBlocks(tables, extents, { conversationOf, keysOf }, isKnown)
  const lose = (blocks: number, context: Fault['context']): void => {
    // Of an extent there may have been the room that a model had ahead.
    if (blocks === 0) return
    counters.dropped.foreign += blocks
    options.onFault({ message: FOREIGN, code: 'foreign_blocks', context: { blocks, ...context } })
  }
  lose(foreign.lostAtStart + dropped, {})
  events.on('extentGivenUp', ({ owner, slotsLeft, bytes }) => lose(foreign.givenUp(owner, slotsLeft), { owner, bytes }))
  events.on('conversationForgotten', key => foreign.forget(key))
  return foreign
}
