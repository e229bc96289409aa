// What others import as attentionstore/protocol: types of HTTP bodies and socket events, and the errors. No schema is
// exported as a value, so the page does not carry the validator.

import type { z } from 'zod'
import type * as admin from './schemas/admin.js'
import type * as chat from '../surfaces/openai/schemas/chat.js'
import type * as completions from '../surfaces/openai/schemas/completions.js'
import type * as conversations from './schemas/conversations.js'
import type * as errors from '../surfaces/openai/schemas/error.js'
import type * as messages from '../surfaces/openai/schemas/messages.js'
import type * as miss from './schemas/miss.js'
import type * as models from '../surfaces/openai/schemas/models.js'
import type * as requests from './schemas/requests.js'
import type * as session from './schemas/session.js'
import type * as tokenize from '../surfaces/openai/schemas/tokenize.js'
import type * as usage from '../surfaces/openai/schemas/usage.js'

export { ApiError, AttentionStoreError, EngineError, ExitError, type ApiErrorCode } from './errors.js'
export { CELL_STATES, NO_AGE } from './cache-map.js'
export type * from './cache-map.js'
export { diskSentence } from './disk.js'
export type * from './disk.js'
export type * from './events.js'
export type * from './what-if.js'
export { LANES, perStream, STREAM_NAMES, wayOf, type DownLane, type LaneName, type StreamName } from './lanes.js'
export { LOWER_TIERS, perTier, sumTiers, TIER_NAMES, TIERS, type LowerTierName, type TierName } from './tiers.js'

export type ChatMessage = z.input<typeof messages.ChatMessage>
export type ChatRequest = z.input<typeof chat.ChatRequest>
export type ChatResponse = z.output<typeof chat.ChatResponse>
export type ChatChunk = z.output<typeof chat.ChatChunk>
export type CompletionRequest = z.input<typeof completions.CompletionRequest>
export type CompletionResponse = z.output<typeof completions.CompletionResponse>
export type CompletionChunk = z.output<typeof completions.CompletionChunk>
export type Usage = z.output<typeof usage.Usage>
export type ErrorBody = z.output<typeof errors.ErrorBody>
export type ModelRow = z.output<typeof models.Model>
export type ModelList = z.output<typeof models.ModelList>
export type TokenizeRequest = z.input<typeof tokenize.TokenizeRequest>
export type TokenizeResponse = z.output<typeof tokenize.TokenizeResponse>
export type DetokenizeRequest = z.input<typeof tokenize.DetokenizeRequest>
export type DetokenizeResponse = z.output<typeof tokenize.DetokenizeResponse>
export type CacheStatusBody = z.output<typeof admin.CacheStatusBody>
export type DiskList = z.output<typeof admin.DiskList>
export type DemoteRequest = z.input<typeof admin.DemoteRequest>
export type DemoteResponse = z.output<typeof admin.DemoteResponse>
export type ResetResponse = z.output<typeof admin.ResetResponse>
export type ConversationQuery = z.input<typeof conversations.ConversationQuery>
export type ConversationRow = z.output<typeof conversations.ConversationRow>
export type BlockRun = z.output<typeof conversations.BlockRun>
export type ConversationPage = z.output<typeof conversations.ConversationPage>
export type WarmResponse = z.output<typeof conversations.WarmResponse>
export type DemoteConversationResponse = z.output<typeof conversations.DemoteConversationResponse>
export type ForkResponse = z.output<typeof conversations.ForkResponse>
export type EraseReceipt = z.output<typeof conversations.EraseReceipt>
export type SessionRequest = z.input<typeof session.SessionRequest>
export type Session = z.output<typeof session.Session>
export type SessionState = z.output<typeof session.SessionState>
export type SessionEnded = z.output<typeof session.SessionEnded>
export type MissReasons = z.output<typeof miss.MissReasons>
export type RequestPhases = z.output<typeof requests.Phases>
export type RequestEviction = z.output<typeof requests.Eviction>
export type RequestList = z.output<typeof requests.RequestList>
