// The machine as this service finds it: what a step costs, how fast each stream is. The request log says it, so that a replay of
// the traffic meets the same machine.

import { FEW_ROWS } from '../../engine/step-costs.js'
import { BLOCK_TOKENS, type Engine, type SlotTierName } from '../../engine/types.js'
import { STREAM_NAMES, type StreamName } from '../../protocol/lanes.js'
import { perSlotTier, TIERS } from '../../protocol/tiers.js'
import { LeastSquares } from './least-squares.js'

/** Nothing is said from fewer steps. */
const LEAST_STEPS = 8

/** Terms: once a step, a row, one of the first few rows, a row and token that it attends to. */
const CHOICES = [[0, 1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1], [1, 3], [1]] as const

/** A save waits for the step that computes it, so its time says nothing of the stream. */
const STREAMS = STREAM_NAMES.filter((name): name is Exclude<StreamName, 'save'> => name !== 'save')

/** Of a request log. Lengths in tokens, sizes in bytes, times in milliseconds, rates in bytes a millisecond. */
export interface MachineRecord {
  readonly device: string
  readonly layers: number
  readonly kv_bytes_per_token: number
  readonly max_context: number
  readonly max_batch_tokens: number
  readonly max_running: number
  /** Of whole blocks; 0: the tier is off. */
  readonly tier_bytes: Readonly<Record<SlotTierName, number>>
  /** Of a step by itself, each row, each of the first 16 rows besides, and each row and token that it attends to. */
  readonly step_ms: { readonly base: number; readonly row: number; readonly few_row: number; readonly attended: number }
  /** While they have work; what had none yet is missing. */
  readonly bytes_per_ms: { readonly [stream in (typeof STREAMS)[number]]?: number | undefined }
}

/** The limits of a service on it. */
export type MachineLimits = Record<'maxContext' | 'maxBatchTokens' | 'maxRunning', number>

export class MachineMeter {
  readonly #engine: Engine
  readonly #limits: Readonly<MachineLimits>
  readonly #costs = new LeastSquares(4, CHOICES)
  #steps = 0

  constructor(engine: Engine, limits: Readonly<MachineLimits>) {
    this.#engine = engine
    this.#limits = limits
  }

  /** A step of `rows` rows, which attend to `attended` tokens all together, took `ms`, without waiting for loads. */
  stepTook(rows: number, attended: number, ms: number): void {
    if (!(ms > 0)) return
    // Relative errors count: else the longest steps alone would decide.
    this.#costs.add([1, rows, Math.min(rows, FEW_ROWS), attended], ms, 1 / ms ** 2)
    this.#steps++
  }

  /** null: too little was seen of it. */
  record(): MachineRecord | null {
    if (this.#steps < LEAST_STEPS) return null
    const { info } = this.#engine
    const { device, layers, slots, dramStagingOnly } = info
    const { maxContext, maxBatchTokens, maxRunning } = this.#limits
    const [base = 0, row = 0, few = 0, attended = 0] = this.#costs.solve().map(rounded)
    if (base + row === 0) return null
    return {
      device,
      layers,
      kv_bytes_per_token: info.blockBytes / BLOCK_TOKENS,
      max_context: maxContext,
      max_batch_tokens: maxBatchTokens,
      max_running: maxRunning,
      tier_bytes: perSlotTier(tier => (tier === 'dram' && dramStagingOnly ? 0 : slots[tier] * info[TIERS[tier].blockBytes])),
      step_ms: { base, row, few_row: few, attended },
      bytes_per_ms: this.#streams(),
    }
  }

  #streams(): MachineRecord['bytes_per_ms'] {
    const stats = this.#engine.stats()
    const found: { [stream in (typeof STREAMS)[number]]?: number } = {}
    for (const stream of STREAMS) {
      const rate = stats[`${stream}Bytes`] / stats[`${stream}Ms`]
      if (rate > 0 && Number.isFinite(rate)) found[stream] = rounded(rate)
    }
    return found
  }
}

/** More digits would pretend to know more. */
function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

/** Whether any figure differs by more than a tenth. */
export function hasChanged(before: MachineRecord | null, now: MachineRecord): boolean {
  if (before === null) return true
  const figures = ({ step_ms, bytes_per_ms }: MachineRecord): number[] => [
    ...Object.values(step_ms),
    ...STREAMS.map(stream => bytes_per_ms[stream] ?? 0),
  ]
  const earlier = figures(before)
  return figures(now).some((figure, i) => Math.abs(figure - (earlier[i] ?? 0)) > 0.1 * Math.max(figure, earlier[i] ?? 0))
}
