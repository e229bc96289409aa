// One request as the scheduler knows it, from the queue to the end of its answer.

import type { AnswerHash } from '../../conversations/chain.js'
import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS, type BlockKey, type SequenceSpec, type TokenRange } from '../../engine/types.js'
import type { Retention } from '../../placement/retention.js'
import type { TurnUse } from '../../placement/types.js'
import { Trail } from '../accounts/trail.js'
import { BlockTable } from './block-table.js'
import { LoadWait } from './load-wait.js'
import { Progress } from './progress.js'
import { Serving } from './prompt-split.js'
import { Standing } from './standing.js'
import type { Start } from './start.js'
import { Timing } from './timing.js'
import { TokenList } from './tokens.js'
import type { TurnSink } from './turn-sink.js'
import { WaitedFor } from './waited.js'
import { Wants } from './wants.js'

/**
 * waiting (in the queue) → preparing (its blocks are being loaded) → running → ended; preemption and failed loads
 * lead back to waiting. `leaving` says that no further plan names it, and why.
 */
export type SequenceState = 'waiting' | 'preparing' | 'running' | 'ended'
export type LeaveReason = 'cancelled' | 'preempted' | 'void'

/** The sender's words on a request beside its prompt. */
export interface Wishes {
  /** For the blocks that it uses. */
  readonly retention: Retention
  /** Leading tokens of the prompt that are its system prompt. */
  readonly systemTokens: number
  /** Tokens of answers whose reasoning the prompt leaves out. @default none */
  readonly withoutReasoning?: readonly TokenRange[]
}

const NO_WISHES: Wishes = { retention: 'none', systemTokens: 0 }
const NO_WANTS = new Wants([])

/** Its parts have one writer each: themselves. Others change them by their methods. */
export class Sequence {
  /** The whole prompt as the client sent it; `tokens` may have begun without a part of it. */
  readonly history: Uint32Array
  /** Which of its tokens are computed and planned. */
  readonly progress: Progress
  /** Its blocks in hbm. */
  readonly table = new BlockTable()
  /** The loads that it waits for until its blocks are in hbm. */
  readonly loading = new LoadWait()
  /** How its prompt is served. */
  readonly serving = new Serving()
  /** When its phases began. */
  readonly times: Timing
  /** How often others went before it. */
  readonly standing = new Standing()
  /** For what it waited in the queue. */
  readonly waited: WaitedFor
  /** When its phases ran. */
  readonly trail: Trail
  #state: SequenceState = 'waiting'
  #leaving: LeaveReason | null = null
  #isAdded = false
  #spec: SequenceSpec
  #start: Start
  #tokens: TokenList
  #keys: BlockKey[]
  #turnUse: TurnUse | null = null
  #isEndedByToken = false
  #wants = NO_WANTS

  constructor(
    spec: SequenceSpec,
    /** Arrival number; smaller is older. */
    readonly ticket: number,
    /** In order of preference. */
    readonly starts: readonly [Start, ...Start[]],
    readonly turn: TurnSink,
    readonly answer: AnswerHash | null,
    readonly tenant: string,
    readonly requestId: string,
    acceptedAt: number,
    readonly wishes: Wishes = NO_WISHES,
  ) {
    const [start] = starts
    this.history = spec.tokens
    this.#start = start
    this.#spec = { ...spec, tokens: start.tokens }
    this.#tokens = new TokenList(start.tokens)
    this.#keys = fullKeys(start)
    this.progress = new Progress(start.tokens.length)
    this.times = new Timing(acceptedAt)
    this.waited = new WaitedFor(acceptedAt)
    this.trail = new Trail({ conversation: turn.conversation, tenant })
  }

  get state(): SequenceState {
    return this.#state
  }

  /** Why no further plan names it; null: plans may. */
  get leaving(): LeaveReason | null {
    return this.#leaving
  }

  /** The engine knows the sequence. */
  get isAdded(): boolean {
    return this.#isAdded
  }

  get id(): number {
    return this.#spec.sequence
  }

  get root(): BlockKey {
    return this.#spec.root
  }

  get spec(): SequenceSpec {
    return this.#spec
  }

