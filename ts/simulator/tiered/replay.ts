// All tiers: a trace through the server's own scheduler, placement and directory, over a simulated engine on a virtual clock.

import { GREEDY } from '../../engine/sampling.js'
import { SimulatedEngine } from '../../engine/simulated/engine.js'
import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { slotsOf } from '../../engine/simulated/slots.js'
import { VirtualClock } from '../../engine/simulated/virtual-clock.js'
import type { EngineStats, SlotTierName } from '../../engine/types.js'
import type { PolicyName } from '../../placement/types.js'
import { ApiError } from '../../protocol/errors.js'
import type { WhatIf } from '../../protocol/what-if.js'
import { contextThatFits } from '../../scheduler/core/options.js'
import { createInferenceService } from '../../service/service.js'
import type { InferenceService, Truncation, TurnRequest, TurnUsage } from '../../service/types.js'
import type { Trace, TraceRequest } from '../traces/trace.js'
import { SIMULATED_TOKENS, TraceTokens } from './tokens.js'

/** As the server's options of these names. */
export interface TieredTruncation {
  /** Tokens; 256 up to the longest context, see `longestContext`. */
  readonly contextWindow: number
  readonly truncationRatio: number
  readonly reuseAfterTruncation: boolean
}

export interface TieredSetting {
  readonly policy: PolicyName
  readonly profile: HardwareProfile
  readonly tierBytes: Readonly<Record<SlotTierName, number>>
  /** Every request computes everything: the baseline. */
  readonly noReuse: boolean
  /** Every request asks for truncation. null: what is longer than the context is refused. @default null */
  readonly truncation?: TieredTruncation | null
}

export interface TieredRun {
  readonly stats: EngineStats
  /** Milliseconds from the first arrival to the last answer's end. */
  readonly spanMs: number
  /** Requests that no tier could ever serve: longer than the model's context, or than hbm. */
  readonly refused: number
  /** The service's curves for other capacities, after the last answer. */
  readonly whatIf: WhatIf
}

/** Told of each answer: the number of its request, and what it took. */
export type AnswerListener = (index: number, usage: TurnUsage) => void

/** Tokens of the longest sequence that the profile's model and an hbm tier of these bytes take. */
export function longestContext(profile: HardwareProfile, tierBytes: TieredSetting['tierBytes']): number {
  return Math.min(profile.modelContext, contextThatFits(slotsOf(profile, tierBytes).hbm))
}

export async function replayTiers(trace: Trace, setting: TieredSetting, onAnswer: AnswerListener): Promise<TieredRun> {
  const { profile, truncation = null } = setting
  const clock = new VirtualClock(0)
  const tokens = new TraceTokens(trace, SIMULATED_TOKENS)
  const slots = slotsOf(profile, setting.tierBytes)
  const answers = new Map<bigint, Uint32Array>()
  const engine = new SimulatedEngine({
    profile,
    clock,
    slots: slots.dram === 0 && slots.ssd > 0 ? { ...slots, dram: STAGING_SLOTS } : slots,
    dramStagingOnly: slots.dram === 0 && slots.ssd > 0,
    maxBatchTokens: profile.maxBatchTokens,
    vocabSize: SIMULATED_TOKENS.first + SIMULATED_TOKENS.count,
    // A sequence that began cold has a shorter prompt than its request.
    recorded: ({ sampling, tokens: prompt }, index) => answers.get(sampling.seed)?.[index - prompt.length],
  })
  const service = createInferenceService(engine, {
    clock,
    policy: setting.policy,
    noReuse: setting.noReuse,
    maxQueue: trace.requests.length + 1,
    maxRunning: profile.maxRunning,
    maxContext: longestContext(profile, setting.tierBytes),
    ...truncation,
  })
  const replay = new Replay({ trace, clock, service, tokens, answers, truncation: truncation ? 'auto' : 'disabled', onAnswer })
  await replay.run()
  const end = clock.now()
  const whatIf = service.whatIf()
  service.checkIntegrity()
  await service.close(0)
  await engine.close()
  return { stats: engine.stats(), spanMs: end, refused: replay.refused, whatIf }
}

/** As a server has them whose dram tier is off. */
const STAGING_SLOTS = 64

interface ReplayParts {
  readonly trace: Trace
  readonly clock: VirtualClock
  readonly service: InferenceService
  readonly tokens: TraceTokens
  /** Of the sequences that live, by seed: the engine answers what was answered. */
  readonly answers: Map<bigint, Uint32Array>
  readonly truncation: Truncation
  readonly onAnswer: AnswerListener
}

class Replay {
  refused = 0
  readonly #parts: ReplayParts
  #left: number
  #ended: () => void = () => {}
  #failed: (error: unknown) => void = () => {}

  constructor(parts: ReplayParts) {
    this.#parts = parts
    this.#left = parts.trace.requests.length
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ended = resolve
      this.#failed = reject
      this.#arrive(0)
    })
  }

  /** One arrival waits on the clock at a time. */
  #arrive(index: number): void {
    const { trace, clock } = this.#parts
    const request = trace.requests[index]
    if (!request) return
    clock.after(request.atMs - clock.now(), () => {
      this.#serve(request, index).catch(this.#failed)
      this.#arrive(index + 1)
    })
  }

  async #serve(request: TraceRequest, index: number): Promise<void> {
    const { tokens, answers, truncation, service, onAnswer } = this.#parts
    const seed = BigInt(index)
    const promptTokens = Math.max(1, request.inputTokens)
    const maxTokens = Math.max(1, request.outputTokens)
    const all = tokens.of(request, index, promptTokens + maxTokens)
    answers.set(seed, all.subarray(promptTokens))
    const prompt = { kind: 'tokens', tokens: all.slice(0, promptTokens), systemTokens: request.systemTokens ?? 0 } as const
    try {
      const turn = await service.start(turnOf({ prompt, maxTokens, truncation }, seed))
      for await (const event of turn) if (event.type === 'done') onAnswer(index, event.usage)
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'context_length_exceeded')) throw error
      this.refused++
    } finally {
      answers.delete(seed)
    }
    this.#left--
    if (this.#left === 0) this.#ended()
  }
}

function turnOf(asked: Pick<TurnRequest, 'prompt' | 'maxTokens' | 'truncation'>, seed: bigint): TurnRequest {
  return {
    requestId: String(seed),
    tenant: '',
    cacheSalt: '',
    conversation: null,
    conversationHint: null,
    sampling: { ...GREEDY, seed },
    stop: [],
    stopTokens: [],
    ignoreEos: true,
    ...asked,
  }
}
