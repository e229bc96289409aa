// One request as the scheduler knows it, from the queue to the end of its answer.

import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS, type BlockKey, type SequenceSpec, type TierName } from '../../engine/types.js'
import type { AnswerHash } from '../../conversations/chain.js'
import type { TableEntry } from './block-table.js'
import type { Front } from './front.js'
import { LoadWait } from './load-wait.js'
import type { Retention } from '../../placement/retention.js'
import type { TurnUse } from '../../placement/types.js'
import type { PromptSplit } from './prompt-split.js'
import type { Start } from './start.js'
import { TokenList } from './tokens.js'
import { Trail } from '../accounts/trail.js'
import type { TurnSink } from './turn-sink.js'

/**
 * waiting (in the queue) → preparing (its blocks are being loaded) → running → ended; preemption and failed loads
 * lead back to waiting. `leaving` says that no further plan names it, and why.
 */
export type SequenceState = 'waiting' | 'preparing' | 'running' | 'ended'
export type LeaveReason = 'cancelled' | 'preempted' | 'void'

export interface SequenceTimes {
  readonly accepted: number
  prepared: number
  joined: number
  firstToken: number
}

/** Fetching before its turn: the first of `wanted` not looked at yet, reads under way, and whether dram had no room. */
export interface Ahead {
  next: number
  pending: number
  isStuck: boolean
}

export class Sequence {
  state: SequenceState = 'waiting'
  leaving: LeaveReason | null = null
  /** The whole prompt as the client sent it; `tokens` may have begun without a part of it. */
  readonly history: Uint32Array
  spec: SequenceSpec
  start: Start
  tokens: TokenList
  promptLength: number
  /** Keys of the full blocks known so far, in chain order. */
  keys: BlockKey[]
  /** By block index; what lies outside the view has no entry. */
  table: Array<TableEntry | undefined> = []
  /** Blocks before this one that are outside the view have left the table. */
  leftUpTo = 0
  /** Table entries that the engine knows of. */
  tableSent = 0
  /** The engine's table must be emptied first. */
  needsReset = false
  /** The engine knows the sequence. */
  isAdded = false
  /** Tokens whose KV is computed, as far as answered steps say. */
  computed = 0
  /** Tokens whose KV is computed once every submitted plan has run. */
  planned = 0
  /** Length once every submitted plan has run: known tokens and one more for each plan that samples. */
  expectedLength: number
  /** The most that was ever computed: what is computed again below it counts as recomputed. */
  highWater = 0
  recomputed = 0
  lastStep = -1
  split: PromptSplit | null = null
  /** Tells placement which blocks the turn uses; null: it has none yet. */
  turnUse: TurnUse | null = null
  /** What its sender wishes for the blocks that it uses. */
  retention: Retention = 'none'
  /** Leading tokens of the prompt that are its system prompt. */
  systemTokens = 0
  isSplitFinal = false
  /** Set while the front of the history is computed and its back is read. */
  front: Front | null = null
  /** What it waits for until its blocks are in hbm. */
  readonly loading = new LoadWait()
  /** The rows of its own last block are complete: it ran since it got its slots, or extends a block in place. */
  isTailSettled = false
  /** Key of the last block that was kept when it left hbm. */
  leaf: BlockKey | null = null
  /** Key of the last, partly filled block, once the engine has said it. */
  tailKey: BlockKey | null = null
  /** Blocks it wants while it waits. */
  wanted: Block[] = []
  /** How far these were brought into memory before its turn. */
  ahead: Ahead = { next: 0, pending: 0, isStuck: false }
  /** Younger requests that were admitted before it, and when the first of them was, in milliseconds. */
  overtaken = 0
  overtakenAt = 0
  /** Plans in a row in which its prompt stood back behind shorter ones. */
  stoodBack = 0
  /** When its phases ran. */
  readonly trail: Trail
  /** Blocks whose rows it got its slots filled from, since it has had them. */
  sources: Block[] = []
  /** Since when it has waited for its slots, in milliseconds. */
  queuedAt: number
  /** Tier of each matched block when the request was queued. */
  queuedTiers: Array<TierName | undefined> = []
  /** Directory version at which it last could not be admitted. */
  refusedAt = -1
  readonly times: SequenceTimes

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
  ) {
    this.history = spec.tokens
    this.start = starts[0]
    this.spec = { ...spec, tokens: this.start.tokens }
    this.tokens = new TokenList(this.start.tokens)
    this.promptLength = this.start.tokens.length
    this.keys = fullKeys(this.start)
    this.expectedLength = this.promptLength
    this.queuedAt = acceptedAt
    this.trail = new Trail({ conversation: turn.conversation, tenant })
    this.times = { accepted: acceptedAt, prepared: 0, joined: 0, firstToken: 0 }
  }

  get id(): number {
    return this.spec.sequence
  }

  get root(): BlockKey {
    return this.spec.root
  }

  /** Before the engine knows the sequence: begins with other tokens. */
  begin(start: Start): void {
    if (start === this.start) return
    this.start = start
    this.spec = { ...this.spec, tokens: start.tokens }
    this.tokens = new TokenList(start.tokens)
    this.promptLength = start.tokens.length
    this.keys = fullKeys(start)
    this.expectedLength = this.promptLength
    this.queuedTiers = []
  }

  /** Tokens sampled so far. */
  get answerLength(): number {
    return this.tokens.length - this.promptLength
  }

  /** Key of the block before block `index`. */
  parentKey(index: number): BlockKey {
    return index === 0 ? this.root : (this.keys[index - 1] as BlockKey)
  }

  /** Rows that the next plan may have. */
  get plannableRows(): number {
    return this.front ? this.front.rows : this.remainingRows
  }

  /** Tokens that may still be planned: the rest of what is known, and one for each token yet to be sampled. */
  get remainingRows(): number {
    const mostRows = this.promptLength + this.spec.maxTokens - 1
    return Math.min(this.expectedLength, mostRows) - this.planned
  }
}

function fullKeys({ keys, tokens }: Start): BlockKey[] {
  return keys.slice(0, Math.floor(tokens.length / BLOCK_TOKENS))
}
