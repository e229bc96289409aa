// What the HTTP API asks of the service: turns in, streamed answers out, and the cache's own controls.

import type { PageQuery } from '../conversations/query.js'
import type { Retention } from '../placement/retention.js'
import type { FinishReason, SamplingParams, ScoredToken, TierName, TokenLogprob, ToolChoice, ToolDefinition } from '../engine/types.js'
import type { ApiError, CacheMap, DownLane, LowerTierName, RequestRecord, WhatIf } from '../protocol/index.js'

/** A piece of a message. Templates render text; a further kind joins this union where something reads it. */
export interface TextPart {
  readonly kind: 'text'
  readonly text: string
}

export type TurnPart = TextPart

/** A call of a tool: one that an answer made, or one that a message repeats. */
export interface ToolCall {
  /** As the client knows the call; unique in its conversation. */
  readonly id: string
  readonly name: string
  /** JSON text of an object. Of an answer that was cut short, or that a model wrote wrongly: the text as it is. */
  readonly arguments: string
}

/** A message whichever wire format it came in. */
export interface TurnMessage {
  /** `system`, `developer`, `user`, `assistant`, `tool`, or a role that the model's template knows. */
  readonly role: string
  /** A text is short for one text part; texts of several parts follow each other without a separator. */
  readonly content: string | readonly TurnPart[]
  readonly name?: string
  /** Of an assistant's message: its reasoning, where the client sends it back. */
  readonly reasoning?: string
  /** Of an assistant's message, in order. */
  readonly toolCalls?: readonly ToolCall[]
  /** Of a tool's message: the call whose result it is. */
  readonly toolCallId?: string
}

export type { ToolChoice, ToolDefinition }

export interface TurnTools {
  /** At least one; names are unique. */
  readonly definitions: readonly ToolDefinition[]
  /** Names of those that the answer may call; the prompt has all. @default all of them */
  readonly allowed?: readonly string[]
  readonly choice: ToolChoice
  /** Whether one answer may make several calls. */
  readonly parallel: boolean
}

