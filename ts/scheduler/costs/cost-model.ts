// The time that steps, loads and reads take on this machine, learnt from those that ran, and told to all parts that decide.
// Only speed depends on it. The symbols are those of docs/design/scheduler.md, "Costs":
//
//   S(n)     milliseconds of a step of n rows, from the sizes seen;  f = S(1), what a step costs by itself
//   s, p, a  milliseconds that computing a prompt takes: once a step, a row, a row and token of history behind it
//   c        milliseconds to compute a block of a prompt, in steps of many rows
//   d        milliseconds to read a block from ssd, while the disk has work
//   b        bytes a millisecond that are loaded dram → hbm
//   λ, n     arrivals a millisecond while others are about; requests that wait for others to end
//   q        milliseconds that a step with prompts in it may take
//
// Worked example (test/unit/costs.test.ts holds it): f = 21, s = 20, p = 1, a = 0.0005, c = 84, d = 30, b = 1,000,000.
// With λ = 0.004 and n = 0, q = √(2·21·1/(4·0.004)) = 51.2 ms, so a step has room for 30 rows of a new prompt and for 10
// behind 4,000 tokens. A history of 20 blocks on ssd takes 20·30 = 600 ms to read and 20·84 = 1,680 ms to compute; a front
// of 5 blocks meets the rest after max(5·84, 15·30) = 450 ms. Beside one other request it is read: 5·84 ms that the
// other waits are more than the 150 ms that are gained. Its 30 MB are loaded in 30 ms, which hides behind a step of 84 ms
// in 30 layers (0.9·84·29/30 = 73 ms).

import type { Clock } from '../../engine/clock.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { MachineMeter } from './machine.js'
import { PrefillModel } from './prefill-model.js'
import { Rates } from './rates.js'
import { Throughput } from './throughput.js'

/** w: a millisecond that an arriving request waits weighs as much as `ARRIVAL_WEIGHT` by which a longer one becomes slower. */
const ARRIVAL_WEIGHT = 4
/** The cost of prompts is learnt from steps of whose rows at least this share belongs to prompts. */
const LEAST_PROMPT_SHARE = 0.9

/** A step that ran, without waiting for loads. */
export interface StepTaken {
  readonly rows: number
  /** Tokens that these attend to, all rows together. */
  readonly attended: number
  /** Rows of prompts among them, and the tokens that those attend to. */
  readonly promptRows: number
  readonly promptAttended: number
  /** Milliseconds. */
  readonly ms: number
}

/** Who is about. */
export interface Pressure {
  /** λ */
  readonly arrivalsPerMs: number
  /** n */
  readonly waiting: number
}

export class CostModel {
  readonly #clock: Clock
  /** Told of steps too; null: nothing is said of the machine. */
  readonly #machine: MachineMeter | null
  readonly #rates = new Rates()
  readonly #prefill = new PrefillModel()
  readonly #reads = new Throughput()

  constructor(clock: Clock, machine: MachineMeter | null = null) {
    this.#clock = clock
    this.#machine = machine
  }

  stepTook({ rows, attended, promptRows, promptAttended, ms }: StepTaken): void {
    this.#rates.stepTook(rows, ms)
    this.#machine?.stepTook(rows, attended, ms)
    if (promptRows >= LEAST_PROMPT_SHARE * rows) this.#prefill.stepTook(rows, promptAttended / promptRows, ms)
  }

  loadTook(bytes: number, ms: number): void {
    this.#rates.loadTook(bytes, ms)
  }

  readBegan(): void {
    this.#reads.started(this.#clock.now())
  }

  readEnded(): void {
    this.#reads.ended(this.#clock.now())
  }

  /** S(rows); 0: no step was seen. */
  stepMs(rows: number): number {
    return this.#rates.stepMs(rows)
  }

  /** f; 0: no step was seen. */
  get ownMs(): number {
    return this.#rates.stepMs(1)
  }

  /** s, p and a are known. */
  get isPromptMeasured(): boolean {
    return this.#prefill.isMeasured
  }

  /** s */
  get promptStepMs(): number {
    return this.#prefill.stepMs
  }

  /** What `rows` rows of a prompt behind `history` tokens add to a step: p a row, a a row and token. */
  rowsMs(rows: number, history: number): number {
    return this.#prefill.rowsMs(rows, history)
  }

  /** How many rows behind `history` tokens add at most `ms` to a step. */
  rowsWithin(ms: number, history: number): number {
    return this.#prefill.rowsWithin(ms, history)
  }

  /** The first `tokens` tokens of a prompt, `chunk` rows a step; null: not measured yet. */
  promptMs(tokens: number, chunk: number): number | null {
    return this.#prefill.promptMs(tokens, chunk)
  }

  /** `rows` rows of prompts in steps of many; 0: none were seen. */
  prefillMs(rows: number): number {
    return this.#rates.prefillMs(rows)
  }

  /** c; 0: no prompt was seen. */
  get blockMs(): number {
    return this.#rates.prefillMs(BLOCK_TOKENS)
  }

  /** bytes/b; Infinity before the first load, so that it is waited for. */
  loadMs(bytes: number): number {
    return this.#rates.loadMs(bytes)
  }

  /** d; 0: nothing was read yet. */
  get readMs(): number {
    return this.#reads.msEach(this.#clock.now())
  }

  /**
   * q; Infinity: no other request comes, or nothing was measured. In steps of q milliseconds work takes a share f/q longer, for
   * the request that is computed and the n that wait for it; those who arrive meanwhile, λ a millisecond, wait q/2 each,
   * which weighs w. (1 + n)·f/q + w·λ·q/2 is least at √(2f·(1 + n)/(w·λ)). No less than 2f: half of a step is work.
   */
  quantumMs({ arrivalsPerMs, waiting }: Pressure): number {
    const { ownMs } = this
    if (arrivalsPerMs === 0 || ownMs === 0 || !this.isPromptMeasured) return Infinity
    return Math.max(2 * ownMs, Math.sqrt((2 * ownMs * (1 + waiting)) / (ARRIVAL_WEIGHT * arrivalsPerMs)))
  }
}
