// Conversations as an operator sees them: which there are, where their blocks lie, and what can be done with them. No
// text: ids, counts and keys only.

import { z } from 'zod'
import { perTier, TIER_NAMES } from '../tiers.js'
import { durable } from './admin.js'

/** Most rows of a page. */
export const MAX_CONVERSATION_ROWS = 1000

export const CONVERSATION_ID = /^[A-Za-z0-9._:-]{1,128}$/

/** Tenants are named in key files. The empty name is the tenant of a server without keys. */
export const TENANT_NAME = /^[A-Za-z0-9._:-]{0,64}$/

const count = z.int().nonnegative()
const tenant = z.string().regex(TENANT_NAME, 'up to 64 of A-Z a-z 0-9 . _ : -')
const instant = z.int().meta({ description: 'milliseconds since the Unix epoch' })
const id = z.string()

export const ConversationParams = z.object({ id: z.string().regex(CONVERSATION_ID, '1 to 128 of A-Z a-z 0-9 . _ : -') })

/** Whose conversation is meant. */
export const ConversationTarget = z.object({
  tenant: tenant.optional().meta({ description: 'needed only if several tenants have a conversation of this id' }),
})

export const ConversationQuery = z.object({
  cursor: z.string().regex(/^\d{1,16}$/, 'the next_cursor of a page').optional().meta({ description: 'next_cursor of the page before' }),
  limit: z.coerce.number().int().min(1).max(MAX_CONVERSATION_ROWS).default(100),
  tenant: tenant.optional().meta({ description: 'only those of this tenant; default: all' }),
  q: z.string().max(128).optional().meta({ description: 'only ids that contain this' }),
})

const held = z.object({ blocks: count, tokens: count })

/** A run of blocks in the same place, in the order of the tokens. */
export const BlockRun = z.object({
  tier: z.enum(TIER_NAMES).nullable().meta({ description: 'the fastest tier that has them; null: in none' }),
  blocks: z.int().positive(),
})

export const ConversationRow = z
  .object({
    id,
    tenant,
    turns: count,
    tokens: count.meta({ description: 'length of the last turn, prompt and answer' }),
    created_at_ms: instant,
    last_used_at_ms: instant,
    forked_from: z.string().nullable(),
    active_turns: count.meta({ description: 'turns that wait or run now' }),
    tiers: z
      .object(perTier(() => held))
      .meta({ description: 'blocks that are kept, all branches together, each counted once, in the fastest tier that has it' }),
    strip: z.array(BlockRun).meta({ description: 'where the blocks of the last turn lie, run-length encoded' }),
  })
  .meta({ id: 'Conversation' })

/** Most recently used first. */
export const ConversationPage = z
  .object({
    conversations: z.array(ConversationRow),
    total: count.meta({ description: 'conversations that match tenant and q, on all pages' }),
    next_cursor: z.string().nullable().meta({ description: 'null: this is the last page' }),
  })
  .meta({ id: 'ConversationPage' })

export const WarmResponse = z
  .object({
    conversation: id,
    blocks: count.meta({ description: 'blocks of the conversation that some tier holds' }),
    promoted_blocks: count.meta({ description: 'read from ssd to dram' }),
    loaded_blocks: count.meta({ description: 'copied to hbm, where it had free slots' }),
    tiers: z.object(perTier(() => count)).meta({ description: 'blocks by the fastest tier, afterwards' }),
  })
  .meta({ id: 'WarmResponse' })

export const DemoteConversationResponse = z
  .object({
    conversation: id,
    demoted_blocks: count,
    skipped_in_use: count,
    skipped_shared: count.meta({ description: 'blocks that other conversations use too: they stay where they are' }),
    durable,
  })
  .meta({ id: 'DemoteConversationResponse' })

export const ForkResponse = z
  .object({
    conversation: id.meta({ description: 'the new id; send it as `conversation` with the whole history' }),
    forked_from: id,
    tenant,
    shared_blocks: count.meta({ description: 'blocks that both use from now on' }),
    durable,
  })
  .meta({ id: 'ForkResponse' })

/** The receipt of an erasure: what is gone, and what stays because others need it. */
export const EraseReceipt = z
  .object({
    conversation: id,
    tenant,
    blocks_erased: count,
    bytes_erased: count.meta({ description: 'of all copies, in all tiers' }),
    tiers: z.object(perTier(() => count)).meta({ description: 'copies erased, by tier' }),
    remains_overwritten: count.meta({ description: 'free slots on ssd that still held blocks which it had lost before' }),
    records_erased: count.meta({ description: 'token records of answers' }),
    responses_erased: count.meta({ description: 'kept responses of POST /v1/responses' }),
    requests_anonymised: count.meta({ description: 'records of requests that no longer name it' }),
    kept_shared: z
      .array(z.object({ key: z.string().meta({ description: '64 hex digits' }), referrers: z.array(z.string()) }))
      .meta({ description: 'blocks that stay, and the conversations that use them (up to 100 each)' }),
    durable,
  })
  .meta({ id: 'EraseReceipt' })