/** The form that an answer is held to. Where the model reasons first, it holds from the end of the reasoning on. */
export type Constraint =
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly schema: unknown }
  /** The whole answer matches. */
  | { readonly kind: 'regex'; readonly pattern: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  /** In Lark's notation, or GBNF. */
  | { readonly kind: 'grammar'; readonly grammar: string }

export type Truncation = 'auto' | 'disabled'

/**
 * With the beginning of an answer, with the last message's content, which the answer goes on with, or with the end of that
 * message. @default answer
 */
export type ChatEnding = 'answer' | 'open' | 'closed'

/** Special tokens of a raw prompt. */
export interface TextSpecials {
  /** It begins as the tokenizer begins texts. @default true */
  readonly addSpecialTokens?: boolean
  /** Names of special tokens in it are these tokens. @default false */
  readonly parseSpecial?: boolean
}

/**
 * The neutral turn: a validated request, the same whichever surface it came through. The surface has applied defaults; the
 * service resolves conversation, tokens and reuse.
 */
export interface TurnRequest {
  readonly requestId: string
  readonly tenant: string
  readonly cacheSalt: string
  /** null: found by the message chain, or made new. */
  readonly conversation: string | null
  /** Names the conversation if no other rule does. */
  readonly conversationHint: string | null
  /** A wish how long what the turn uses is kept; placement prefers, and never promises. @default none */
  readonly retention?: Retention
  readonly prompt:
    | { readonly kind: 'chat'; readonly messages: readonly TurnMessage[]; readonly ending?: ChatEnding }
    | ({ readonly kind: 'text'; readonly text: string } & TextSpecials)
    | { readonly kind: 'tokens'; readonly tokens: Uint32Array; /** Leading ones that are a system prompt. @default 0 */ readonly systemTokens?: number }
  readonly sampling: SamplingParams
  readonly stop: readonly string[]
  readonly stopTokens: readonly number[]
  readonly ignoreEos: boolean
  /** Nothing ends the answer before it has so many tokens, but a constraint that leaves only its end. @default 0 */
  readonly minTokens?: number
  /** The answer contains none of these. @default none */
  readonly badWords?: readonly string[]
  /** A stop string is the end of the answer's text. @default false */
  readonly includeStop?: boolean
  /** null: what fits in the context. */
  readonly maxTokens: number | null
  /** The prompt's tokens get log probabilities. Without truncation only. @default none */
  readonly promptLogprobs?: PromptQuestion | undefined
  /** `auto`: what is longer than the context goes on with a part of it; `disabled`: it is refused. */
  readonly truncation: Truncation
  /** Of a longer prompt only its last so many tokens are taken; `context`: as many as leave room for the answer. @default all */
  readonly lastTokens?: number | 'context'
  /** Absent: the prompt names no tools. */
  readonly tools?: TurnTools
  readonly constraint?: Constraint
  /** Field of the request that asks for the constraint, for errors. @default the field of the OpenAI format */
  readonly constraintField?: string
  /** Variables that the template gets to see besides its own, by name: JSON values. */
  readonly templateArguments?: Readonly<Record<string, unknown>>
  /** The source of a template in the place of the model's own. */
  readonly chatTemplate?: string
  /** Field of the request that has the messages of a chat, for errors. @default messages */
  readonly messagesField?: string
}

/** One of the answers that a turn asks for. */
export interface Choice {
  /** In the place of the turn's. */
  readonly requestId: string
  readonly seed: SamplingParams['seed']
}

/** A chat to be tokenised, as a turn has it. */
export interface ChatPrompt extends Pick<TurnRequest, 'tools' | 'templateArguments' | 'chatTemplate'> {
  readonly messages: readonly TurnMessage[]
  readonly ending: ChatEnding
}

export interface TurnUsage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** Of `completionTokens`: those of the reasoning. @default 0 */
  readonly reasoningTokens?: number
  readonly conversation: string
  readonly reusedTokens: Readonly<Record<TierName, number>>
  readonly computedTokens: number
  readonly recomputedTokens: number
  /** Prompt tokens that the first computed one does not see. */
  readonly outsideViewTokens: number
  /** Prompt tokens that were not reused, by reason: together computed + outside view. */
  readonly missedTokens: MissedPrompt
  /** Full prompt blocks that were there, and of no use because one before them was not. */
  readonly strandedBlocks: number
  /** Milliseconds. */
  readonly queueMs: number
  readonly loadMs: number
  readonly prefillMs: number
  readonly ttftMs: number
  /** Estimated: `ttftMs` without reuse. null: no prefill was measured yet. */
  readonly ttftWithoutReuseMs: number | null
}

export type MissedPrompt = Readonly<Record<'neverSeen' | 'reasoningDropped' | 'promptScored' | 'evicted' | 'damaged' | 'outsideView' | 'unknown', number>>

export type TurnEvent =
  /**
   * `tokens` and `logprobs` are of every token since the delta before: of those that gave no text too, and of reasoning and
   * calls between. Tokens after the last content come, with an empty text, only where log probabilities were asked for.
   */
  | { readonly type: 'delta'; readonly text: string; readonly tokens: readonly number[]; readonly logprobs: readonly TokenLogprob[] }
  | { readonly type: 'reasoning'; readonly text: string }
  /** A call begins, and the one before it is complete. */
  | { readonly type: 'call'; readonly id: string; readonly name: string }
  /** More of the last call's arguments: joined they are one JSON text. */
  | { readonly type: 'arguments'; readonly text: string }
  /** `finish`: any word of the engine's; surfaces map those that their format has, and have a word for the others. */
  | { readonly type: 'done'; readonly finish: FinishReason; readonly stopReason: string | number | null; readonly usage: TurnUsage }

/** What is asked about a prompt's tokens: their log probabilities, each with `top` alternatives. `field` of the request asks. */
export interface PromptQuestion {
  readonly top: number
  readonly field: string
}

/** A prompt whose request asks about its tokens. */
export interface ScoredPrompt {
  readonly tokens: Uint32Array
  /** Of each token but the first. */
  readonly scores: readonly ScoredToken[]
}

