// The inference service: what the HTTP API talks to.

import { isoDay } from '../conversations/conversations.js'
import { conversationKey } from '../conversations/registry.js'
import { messageSecret } from '../directory/secret.js'
import { BLOCK_TOKENS } from '../engine/types.js'
import type { BlockKey, Engine, FinishReason, RowResult } from '../engine/types.js'
import { MIN_WINDOW } from '../engine/view.js'
import type { LowerTierName } from '../protocol/tiers.js'
import { ApiError, ExitError } from '../protocol/errors.js'
import type { CacheMap, WhatIf } from '../protocol/index.js'
import { Accounts } from './records/accounts.js'
import { cacheMap } from './cache-map.js'
import { Changes } from './changes.js'
import { CacheControls } from './controls.js'
import { ConversationControls } from './conversation-controls.js'
import { createCore, type Core } from '../scheduler/core/core.js'
import { IntakeDesk, type Arrival, type Intake } from './intake.js'
import { chatText, messageTexts } from './messages.js'
import { IntegrityWatch } from './integrity-watch.js'
import { restoreKept, type Kept } from './kept.js'
import type { MemoryResponses } from './kept-responses.js'
import { contextThatFits, serviceOptions, type ServiceOptions } from '../scheduler/core/options.js'
import { templateRefusal } from './refusals.js'
import type { RequestRecords } from './records/records.js'
import { RequestLog } from './records/request-log.js'
import { Scheduler } from '../scheduler/loop/scheduler.js'
import type { Sequence } from '../scheduler/sequence/sequence.js'
import { StartFinder } from '../scheduler/sequence/start-finder.js'
import { cacheStatus, serviceCounters } from './status.js'
import type { CacheStatus, ChatPrompt, Choice, DemoteReceipt, InferenceService, ResetReceipt, ServiceCounters, Turn, TurnRequest } from './types.js'
import { whatIf } from './what-if.js'

/** Milliseconds between rounds of housekeeping. */
const HOUSEKEEPING_MS = 10_000

/**
 * Serves turns with an engine, which stays the caller's: it is closed after the service. Throws an ExitError where the
 * options do not fit the engine.
 */
export function createInferenceService(engine: Engine, given: Partial<ServiceOptions> = {}): InferenceService {
  const options = serviceOptions(engine.info, given)
  const mostContext = Math.min(engine.info.modelContext, contextThatFits(engine.info.slots.hbm))
  if (options.maxContext > mostContext || options.maxContext < 2) {
    const message = `the context of ${options.maxContext} tokens is too long: the model and the hbm tier allow ${mostContext}`
    throw new ExitError(2, 'context_does_not_fit', message, { max_context: options.maxContext, fits: mostContext })
  }
  checkWindow(options)
  checkStore(options)
  return new Service(createCore(engine, options))
}

function checkWindow({ contextWindow, maxContext, truncationRatio }: ServiceOptions): void {
  const isWindow = contextWindow === null || (contextWindow >= MIN_WINDOW && contextWindow <= maxContext)
  if (isWindow && truncationRatio > 0 && truncationRatio <= 1) return
  const message = `the window of ${contextWindow} tokens or the ratio of ${truncationRatio} is out of range: a window has ${MIN_WINDOW} to ${maxContext} tokens, a ratio is above 0 and at most 1`
  throw new ExitError(2, 'window_does_not_fit', message, { context_window: contextWindow, truncation_ratio: truncationRatio })
}

function checkStore({ storeResponses, dataDir, noReuse }: ServiceOptions): void {
  if (!storeResponses || (dataDir !== null && !noReuse)) return
  throw new ExitError(2, 'no_data_directory', 'responses are to be stored, and the service has no data directory', { data_dir: dataDir, no_reuse: noReuse })
}

class Service implements InferenceService {
  readonly #core: Core
  readonly #kept: Kept
  readonly conversations: ConversationControls
  readonly responses: MemoryResponses
  readonly #scheduler: Scheduler
  readonly #starts: StartFinder
  readonly #intake: IntakeDesk
  readonly #controls: CacheControls
  readonly #accounts: Accounts
  /** Of the turns that have not ended: what leaves here is counted and recorded, once. */
  readonly #intakes = new Map<Sequence, Intake>()
  /** Requests that are being tokenised: they count as queued. */
  #arriving = 0
  #state: 'open' | 'draining' | 'failed' = 'open'
  #failure: ApiError | null = null
  readonly failed: Promise<ApiError>
  #announceFailure: (failure: ApiError) => void = () => {}
  #closed: Promise<void> | null = null
  readonly #changes = new Changes()
  readonly #watch: IntegrityWatch
  #cancelHousekeeping: () => void = () => {}

