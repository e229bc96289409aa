// An InferenceService without a scheduler: a test writes the answers, and reads what was asked.

import type { EngineInfo, EngineStats, EngineText } from '../../../ts/engine/types.js'
import { ApiError } from '../../../ts/protocol/errors.js'
import type { DiskCondition } from '../../../ts/protocol/disk.js'
import { MemoryResponses } from '../../../ts/service/kept-responses.js'
import { messageTexts } from '../../../ts/service/messages.js'
import { RequestRecords } from '../../../ts/service/records/records.js'
import type {
  CacheStatus,
  ChatPrompt,
  Choice,
  ConversationAdmin,
  ConversationInfo,
  InferenceService,
  ServiceCounters,
  Turn,
  TurnEvent,
  TurnRequest,
  TurnUsage,
} from '../../../ts/service/types.js'

export const VOCABULARY = 512

export const fakeInfo: EngineInfo = {
  kind: 'simulated',
  device: 'fake',
  modelName: 'fake-model',
  layers: 2,
  vocabSize: VOCABULARY,
  modelContext: 4096,
  sliceBytes: 64,
  committed: { hbm: 8, dram: 8, ssd: 30 },
  extents: null,
  blockBytes: 128,
  hostSlotBytes: 4096,
  slots: { hbm: 10, dram: 20, ssd: 30 },
  dramStagingOnly: false,
  ioEngine: 'none',
  maxBatchTokens: 64,
  fingerprint: '00',
  textFingerprint: '00',
  endTokens: [0],
  defaults: { temperature: 0.6, topP: 0.95 },
  hasChatTemplate: true,
  outputFormat: 'generic',
}

/** A token is a byte; 256 and above have no text. */
export const fakeText: EngineText = {
  encodeChat: async ({ messages }) => ({
    tokens: Uint32Array.from(Buffer.from(messages.map(({ role, content }) => `<${role}>${content}`).join(''))),
    systemTokens: 0,
    startsInReasoning: false,
    withoutReasoning: [],
  }),
  encodePrompt: async (text) => Uint32Array.from(Buffer.from(text)),
  tokenize: async (text, special) => Uint32Array.from([...(special ? [256] : []), ...Buffer.from(text)]),
  compile: async ({ kind }) => ({ kind }),
  decode: async (tokens) => Buffer.from(tokens).toString(),
  tokenBytes: (token) => (token < 256 ? Uint8Array.of(token) : new Uint8Array()),
  root: () => '\0'.repeat(32),
  keys: async () => [],
  blockKey: () => '\0'.repeat(32),
}

export const fakeStats: EngineStats = {
  steps: 7,
  computeMs: 1500,
  loadStallMs: 20,
  stalledLayers: 3,
  loadBytes: 100,
  loadMs: 2,
  saveBytes: 200,
  saveMs: 4,
  readBytes: 300,
  readMs: 6,
  writeBytes: 400,
  writeMs: 8,
  damagedReads: 1,
  dramChecked: 0,
  dramDamaged: 0,
  readQueueDepth: 0,
  writeQueueDepth: 0,
  saveQueueDepth: 0,
  loadQueueDepth: 0,
  masks: 12,
  maskMs: 3,
  lateRows: 1,
  grammarsCompiled: 4,
  grammarsCached: 5,
  grammarsRefused: 6,
}

export function usage(changes: Partial<TurnUsage> = {}): TurnUsage {
  return {
    promptTokens: 100,
    completionTokens: 5,
    conversation: 'conv_fake',
    reusedTokens: { hbm: 64, dram: 16, ssd: 8 },
    computedTokens: 12,
    recomputedTokens: 0,
    outsideViewTokens: 0,
    missedTokens: { neverSeen: 6, reasoningDropped: 0, promptScored: 0, evicted: 3, damaged: 2, outsideView: 0, unknown: 1 },
    strandedBlocks: 0,
    queueMs: 1,
    loadMs: 2,
    prefillMs: 3,
    ttftMs: 6,
    ttftWithoutReuseMs: 60,
    ...changes,
  }
}

export function delta(text: string, more: Partial<Extract<TurnEvent, { type: 'delta' }>> = {}): TurnEvent {
  return { type: 'delta', text, tokens: [...Buffer.from(text)], logprobs: [], ...more }
}

export function reasoning(text: string): TurnEvent {
  return { type: 'reasoning', text }
}

/** A call, its arguments in pieces. */
export function call(id: string, name: string, ...pieces: readonly string[]): TurnEvent[] {
  return [{ type: 'call', id, name }, ...pieces.map((text): TurnEvent => ({ type: 'arguments', text }))]
}