/** One running turn. Iterating yields parts of the answer and one `done`; a failure throws an ApiError. */
export interface Turn extends AsyncIterable<TurnEvent> {
  /** Both are known once the request is accepted. */
  readonly conversation: string
  readonly promptTokens: number
  /**
   * Where the request asks about its prompt; there once the first event has come. All answers to one request have the same;
   * absent where the answer that scores the prompt was cancelled before the end of it.
   */
  readonly scoredPrompt?: ScoredPrompt | undefined
  /** Ends the generation within two steps. Idempotent; safe after the end. */
  cancel(): void
}

/** A response that a client may name again. The service keeps its texts and reads none of them. */
export interface KeptResponse {
  readonly tenant: string
  readonly id: string
  readonly conversation: string
  /** JSON texts: of the input items that the request brought, and of the response. */
  readonly input: string
  readonly body: string
  /** Ids of the response's output items. */
  readonly items: readonly string[]
}

/** A response and those that it went on from. */
export interface ResponseThread {
  /** Oldest first. */
  readonly responses: readonly KeptResponse[]
}

/** Responses by tenant, bounded in bytes and time. Those of an erased conversation are gone with it. */
export interface KeptResponses {
  /** `before`: the thread that it continues; null: it begins one. */
  keep(response: KeptResponse, before: ResponseThread | null): void
  /** null: unknown, expired, or another tenant's. */
  find(tenant: string, id: string): KeptResponse | null
  /** The response that has this output item. */
  ownerOf(tenant: string, item: string): KeptResponse | null
  thread(tenant: string, id: string): ResponseThread | null
  /** False: there was none. */
  forget(tenant: string, id: string): boolean
  /** Ends when what was forgotten so far is gone for good: where responses are stored, also after a power loss. */
  flushed(): Promise<void>
}

export interface TierStatus {
  readonly name: TierName
  /** `arena`, `gpu`, `host memory`, `disk` */
  readonly medium: string
  readonly capacityBytes: number
  /** Of these, the bytes that were taken from the system. */
  readonly committedBytes: number
  readonly usedBytes: number
  readonly capacityBlocks: number
  /** Why the tier is smaller than its bound: the system has no memory, or the disk no room, for more. null: it is not. */
  readonly shortage: string | null
  /**
   * total = running + waiting + resting. waiting: a queued request wants it, and no running one holds it; resting: no
   * request wants it.
   */
  readonly blocks: { readonly total: number; readonly running: number; readonly waiting: number; readonly resting: number }
  /** Prompt tokens served from this tier since start. */
  readonly hitTokens: number
}

export interface CacheStatus {
  readonly tiers: readonly TierStatus[]
  readonly policy: string
  readonly ioEngine: string
}