  /** Its request asks for log probabilities of its prompt: all of the prompt is computed. */
  get isScored(): boolean {
    return this.#spec.promptLogprobs !== undefined
  }

  /** Where it begins. */
  get start(): Start {
    return this.#start
  }

  /** Known tokens: those that it began with, and what was sampled. */
  get tokens(): TokenList {
    return this.#tokens
  }

  get promptLength(): number {
    return this.#start.tokens.length
  }

  /** Keys of the full blocks known so far, in chain order. */
  get keys(): readonly BlockKey[] {
    return this.#keys
  }

  /** Tells placement which blocks the turn uses; null: it has none yet. */
  get turnUse(): TurnUse | null {
    return this.#turnUse
  }

  /** Blocks it wants while it waits. */
  get wants(): Wants {
    return this.#wants
  }

  /** Tokens of the answer so far. */
  get answerLength(): number {
    return this.#tokens.length - this.promptLength
  }

  /** Tokens that were generated, the one that ended the answer among them: it was sampled, and is not part of the answer. */
  get generatedLength(): number {
    return this.answerLength + (this.#isEndedByToken ? 1 : 0)
  }

  /** An end or stop token ended the answer. */
  endedByToken(): void {
    this.#isEndedByToken = true
  }

  /** Rows that the next plan may have. */
  get plannableRows(): number {
    return this.progress.front?.rows ?? this.remainingRows
  }

  /** Tokens that may still be planned: the rest of what is known, and one for each token yet to be sampled. */
  get remainingRows(): number {
    const mostRows = this.promptLength + this.#spec.maxTokens - 1
    return Math.min(this.progress.expectedLength, mostRows) - this.progress.planned
  }

  /** Key of the block before block `index`. */
  parentKey(index: number): BlockKey {
    return index === 0 ? this.root : (this.#keys[index - 1] as BlockKey)
  }

  /** Before the engine knows the sequence: begins with other tokens. */
  begin(start: Start): void {
    if (start === this.#start) return
    this.#start = start
    this.#spec = { ...this.#spec, tokens: start.tokens }
    this.#tokens = new TokenList(start.tokens)
    this.#keys = fullKeys(start)
    this.progress.begin(start.tokens.length)
    this.serving.queued([])
  }

  /** Block `index` is full, and this is its key. */
  named(index: number, key: BlockKey): void {
    this.#keys[index] = key
  }

  /** The turn begins, unless it has. */
  beginTurn(begin: () => TurnUse): TurnUse {
    return (this.#turnUse ??= begin())
  }

  /** While it waits, it wants these blocks. */
  want(blocks: readonly Block[]): void {
    this.#wants = new Wants(blocks)
    for (const block of blocks) block.want(this.ticket)
  }

  /** It wants nothing any more. */
  unwant(): void {
    for (const block of this.#wants.blocks) block.unwant(this.ticket)
    this.#wants = NO_WANTS
  }

  /** It has got its slots. */
  prepare(now: number): void {
    this.#state = 'preparing'
    this.times.prepare(now)
    this.waited.end(now)
  }

  /** Plans may name it. */
  run(now: number): void {
    this.#state = 'running'
    this.times.join(now)
  }

  /** Its front has met its back: it waits for the rest of its loads like every other one. */
  meet(): void {
    this.progress.endFront()
    if (this.#state === 'running') this.#state = 'preparing'
  }

  /** The engine knows it from now on. */
  added(): void {
    this.#isAdded = true
  }

  /** No further plan names it. A client that cancels is heard whatever the reason was before; else the first reason stays. */
  leave(reason: LeaveReason): void {
    if (reason === 'cancelled' || this.#leaving === null) this.#leaving = reason
  }

  /** It has left hbm, and goes back to the queue. */
  wait(now: number): void {
    this.#state = 'waiting'
    this.#leaving = null
    this.times.queue(now)
    this.waited.again(now)
    this.standing.retry()
  }

  /** Nothing is computed for it any more. */
  end(): void {
    this.#state = 'ended'
    this.#leaving = null
  }
}

function fullKeys({ keys, tokens }: Start): BlockKey[] {
  return keys.slice(0, Math.floor(tokens.length / BLOCK_TOKENS))
}
