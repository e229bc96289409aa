// Drives an engine by hand: plans and transfers in, their replies as promises.

import {
  BLOCK_TOKENS,
  type BlockKey,
  type Engine,
  type EngineEvent,
  type PlanRow,
  type PlanSave,
  type RowResult,
  type SequenceSpec,
  type StepPlan,
  type StepReply,
  type TableUpdate,
  type TransferDone,
  type WrittenBlock,
} from '../../ts/engine/types.js'
import { nextEdge } from '../../ts/engine/view.js'
import type { TransferRequest } from '../../ts/scheduler/core/transfer-desk.js'
import { greedy } from '../support/sampling.js'

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

export class EngineDriver {
  readonly engine: Engine
  readonly #steps = new Map<number, Waiter<StepReply>>()
  readonly #transfers = new Map<number, Waiter<TransferDone>>()
  #nextStep = 0
  #nextId = 0
  #nextSequence = 0

  constructor(engine: Engine) {
    this.engine = engine
    engine.onEvents = events => {
      for (const event of events) this.#receive(event)
    }
  }

  /** Adds a sequence over `tokens`; end tokens do not end it unless `spec` says so. */
  add(tokens: Uint32Array, spec: Partial<SequenceSpec> = {}): SequenceSpec {
    const added: SequenceSpec = {
      sequence: this.#nextSequence++,
      tokens,
      root: this.engine.text.root('', ''),
      view: null,
      sampling: greedy,
      stop: [],
      stopTokens: [],
      ignoreEos: true,
      maxTokens: 10_000,
      ...spec,
    }
    this.engine.addSequence(added)
    return added
  }

  step(plan: Partial<StepPlan>): Promise<StepReply> {
    const step = this.#nextStep++
    const reply = new Promise<StepReply>((resolve, reject) => {
      this.#steps.set(step, { resolve, reject })
    })
    try {
      this.engine.submit({ resets: [], tables: [], rows: [], saves: [], ...plan, step })
    } catch (error) {
      this.#steps.delete(step)
      throw error
    }
    return reply
  }

  async transfer(request: TransferRequest): Promise<TransferDone> {
    const id = this.#nextId++
    const done = this.#expect(id)
    this.engine.transfer([{ ...request, id }])
    return done
  }

  /** A save for a plan, and its end. */
  save(save: Omit<PlanSave, 'id'>): { readonly save: PlanSave; readonly done: Promise<TransferDone> } {
    const id = this.#nextId++
    return { save: { ...save, id }, done: this.#expect(id) }
  }

  #expect(id: number): Promise<TransferDone> {
    return new Promise((resolve, reject) => {
      this.#transfers.set(id, { resolve, reject })
    })
  }

  /** Nothing of an event is kept: thousands of rows over a vocabulary are more than memory. */
  #receive(event: EngineEvent): void {
    if (event.kind === 'step') take(this.#steps, event.step)?.resolve(event)
    else if (event.kind === 'transfer') take(this.#transfers, event.id)?.resolve(event)
    else if (event.kind === 'failed') for (const { reject } of [...this.#steps.values(), ...this.#transfers.values()]) reject(new Error(`${event.code}: ${event.message}`))
  }
}

function take<T>(waiters: Map<number, T>, id: number): T | undefined {
  const waiter = waiters.get(id)
  waiters.delete(id)
  return waiter
}

const PROMPT = 'The quick brown fox jumps over the lazy dog, and then it rests. '

/** About `blocks` blocks and a bit of tokens. */
export async function promptOf(driver: EngineDriver, blocks: number, begin = ''): Promise<Uint32Array> {
  const tokens = await driver.engine.text.encodePrompt(begin + PROMPT.repeat((blocks + 1) * 5))
  return tokens.slice(0, blocks * BLOCK_TOKENS + 21)
}

/** Table updates that put blocks 0, 1, … of a sequence into `slots`. */
export function tablesOf(sequence: number, slots: readonly number[], first = 0): TableUpdate[] {
  return slots.map((slot, i) => ({ sequence, index: first + i, slot }))
}

/** A first block of `valid` tokens, whichever they are. */
export function written(key: BlockKey, valid: number = BLOCK_TOKENS): WrittenBlock {
  return { key, parent: key, index: 0, view: undefined, lastUse: 0, tokens: new Uint32Array(valid) }
}

/** The slots [from, from + blocks that `tokens` tokens need). */
export function slotsFrom(from: number, tokens: number): number[] {
  return Array.from({ length: Math.ceil(tokens / BLOCK_TOKENS) }, (_, i) => from + i)
}

export interface Generation {
  readonly rows: readonly RowResult[]
  readonly tokens: readonly number[]
  readonly text: string
}

/** The content of rows, in order. */
export function contentOf(rows: readonly RowResult[]): string {
  return rows.flatMap(row => row.parts.map(part => (part.kind === 'content' ? part.text : ''))).join('')
}

/**
 * Computes tokens [computed, known) in chunks and samples `count` tokens. The table must already be sent, or be given
 * with `tables` for the first plan.
 */
export async function generate(
  driver: EngineDriver,
  spec: SequenceSpec,
  count: number,
  { computed = 0, chunk = 1000, tables = [] as readonly TableUpdate[] } = {},
): Promise<Generation> {
  const rows: RowResult[] = []
  const tokens: number[] = []
  const limit = Math.min(chunk, driver.engine.info.maxBatchTokens)
  let from = computed
  let first = tables
  while (tokens.length < count) {
    const known = spec.tokens.length + tokens.length
    const rowCount = Math.min(limit, known - from, nextEdge(spec.view, from) - from)
    const row: PlanRow = { sequence: spec.sequence, from, count: rowCount, sample: from + rowCount === known }
    const reply = await driver.step({ tables: first, rows: [row] })
    first = []
    from += rowCount
    const result = reply.rows[0] as RowResult
    rows.push(result)
    if (result.token !== undefined) tokens.push(result.token)
    if (result.finish !== undefined || result.status !== 'ok') break
  }
  return { rows, tokens, text: contentOf(rows) }
}