  constructor(core: Core) {
    const { options } = core
    this.failed = new Promise(resolve => (this.#announceFailure = resolve))
    const dataDir = options.noReuse ? null : options.dataDir
    const secret = messageSecret(dataDir)
    const accounts = new Accounts(core, options.onRequestLogged ? new RequestLog(core, secret, options.onRequestLogged) : null)
    const kept = restoreKept(core, dataDir, secret)
    const scheduler = new Scheduler(core, kept.store, {
      released: (sequence, keys) => this.#released(sequence, keys),
      finished: (sequence, row) => this.#finished(sequence, row),
      failed: (code, message, cause) => this.#failed(code, message, cause),
      outOfMemory: sequence => this.#refuse(sequence, outOfMemory(core)),
      settled: () => this.#changes.announce(),
    })
    const starts = new StartFinder(core, kept.aliases)
    const nextChange = () => this.#nextChange()
    const controls = new CacheControls(core, scheduler, nextChange)
    this.responses = kept.responses
    this.conversations = new ConversationControls(core, {
      scheduler,
      conversations: kept.conversations,
      referrers: kept.referrers,
      aliases: kept.aliases,
      controls,
      records: accounts.records,
      responses: this.responses,
      nextChange,
      flushed: async () => kept.database?.flushed(),
    })
    this.#core = core
    this.#accounts = accounts
    this.#kept = kept
    this.#scheduler = scheduler
    this.#starts = starts
    this.#intake = new IntakeDesk(core, kept.conversations, starts)
    this.#controls = controls
    const { directory } = core
    this.#watch = new IntegrityWatch(core.clock, {
      isIdle: () => scheduler.isIdle,
      version: () => directory.version + directory.users.version,
      check: () => directory.checks(),
      broken: thrown => this.#booksAreWrong(thrown),
    })
    this.#scheduleHousekeeping()
  }

  get modelContext(): number {
    return this.#core.options.maxContext
  }

  get records(): RequestRecords {
    return this.#accounts.records
  }

  get ready(): boolean {
    return this.#state === 'open'
  }

  get failure(): ApiError | null {
    return this.#failure
  }

  async start(request: TurnRequest): Promise<Turn> {
    const { requestId, sampling } = request
    const [turn] = await this.startChoices(request, [{ requestId, seed: sampling.seed }])
    if (turn === undefined) throw new Error('one choice, no turn')
    return turn
  }

  async startChoices(request: TurnRequest, choices: readonly Choice[]): Promise<readonly Turn[]> {
    try {
      this.#checkOpen()
      this.#checkQueue(choices.length)
      const { resolution, intakes } = await this.#arrive(request, choices)
      this.#checkOpen()
      this.#kept.conversations.accept(resolution)
      if (resolution.key?.isShared) this.#core.counters.sharedKeyRequests++
      for (const intake of intakes) {
        this.#intakes.set(intake.sequence, intake)
        this.#accounts.queued(intake.sequence)
      }
      this.#scheduler.enqueue(intakes.map(({ sequence }) => sequence))
      return intakes.map(({ turn }) => turn)
    } catch (error) {
      this.#core.counters.requests.rejected += choices.length
      throw error
    }
  }

  async tokenizeChat(chat: ChatPrompt, mostTokens: number): Promise<Uint32Array> {
    const { engine, options, clock } = this.#core
    const text = { ...chatText(chat, messageTexts(chat.messages), options.templateArguments), ending: chat.ending }
    try {
      return (await engine.text.encodeChat(text, isoDay(clock.now()), mostTokens)).tokens
    } catch (thrown) {
      throw templateRefusal(chat, thrown)
    }
  }

  async countPrompt(request: TurnRequest): Promise<number> {
    this.#checkOpen()
    return this.#intake.count(request)
  }