/** Counters since start, and gauges, for /metrics and the dashboard. */
export interface ServiceCounters {
  readonly requestsTotal: Readonly<Record<'ok' | 'cancelled' | 'failed' | 'rejected', number>>
  readonly queued: number
  readonly preparing: number
  readonly running: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly computedTokens: number
  readonly recomputedTokens: number
  readonly reusedTokens: Readonly<Record<TierName, number>>
  readonly missedTokens: MissedPrompt
  /** Estimated milliseconds of computation that reuse saved, turn by turn never less than 0. */
  readonly savedMs: number
  /** Estimated tokens a second of computing a prompt of 1,024 tokens; null: not measured yet. */
  readonly prefillTokensPerS: number | null
  readonly preemptions: number
  /** Requests whose key stands for many unlike histories and named no conversation. */
  readonly sharedKeyRequests: number
  /** Requests that waited for a prompt that was being computed, and the tokens that they waited for. */
  readonly followed: Readonly<Record<'requests' | 'tokens', number>>
  /** Transfers that failed, by kind (of `Transfer`) and code, in the order in which they first did. */
  readonly failedTransfers: ReadonlyArray<{ readonly kind: string; readonly code: string; readonly count: number }>
  /** Blocks given up, by cause: `evicted`, `write_queue_full`, `damaged`, `reset`, `ttl`, `foreign`. */
  readonly droppedBlocks: Readonly<Record<string, number>>
  /** Blocks whose save or write failed again and again, and is not tried any more. */
  readonly abandonedBlocks: Readonly<Record<DownLane, number>>
  readonly savedBlocks: number
  readonly loadedBlocks: number
  /** ssd → dram, and dram → ssd. */
  readonly promotedBlocks: number
  readonly writtenBlocks: number
  /** For requests that wait: promoted ssd → dram before their turn, and loaded dram → hbm into the read buffer. */
  readonly prefetchedBlocks: number
  readonly bufferedBlocks: number
  /** Prefetched blocks that a request used, and that left memory before any did. */
  readonly prefetchHits: number
  readonly wastedPrefetches: number
  /** Requests whose history lay on ssd when their turn came, by what was done about it. */
  /** Of the key-addressed tier; absent without one. */
  readonly keyedBlocks?: Readonly<Record<'present' | 'absent' | 'late' | 'fetched' | 'put' | 'skipped' | 'failed', number>>
  readonly historyChoices: Readonly<Record<'load' | 'recompute' | 'split', number>>
  /** Time the scheduler's own code took in the last steps, milliseconds, median and p99. */
  readonly scheduleMs: { readonly p50: number; readonly p99: number }
}

/** Of a change that outlives the server. */
interface Receipt {
  /** It is on disk; false: the disk of the store takes nothing now, and the change follows when it does. */
  readonly durable: boolean
}

export interface DemoteReceipt extends Receipt {
  readonly demotedBlocks: number
  readonly skippedInUse: number
}
export interface ResetReceipt extends Receipt {
  readonly removedBlocks: number
  readonly skippedInUse: number
}

/** Blocks, and the tokens whose KV they hold. */
export interface Held {
  readonly blocks: number
  readonly tokens: number
}

/** Neighbouring blocks whose fastest copy lies in the same tier; null: they are in none. */
export interface PlacedRun {
  readonly tier: TierName | null
  readonly blocks: number
}

/** Times in milliseconds since the Unix epoch. */
export interface ConversationInfo {
  readonly id: string
  readonly tenant: string
  readonly turns: number
  /** Length of the last turn, prompt and answer. */
  readonly tokens: number
  readonly createdAt: number
  readonly lastUse: number
  readonly forkedFrom: string | null
  /** Turns that wait or run. */
  readonly activeTurns: number
  /** All its blocks, each in the fastest tier that has it. */
  readonly tiers: Readonly<Record<TierName, Held>>
  /** Those of the last turn, in the order of the tokens. */
  readonly strip: readonly PlacedRun[]
}

export interface ConversationList {
  /** Most recently used first. */
  readonly rows: readonly ConversationInfo[]
  /** On all pages. */
  readonly total: number
  /** null: this is the last page. */
  readonly next: number | null
}

/** Blocks that came up. */
export interface ConversationWarming {
  readonly conversation: string
  /** ssd → dram. */
  readonly promotedBlocks: number
  /** Into hbm. */
  readonly loadedBlocks: number
  /** Blocks that some tier holds, and in which tier they are at their fastest now. */
  readonly blocks: number
  readonly tiers: Readonly<Record<TierName, number>>
}

export interface ConversationDemotion extends DemoteReceipt {
  readonly conversation: string
  readonly skippedShared: number
}

export interface ConversationFork extends Receipt {
  readonly conversation: string
  readonly forkedFrom: string
  readonly tenant: string
  readonly sharedBlocks: number
}

export interface ErasedCopies {
  readonly blocks: number
  /** Of all copies. */
  readonly bytes: number
  readonly copies: Readonly<Record<TierName, number>>
  /** Slots of the ssd tier that held blocks which had been given up before. */
  readonly remains: number
}

/** A block that outlives one of its conversations; the key in hex. */
export interface KeptBlock {
  readonly key: string
  readonly referrers: readonly string[]
}

