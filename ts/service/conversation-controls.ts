// What an operator sees of conversations and does to them: list, warm, demote, fork, erase.

import type { Conversations } from '../conversations/conversations.js'
import type { PageQuery } from '../conversations/query.js'
import { conversationKey, type Conversation } from '../conversations/registry.js'
import { BLOCK_TOKENS, type BlockKey } from '../engine/types.js'
import type { Aliases } from '../directory/aliases.js'
import type { Block } from '../directory/block.js'
import type { ForeignBlocks } from '../directory/foreign-blocks.js'
import { perTier, type LowerTierName } from '../protocol/tiers.js'
import { ApiError } from '../protocol/errors.js'
import type { CacheControls } from './controls.js'
import type { Core } from '../scheduler/core/core.js'
import { Eraser } from '../scheduler/moves/eraser.js'
import type { MemoryResponses } from './kept-responses.js'
import type { Referrers } from './referrers.js'
import type { RequestRecords } from './records/records.js'
import type { Scheduler } from '../scheduler/loop/scheduler.js'
import type { Sequence } from '../scheduler/sequence/sequence.js'
import { stripOf, tiersOf } from './strip.js'
import type {
  ConversationAdmin,
  ConversationDemotion,
  ConversationErasure,
  ConversationFork,
  ConversationList,
  ConversationWarming,
  KeptBlock,
} from './types.js'

/** Conversations that a receipt names for one block. */
const MOST_REFERRERS = 100

export interface ConversationParts {
  readonly scheduler: Scheduler
  readonly conversations: Conversations
  readonly referrers: Referrers
  /** Blocks of other models on the ssd; null: none are known. */
  readonly foreign: ForeignBlocks | null
  readonly aliases: Aliases
  readonly controls: CacheControls
  readonly records: RequestRecords
  readonly responses: MemoryResponses
  /** Resolves at the next end of a step or transfer. */
  readonly nextChange: () => Promise<void>
  /** Answers whether every write to the store so far is on disk, and whether what was removed is in no file of it any more. */
  readonly flushed: () => Promise<boolean>
  readonly forgotten: () => Promise<boolean>
}

type Known = Readonly<Conversation>

export class ConversationControls implements ConversationAdmin {
  readonly #core: Core
  readonly #parts: ConversationParts
  readonly #eraser: Eraser

  constructor(core: Core, parts: ConversationParts) {
    this.#core = core
    this.#parts = parts
    this.#eraser = new Eraser(core, parts.foreign, parts.nextChange)
  }

