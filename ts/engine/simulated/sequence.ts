// One sequence inside the simulated engine.

import { BLOCK_TOKENS, type BlockKey, type PlanRow, type SequenceSpec } from '../types.js'
import { viewBlocks } from '../view.js'
import { Answer } from './answer.js'
import { simulatedConstraint, type SimulatedConstraint } from './constraint.js'
import type { SimulatedText } from './text.js'

export class SimulatedSequence {
  readonly tokens: number[]
  readonly answer: Answer
  /** Block table as of the step that runs, and as of the last plan submitted. */
  table: Array<number | undefined> = []
  plannedTable: Array<number | undefined> = []
  /** Unanswered plans that name it. */
  plans = 0
  isFinished = false
  /** A load it depends on failed; until its table is emptied nothing of it is computed. */
  isVoid = false
  /** Its last row was not sampled: what was planned behind it is not computed. */
  isLate = false
  readonly constraint: SimulatedConstraint | null
  readonly #keys: BlockKey[] = []
  readonly #text: SimulatedText

  constructor(
    readonly spec: SequenceSpec,
    text: SimulatedText,
  ) {
    this.tokens = [...spec.tokens]
    this.answer = new Answer(spec)
    this.#text = text
    this.constraint = simulatedConstraint(spec.constraint)
  }

  get length(): number {
    return this.tokens.length
  }

  /** Tokens of the answer so far. */
  get answered(): readonly number[] {
    return this.tokens.slice(this.spec.tokens.length)
  }

  /** Indices of the blocks that a planned row sees, in view order. */
  blocksSeenBy({ from, count }: PlanRow): number[] {
    return viewBlocks(this.spec.view, from, Math.ceil((from + count) / BLOCK_TOKENS))
  }

  planReset(): void {
    this.plannedTable = []
  }

  reset(): void {
    this.table = []
    this.isVoid = false
  }

  /** Keys of the blocks that rows [from, to) filled. */
  fill(from: number, to: number): Array<{ index: number; key: BlockKey }> {
    const filled: Array<{ index: number; key: BlockKey }> = []
    for (let index = Math.floor(from / BLOCK_TOKENS); (index + 1) * BLOCK_TOKENS <= to; index++) {
      filled.push({ index, key: this.#keyOf(index) })
    }
    return filled
  }

  /** Key of the partly filled block after `computed` tokens; null: the last block is full. */
  tailKey(computed: number): BlockKey | null {
    const rows = computed % BLOCK_TOKENS
    if (rows === 0) return null
    const index = Math.floor(computed / BLOCK_TOKENS)
    return this.#text.blockKey(this.#parentOf(index), index, this.#slice(index * BLOCK_TOKENS, computed), this.spec.view)
  }

  #parentOf(index: number): BlockKey {
    return index === 0 ? this.spec.root : this.#keyOf(index - 1)
  }

  /** Of a full block. */
  #keyOf(index: number): BlockKey {
    for (let next = this.#keys.length; next <= index; next++) {
      const parent = next === 0 ? this.spec.root : (this.#keys[next - 1] as BlockKey)
      this.#keys.push(this.#text.blockKey(parent, next, this.#slice(next * BLOCK_TOKENS, (next + 1) * BLOCK_TOKENS), this.spec.view))
    }
    return this.#keys[index] as BlockKey
  }

  #slice(from: number, to: number): Uint32Array {
    return Uint32Array.from(this.tokens.slice(from, to))
  }
}