  cacheStatus(): CacheStatus {
    return cacheStatus(this.#core, this.#scheduler)
  }

  cacheMap(): Omit<CacheMap, 'uptimeMs'> {
    return cacheMap(this.#core, this.#scheduler)
  }

  whatIf(): WhatIf {
    return whatIf(this.#core)
  }

  counters(): ServiceCounters {
    return serviceCounters(this.#core, this.#scheduler)
  }

  /** What was demoted is found again even if the server is killed right after the answer. */
  async demote(to: LowerTierName): Promise<DemoteReceipt> {
    const receipt = await this.#controls.demote(to)
    await this.#kept.database?.flushed()
    return receipt
  }

  async reset(): Promise<ResetReceipt> {
    const receipt = this.#controls.reset()
    await this.#kept.database?.flushed()
    return receipt
  }

  checkIntegrity(): void {
    this.#core.directory.checkIntegrity()
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    return this.#closed
  }

  async #arrive(request: TurnRequest, choices: readonly Choice[]): Promise<Arrival> {
    this.#arriving += choices.length
    try {
      return await this.#intake.take(request, choices, sequence => this.#cancelled(sequence))
    } finally {
      this.#arriving -= choices.length
    }
  }

  #checkOpen(): void {
    if (this.#failure) throw this.#failure
    if (this.#state === 'draining') throw new ApiError('draining', 'The server is shutting down.')
  }

  /** @param choices Places that are needed. */
  #checkQueue(choices: number): void {
    const { maxQueue } = this.#core.options
    if (choices > maxQueue) {
      const message = `n: The request asks for ${choices} answers; the queue has room for ${maxQueue} (--max-queue).`
      throw new ApiError('invalid_value', message, 'n', { choices, max_queue: maxQueue })
    }
    const queued = this.#scheduler.waiting.length + this.#arriving
    if (queued + choices <= maxQueue) return
    const message = `The queue is full: ${queued} requests are waiting (limit ${maxQueue}).`
    throw new ApiError('queue_full', message, null, { queued, max_queue: maxQueue, retry_after: this.#retryAfter() })
  }

  /** Seconds until the queue is likely shorter: what waits before a newcomer at the pace of the running ones. */
  #retryAfter(): number {
    const rounds = this.#scheduler.waiting.length / Math.max(1, this.#scheduler.active.length)
    return Math.min(60, Math.max(1, Math.ceil((rounds * this.#accounts.meanTurnMs) / 1000)))
  }

  /** Also of a cancelled turn: what was computed of its prompt is the conversation's. */
  #released(sequence: Sequence, keys: readonly BlockKey[]): void {
    const { tenant, turn } = sequence
    if (!this.#core.tiers.keeps || !this.#kept.conversations.get(tenant, turn.conversation)) return
    const intake = this.#intakes.get(sequence)
    if (intake) intake.leaf = keys.findLast(key => this.#core.directory.blocks.has(key)) ?? null
    this.#kept.referrers.refer(conversationKey(tenant, turn.conversation), keys)
  }

  #finished(sequence: Sequence, row: RowResult): void {
    const intake = this.#intakes.get(sequence)
    if (!intake) return
    this.#intakes.delete(sequence)
    const prefill = Math.min(intake.prefill, sequence.promptLength)
    const from = sequence.promptLength - prefill
    const inside = sequence.tokens.copy(from, from + (row.insideTokens ?? 0))
    const hash = sequence.answer?.end() ?? null
    const { leftOut } = sequence.start
    const shape = { length: leftOut + sequence.tokens.length, leftOut, leaf: intake.leaf }
    const whole = inside.length === prefill + sequence.answerLength
    const record = { tokens: inside, bytes: row.insideBytes ?? 0, reasoning: Math.min(inside.length, row.reasoningTokens ?? 0), whole }
    this.#kept.conversations.answered(intake.resolution, { hash, record, ...shape })
    this.#starts.answered(sequence)
    const usage = { ...this.#accounts.usageOf(sequence), reasoningTokens: Math.max(0, (row.reasoningTokens ?? 0) - prefill) }
    const finish = finishOf(row, intake.turn.calls)
    intake.turn.finish({ type: 'done', finish, stopReason: row.stopped ?? null, usage })
    this.#accounts.answered(sequence, usage, finish)
  }

  #cancelled(sequence: Sequence): void {
    if (!this.#intakes.delete(sequence)) return
    this.#accounts.cancelled(sequence)
    this.#scheduler.cancel(sequence)
    this.#changes.announce()
  }

  /** From here on nothing is computed, moved or remembered. The first reason is the one that is told. */
  #failed(code: string, message: string, cause?: unknown): void {
    if (this.#failure) return
    this.#state = 'failed'
    this.#core.disk.close()
    this.#failure = new ApiError('engine_error', `The engine stopped: ${message} (${code})`, null, { engine_code: code }, { cause })
    for (const sequence of this.#intakes.keys()) this.#accounts.failed(sequence, this.#failure.code)
    this.#scheduler.failAll(this.#failure)
    this.#intakes.clear()
    this.#changes.announce()
    this.#announceFailure(this.#failure)
  }

  /** Resolves at the next end of a step or transfer; rejects where there will be none, because the engine has ended. */
  async #nextChange(): Promise<void> {
    if (!this.#failure) await this.#changes.next()
    if (this.#failure) throw this.#failure
  }

  #scheduleHousekeeping(): void {
    const { clock, options } = this.#core
    const { sessionTtlMs } = options
    const period = sessionTtlMs === null ? HOUSEKEEPING_MS : Math.max(100, Math.min(HOUSEKEEPING_MS, sessionTtlMs / 4))
    const run = (): void => {
      this.#keepHouse(sessionTtlMs)
      this.#cancelHousekeeping = clock.after(period, run, { background: true })
    }
    this.#cancelHousekeeping = clock.after(period, run, { background: true })
  }

  #keepHouse(sessionTtlMs: number | null): void {
    try {
      if (sessionTtlMs !== null) this.#controls.dropIdle(this.#core.clock.now() - sessionTtlMs)
      this.responses.expire()
      this.#core.growth.retry()
      this.#watch.begin()
    } catch (thrown) {
      this.#booksAreWrong(thrown)
    }
  }

  #booksAreWrong(thrown: unknown): void {
    this.#failed('internal', 'the books of blocks and slots do not add up', thrown)
  }

  async #close(graceMs: number): Promise<void> {
    this.#cancelHousekeeping()
    this.#watch.stop()
    if (this.#state === 'open') this.#state = 'draining'
    const draining = new ApiError('draining', 'The server is shutting down.')
    for (const sequence of [...this.#scheduler.waiting]) if (!sequence.isAdded) this.#refuse(sequence, draining)
    await this.#drain(graceMs, draining)
    this.#scheduler.moves.hurry()
    while (this.#state !== 'failed' && !this.#scheduler.isIdle) {
      this.#scheduler.pump()
      if (!this.#scheduler.isMoving) break
      await this.#changes.next()
    }
    this.#scheduler.stop()
    this.#core.disk.close()
    await this.#accounts.close()
    if (!this.#failure) this.#kept.store?.refresh(this.#core.directory.inTier.ssd)
    await this.#kept.database?.close()
  }

  /** Running answers have `graceMs`; then they are cut off. */
  async #drain(graceMs: number, error: ApiError): Promise<void> {
    let isOver = graceMs <= 0
    const cancelTimer = this.#core.clock.after(Math.max(0, graceMs), () => {
      isOver = true
      this.#changes.announce()
    })
    while (this.#state !== 'failed' && !isOver && this.#scheduler.active.length + this.#scheduler.waiting.length > 0) {
      await this.#changes.next()
    }
    cancelTimer()
    for (const sequence of [...this.#scheduler.waiting, ...this.#scheduler.active]) this.#refuse(sequence, error)
  }

  #refuse(sequence: Sequence, error: ApiError): void {
    if (!this.#intakes.delete(sequence)) return
    sequence.turn.fail(error)
    this.#accounts.failed(sequence, error.code)
    this.#scheduler.cancel(sequence)
  }
}

function outOfMemory({ directory }: Core): ApiError {
  const slots = directory.pools.hbm.total
  const message = `The system has no memory for more than ${slots} blocks of ${BLOCK_TOKENS} tokens, and the request needs more.`
  return new ApiError('out_of_memory', message, null, { hbm_blocks: slots })
}

/** An answer that ended by itself, after calls, ended with them. */
function finishOf({ finish, stopped }: RowResult, calls: number): FinishReason {
  return finish === 'stop' && calls > 0 && typeof stopped !== 'string' ? 'tool_calls' : (finish ?? 'stop')
}