  list(query: PageQuery): ConversationList {
    const { conversations, total, next } = this.#parts.conversations.page(query)
    const active = new Map<string, number>()
    for (const sequence of this.#sequences()) active.set(keyOf(sequence), (active.get(keyOf(sequence)) ?? 0) + 1)
    const rows = conversations.map(conversation => {
      const { id, tenant, turns, tokens, leftOut, createdAt, lastUse, forkedFrom } = conversation
      const key = conversationKey(tenant, id)
      const blocks = this.#parts.referrers.blocksOf(key)
      const placed = { tiers: tiersOf(blocks), strip: stripOf(blocks, Math.ceil((tokens - leftOut) / BLOCK_TOKENS)) }
      return { id, tenant, turns, tokens, createdAt, lastUse, forkedFrom, activeTurns: active.get(key) ?? 0, ...placed }
    })
    return { rows, total, next }
  }

  async warm(id: string, tenant: string | null): Promise<ConversationWarming> {
    const conversation = this.#find(id, tenant)
    if (!this.#core.tiers.dram) throw new ApiError('tier_disabled', 'The dram tier is off, so blocks cannot be brought up to it.', null, { tier: 'dram' })
    const blocks = this.#blocksOf(conversation).toSorted((a, b) => a.index - b.index)
    const { scheduler, nextChange } = this.#parts
    const warmed = await scheduler.moves.warmer.warm(blocks, async () => {
      scheduler.pump()
      if (!scheduler.isMoving) return false
      await nextChange()
      return true
    })
    const held = tiersOf(this.#blocksOf(conversation))
    return { conversation: id, blocks: blocks.length, ...warmed, tiers: perTier(tier => held[tier].blocks) }
  }

  /** Blocks that other conversations use too stay where they are. */
  async demote(id: string, tenant: string | null, to: LowerTierName): Promise<ConversationDemotion> {
    const conversation = this.#find(id, tenant)
    const blocks = this.#blocksOf(conversation)
    const own = blocks.filter(block => this.#parts.referrers.of(block).size === 1)
    const { demotedBlocks, skippedInUse } = await this.#parts.controls.demote(to, own)
    const durable = await this.#parts.flushed()
    return { conversation: id, demotedBlocks, skippedInUse, skippedShared: blocks.length - own.length, durable }
  }

  /** The fork shares the blocks of the last turn, as far as the chain from its end lies in the cache without a gap. */
  async fork(id: string, tenant: string | null): Promise<ConversationFork> {
    const origin = this.#find(id, tenant)
    const fork = this.#parts.conversations.fork(origin)
    const key = conversationKey(fork.tenant, fork.id)
    this.#parts.referrers.refer(key, this.#chainTo(origin.leaf))
    const durable = await this.#parts.flushed()
    return { conversation: fork.id, forkedFrom: id, tenant: fork.tenant, sharedBlocks: this.#parts.referrers.blocksOf(key).size, durable }
  }

  /**
   * Forgets the conversation, its token records and kept responses, the blocks that it alone uses, in all tiers, and what it left in free
   * slots of the disk; records of requests no longer name it. Rejects with `in_use` while a turn of it waits or runs.
   */
  async erase(id: string, tenant: string | null): Promise<ConversationErasure> {
    const conversation = this.#find(id, tenant)
    await this.#untilUnused(conversation)
    const key = conversationKey(conversation.tenant, id)
    // From here to the end of the block nothing waits: no turn can come in between.
    const users = this.#usersBesides(key)
    const blocks = this.#blocksOf(conversation)
    const shared = blocks.filter(block => (users.get(block)?.size ?? 0) > 0)
    const keptShared = shared.map(block => keptBlock(block, users.get(block) ?? new Set()))
    const erasing = this.#eraser.erase(key, blocks.filter(block => !shared.includes(block)))
    this.#parts.aliases.erase(key)
    this.#core.journal.disown(shared, { tenant: conversation.tenant, conversation: id })
    const requestsAnonymised = this.#parts.records.anonymise(conversation.tenant, id)
    const responsesErased = this.#parts.responses.eraseConversation(key)
    const recordsErased = this.#parts.conversations.erase(conversation.tenant, id) ?? 0
    this.#parts.scheduler.pump()
    const erased = await erasing
    const durable = await this.#parts.forgotten()
    return { conversation: id, tenant: conversation.tenant, erased, recordsErased, requestsAnonymised, responsesErased, keptShared, durable }
  }

  /** @throws ApiError `not_found`, or `invalid_value` where several tenants have one of this id. */
  #find(id: string, tenant: string | null): Known {
    const { conversations } = this.#parts
    const tenants = tenant === null ? conversations.tenantsOf(id) : [tenant]
    if (tenants.length > 1) {
      const message = `tenant: ${tenants.length} tenants have a conversation of this id. Name the tenant.`
      throw new ApiError('invalid_value', message, 'tenant')
    }
    const found = tenants[0] === undefined ? undefined : conversations.get(tenants[0], id)
    if (found) return found
    throw new ApiError('not_found', 'The server has no conversation of this id.')
  }

  #blocksOf({ tenant, id }: Known): Block[] {
    return [...this.#parts.referrers.blocksOf(conversationKey(tenant, id))]
  }

  *#sequences(): Iterable<Sequence> {
    yield* this.#parts.scheduler.waiting
    yield* this.#parts.scheduler.active
  }

  /** A turn that was cancelled leaves within two steps; any other one is not waited for. */
  async #untilUnused({ tenant, id }: Known): Promise<void> {
    const key = conversationKey(tenant, id)
    for (;;) {
      const own = [...this.#sequences()].filter(sequence => keyOf(sequence) === key)
      if (own.length === 0) return
      if (own.some(sequence => sequence.leaving !== 'cancelled')) {
        throw new ApiError('in_use', 'A turn of the conversation waits or runs. Erase the conversation when the turn has ended.')
      }
      await this.#parts.nextChange()
    }
  }

  /** Conversations other than this one that use each of its blocks, those included whose turn uses it just now. */
  #usersBesides(own: string): Map<Block, Set<string>> {
    const users = new Map<Block, Set<string>>()
    for (const block of this.#parts.referrers.blocksOf(own)) {
      users.set(block, new Set([...this.#parts.referrers.of(block)].filter(key => key !== own)))
    }
    for (const sequence of this.#sequences()) {
      for (const block of sequence.wants.blocks) users.get(block)?.add(keyOf(sequence))
      for (const [, { block }] of sequence.table) if (block) users.get(block)?.add(keyOf(sequence))
      for (const { source } of sequence.loading.loads) users.get(source)?.add(keyOf(sequence))
    }
    return users
  }

  *#chainTo(leaf: BlockKey | null): Iterable<BlockKey> {
    const { blocks } = this.#core.directory
    for (let block = blocks.get(leaf ?? ''); block; block = blocks.get(block.parent)) yield block.key
  }
}

function keyOf({ tenant, turn }: Sequence): string {
  return conversationKey(tenant, turn.conversation)
}

function keptBlock(block: Block, users: ReadonlySet<string>): KeptBlock {
  // A block's users are of one tenant, which the receipt names.
  const referrers = [...users].slice(0, MOST_REFERRERS).map(key => key.slice(key.indexOf('\0') + 1))
  return { key: Buffer.from(block.key, 'latin1').toString('hex'), referrers }
}