export interface ConversationErasure extends Receipt {
  readonly conversation: string
  readonly tenant: string
  readonly erased: ErasedCopies
  /** Token records of answers. */
  readonly recordsErased: number
  /** Records of requests that no longer say whose they were. */
  readonly requestsAnonymised: number
  /** Responses that could be named again. */
  readonly responsesErased: number
  readonly keptShared: readonly KeptBlock[]
}

/**
 * Conversations as an operator sees them. `tenant` null: whoever has a conversation of this id. Rejects with `not_found`,
 * and with `invalid_value` where several tenants have one.
 */
export interface ConversationAdmin {
  list(query: PageQuery): ConversationList
  /** Brings its blocks up to dram, and to hbm where it has free slots. Rejects with `tier_disabled`. */
  warm(id: string, tenant: string | null): Promise<ConversationWarming>
  /** Rejects with `tier_disabled`. */
  demote(id: string, tenant: string | null, to: LowerTierName): Promise<ConversationDemotion>
  fork(id: string, tenant: string | null): Promise<ConversationFork>
  /** Rejects with `in_use`. */
  erase(id: string, tenant: string | null): Promise<ConversationErasure>
}

/** Records, and where the next question goes on. */
export interface ChangedRecords {
  /** Oldest first. */
  readonly records: readonly RequestRecord[]
  /** Changed records that were left out: older ones. */
  readonly skipped: number
  readonly mark: number
}

/** The last requests that ended. */
export interface RequestHistory {
  /** Records older than `cursor` (undefined: all), newest first, at most `limit`. `next`: where older ones begin. */
  page(cursor: number | undefined, limit: number): { readonly records: readonly RequestRecord[]; readonly next: number | null }
  /** What was added or changed since `mark`; of more than `most` the newest. */
  changedSince(mark: number, most: number): ChangedRecords
  /** The latest state, for a caller that wants only what changes from now on. */
  readonly mark: number
}

/** The service as the API sees it. */
export interface InferenceService {
  readonly modelContext: number
  /** Resolves, tokenises and enqueues. Rejects with an ApiError (queue_full, context_length_exceeded, draining, …). */
  start(request: TurnRequest): Promise<Turn>
  /**
   * The same for several answers to one request, one turn each, in the order of `choices`: all are enqueued, or none. Their
   * prompt is tokenised once, and computed once where anything is kept.
   */
  startChoices(request: TurnRequest, choices: readonly Choice[]): Promise<readonly Turn[]>
  /** The tokens that a chat has today. Rejects with `PromptTooLong` where they are more than `mostTokens`. */
  tokenizeChat(chat: ChatPrompt, mostTokens: number): Promise<Uint32Array>
  /**
   * Tokens of the prompt that the turn would have. Nothing is stored or enqueued. Rejects as `start` does, but counts prompts
   * that are longer than the context too, up to MAX_TRUNCATED tokens.
   */
  countPrompt(request: TurnRequest): Promise<number>
  readonly responses: KeptResponses
  cacheStatus(): CacheStatus
  counters(): ServiceCounters
  /** For the dashboard; both walk through the cache, so they are for when somebody looks. */
  cacheMap(): Omit<CacheMap, 'uptimeMs'>
  whatIf(): WhatIf
  /** The last thousand requests that ended. */
  readonly records: RequestHistory
  demote(to: LowerTierName): Promise<DemoteReceipt>
  reset(): Promise<ResetReceipt>
  readonly conversations: ConversationAdmin
  /** Able to take work. */
  readonly ready: boolean
  /**
   * Why the engine has ended, with its code as `engine_code`; null: it has not. From then on every turn, and every wait
   * for the engine, ends with this error.
   */
  readonly failure: ApiError | null
  /** Resolves with `failure` when the engine has ended. */
  readonly failed: Promise<ApiError>
  /** Throws if used + free ≠ total, a slot is owned twice, or a key has no bytes. */
  checkIntegrity(): void
  /** New work gets `draining`; running answers have `graceMs`; saves are flushed; the directory is written. */
  close(graceMs: number): Promise<void>
}
