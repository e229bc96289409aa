// What an operator does with conversations.

import type {
  ConversationPage,
  ConversationRow,
  DemoteConversationResponse,
  EraseReceipt,
  ForkResponse,
  WarmResponse,
} from '../../protocol/index.js'
import { DemoteRequest } from '../../protocol/schemas/admin.js'
import { ConversationParams, ConversationQuery, ConversationTarget } from '../../protocol/schemas/conversations.js'
import type { ConversationInfo } from '../../service/types.js'
import { json } from '../../surfaces/surface.js'
import { validate } from '../../surfaces/validate.js'
import type { ApiRequest, Handler } from '../route.js'

/** GET /admin/conversations */
export const listConversations: Handler = ({ query }, { service }) => {
  const { cursor, limit, tenant, q } = validate(ConversationQuery, query)
  const before = cursor === undefined ? null : Number(cursor)
  const { rows, total, next } = service.conversations.list({ tenant: tenant ?? null, text: q ?? null, before, limit })
  const body: ConversationPage = { conversations: rows.map(row), total, next_cursor: next === null ? null : String(next) }
  return json(body)
}

function row(info: ConversationInfo): ConversationRow {
  return {
    id: info.id,
    tenant: info.tenant,
    turns: info.turns,
    tokens: info.tokens,
    created_at_ms: Math.floor(info.createdAt),
    last_used_at_ms: Math.floor(info.lastUse),
    forked_from: info.forkedFrom,
    active_turns: info.activeTurns,
    tiers: info.tiers,
    strip: [...info.strip],
  }
}

/** The conversation that the path and the query name. */
function targetOf({ params, query }: ApiRequest): readonly [id: string, tenant: string | null] {
  return [validate(ConversationParams, params).id, validate(ConversationTarget, query).tenant ?? null]
}

/** POST /admin/conversations/:id/warm */
export const warmConversation: Handler = async (request, { service }) => {
  const warmed = await service.conversations.warm(...targetOf(request))
  const body: WarmResponse = {
    conversation: warmed.conversation,
    blocks: warmed.blocks,
    promoted_blocks: warmed.promotedBlocks,
    loaded_blocks: warmed.loadedBlocks,
    tiers: warmed.tiers,
  }
  return json(body)
}

/** POST /admin/conversations/:id/demote */
export const demoteConversation: Handler = async (request, { service }) => {
  const { to } = validate(DemoteRequest, request.body)
  const demoted = await service.conversations.demote(...targetOf(request), to)
  const body: DemoteConversationResponse = {
    conversation: demoted.conversation,
    demoted_blocks: demoted.demotedBlocks,
    skipped_in_use: demoted.skippedInUse,
    skipped_shared: demoted.skippedShared,
    durable: demoted.durable,
  }
  return json(body)
}

/** POST /admin/conversations/:id/fork */
export const forkConversation: Handler = async (request, { service }) => {
  const { conversation, forkedFrom, tenant, sharedBlocks, durable } = await service.conversations.fork(...targetOf(request))
  const body: ForkResponse = { conversation, forked_from: forkedFrom, tenant, shared_blocks: sharedBlocks, durable }
  return json(body)
}

/** DELETE /admin/conversations/:id */
export const eraseConversation: Handler = async (request, { service }) => {
  const { conversation, tenant, erased, recordsErased, requestsAnonymised, responsesErased, keptShared, durable } = await service.conversations.erase(...targetOf(request))
  const body: EraseReceipt = {
    conversation,
    tenant,
    blocks_erased: erased.blocks,
    bytes_erased: erased.bytes,
    tiers: erased.copies,
    remains_overwritten: erased.remains,
    records_erased: recordsErased,
    responses_erased: responsesErased,
    requests_anonymised: requestsAnonymised,
    kept_shared: keptShared.map(({ key, referrers }) => ({ key, referrers: [...referrers] })),
    durable,
  }
  return json(body)
}