export function done(more: Partial<Extract<TurnEvent, { type: 'done' }>> = {}): TurnEvent {
  return { type: 'done', finish: 'stop', stopReason: null, usage: usage(), ...more }
}

/** A turn that yields what the test pushes. */
export class FakeTurn implements Turn {
  readonly conversation: string
  readonly promptTokens = 100
  isCancelled = false
  #events: Array<TurnEvent | Error> = []
  #wake: () => void = () => {}
  /** Resolves when the turn is cancelled. */
  readonly cancelled: Promise<void>
  #onCancelled: () => void = () => {}

  constructor(
    readonly request: TurnRequest,
    events: ReadonlyArray<TurnEvent | Error> = [],
  ) {
    this.conversation = request.conversation ?? 'conv_fake'
    this.#events = [...events]
    this.cancelled = new Promise((resolve) => (this.#onCancelled = resolve))
  }

  push(event: TurnEvent | Error): void {
    this.#events.push(event)
    this.#wake()
  }

  cancel(): void {
    this.isCancelled = true
    this.#onCancelled()
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<TurnEvent> {
    for (;;) {
      const event = this.#events.shift()
      if (event instanceof Error) throw event
      if (event) yield event
      if (event?.type === 'done') return
      if (event) continue
      if (this.isCancelled) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

const fakeConversation: ConversationInfo = {
  id: 'conv_fake',
  tenant: 'acme',
  turns: 2,
  tokens: 130,
  createdAt: 1000.5,
  lastUse: 2000.5,
  forkedFrom: null,
  activeTurns: 1,
  tiers: { hbm: { blocks: 1, tokens: 64 }, dram: { blocks: 0, tokens: 0 }, ssd: { blocks: 1, tokens: 2 } },
  strip: [{ tier: 'hbm', blocks: 1 }, { tier: null, blocks: 1 }, { tier: 'ssd', blocks: 1 }],
}

/** One conversation; any other id is unknown. */
function fakeConversations(called: (call: string) => void): ConversationAdmin {
  const act = (verb: string, id: string, tenant: string | null): void => {
    called(`${verb} ${id} ${tenant}`)
    if (id !== fakeConversation.id) throw new ApiError('not_found', 'The server has no conversation of this id.')
  }
  const conversation = fakeConversation.id
  return {
    list(query) {
      called(`list ${JSON.stringify(query)}`)
      return { rows: [fakeConversation], total: 7, next: 5 }
    },
    async warm(id, tenant) {
      act('warm', id, tenant)
      return { conversation, blocks: 3, promotedBlocks: 2, loadedBlocks: 1, tiers: { hbm: 1, dram: 2, ssd: 0 } }
    },
    async demote(id, tenant, to) {
      act(`demote to ${to}`, id, tenant)
      return { conversation, demotedBlocks: 2, skippedInUse: 1, skippedShared: 4, durable: true }
    },
    async fork(id, tenant) {
      act('fork', id, tenant)
      return { conversation: 'conv_fork', forkedFrom: id, tenant: 'acme', sharedBlocks: 3, durable: true }
    },
    async erase(id, tenant) {
      act('erase', id, tenant)
      const erased = { blocks: 2, bytes: 512, copies: { hbm: 1, dram: 2, ssd: 2 }, remains: 5 }
      return { conversation, tenant: 'acme', erased, recordsErased: 1, requestsAnonymised: 3, responsesErased: 2, keptShared: [{ key: 'ab', referrers: ['conv_other'] }], durable: true }
    },
  }
}

export class FakeService implements InferenceService {
  readonly modelContext = 2048
  /** The chats that were tokenised. */
  readonly chats: ChatPrompt[] = []
  ready = true
  failure: ApiError | null = null
  readonly failed = new Promise<ApiError>(() => {})
  readonly turns: FakeTurn[] = []
  /** What each turn answers; replaced by tests. An ApiError refuses the request. */
  answer: (request: TurnRequest) => ReadonlyArray<TurnEvent | Error> | ApiError = () => [delta('Hello'), delta(' you'), done()]
  readonly records = new RequestRecords()

  readonly responses = new MemoryResponses({ maxBytes: 64 * 1024, ttlMs: 60_000, now: () => this.now })
  /** Milliseconds; a test moves it. */
  now = 0

  /** As many tokens as `fakeText` gives the roles and texts. */
  async countPrompt({ prompt }: TurnRequest): Promise<number> {
    if (prompt.kind !== 'chat') throw new Error('only chats are counted here')
    return (await fakeText.encodeChat({ messages: messageTexts(prompt.messages) }, '')).tokens.length
  }

  cacheMap(): ReturnType<InferenceService['cacheMap']> {
    return { policy: 'lru', tiers: [], owners: [{ conversation: '', tenant: '' }], queue: { length: 0, window: 0, front: [] } }
  }

  whatIf(): ReturnType<InferenceService['whatIf']> {
    return { requests: 0, samplingRate: 1, sampledBlocks: 0, method: 'guessed', policy: 'lru', tiers: [] }
  }

  demoted: Array<'dram' | 'ssd'> = []
  #onStarted: Array<(turn: FakeTurn) => void> = []

  async startChoices(request: TurnRequest, choices: readonly Choice[]): Promise<readonly Turn[]> {
    const requests = choices.map(({ requestId, seed }) => ({ ...request, requestId, sampling: { ...request.sampling, seed } }))
    return Promise.all(requests.map((choice) => this.start(choice)))
  }

  async start(request: TurnRequest): Promise<Turn> {
    if (!this.ready) throw new ApiError('draining', 'The server is shutting down.')
    const answer = this.answer(request)
    if (answer instanceof ApiError) throw answer
    const turn = new FakeTurn(request, answer)
    this.turns.push(turn)
    for (const resolve of this.#onStarted.splice(0)) resolve(turn)
    return turn
  }

  async tokenizeChat(chat: ChatPrompt): Promise<Uint32Array> {
    this.chats.push(chat)
    const messages = chat.messages.map(({ role, content }) => ({ role, content: content as string }))
    return (await fakeText.encodeChat({ messages }, '')).tokens
  }

  /** The next turn that starts. */
  nextTurn(): Promise<FakeTurn> {
    return new Promise((resolve) => this.#onStarted.push(resolve))
  }

  get lastRequest(): TurnRequest {
    const turn = this.turns.at(-1)
    if (!turn) throw new Error('no turn was started')
    return turn.request
  }

  cacheStatus(): CacheStatus {
    const tier = (name: 'hbm' | 'dram' | 'ssd', medium: string, total: number) => ({
      name,
      medium,
      capacityBytes: 1000 * total,
      committedBytes: 800 * total,
      usedBytes: 100 * total,
      capacityBlocks: 10 * total,
      shortage: null,
      blocks: { total, running: 1, waiting: 0, resting: total - 1 },
      hitTokens: total,
    })
    return { tiers: [tier('hbm', 'arena', 2), tier('dram', 'host memory', 3)], policy: 'lru', ioEngine: 'none' }
  }

  counters(): ServiceCounters {
    return {
      requestsTotal: { ok: 1, cancelled: 2, failed: 3, rejected: 4 },
      queued: 5,
      preparing: 6,
      running: 7,
      promptTokens: 8,
      completionTokens: 9,
      computedTokens: 10,
      recomputedTokens: 11,
      reusedTokens: { hbm: 12, dram: 13, ssd: 14 },
      missedTokens: { neverSeen: 5, reasoningDropped: 0, promptScored: 0, evicted: 3, damaged: 1, outsideView: 22, unknown: 1 },
      savedMs: 2500,
      prefillTokensPerS: 1234,
      preemptions: 15,
      sharedKeyRequests: 31,
      followed: { requests: 31, tokens: 32 },
      failedTransfers: [{ kind: 'load', code: 'kv_io', count: 29 }],
      droppedBlocks: { evicted: 16, reset: 17 },
      abandonedBlocks: { save: 29, write: 30 },
      savedBlocks: 18,
      loadedBlocks: 19,
      promotedBlocks: 20,
      writtenBlocks: 21,
      prefetchedBlocks: 22,
      bufferedBlocks: 23,
      prefetchHits: 24,
      wastedPrefetches: 25,
      historyChoices: { load: 26, recompute: 27, split: 28 },
      scheduleMs: { p50: 0.25, p99: 0.5 },
    }
  }

  async demote(to: 'dram' | 'ssd') {
    if (to === 'ssd') throw new ApiError('tier_disabled', 'there is no ssd tier', 'to')
    this.demoted.push(to)
    return { demotedBlocks: 4, skippedInUse: 2, durable: true }
  }

  async reset() {
    return { removedBlocks: 9, skippedInUse: 1, durable: true }
  }

  /** What was asked for, as `verb id tenant`. */
  readonly conversationCalls: string[] = []
  readonly conversations: ConversationAdmin = fakeConversations((call) => this.conversationCalls.push(call))

  checkIntegrity(): void {}

  async close(): Promise<void> {
    this.ready = false
    for (const turn of this.turns) turn.cancel()
  }
}

/** Of a server whose ssd is full, and that has dropped lines of its log. */
export const fakeDisks: readonly DiskCondition[] = [
  { place: 'log', state: 'ok', reason: null, since: 1000, lostLines: 7 },
  { place: 'ssd', state: 'full', reason: '/secret/place: no space left', since: 2000.4 },
]
