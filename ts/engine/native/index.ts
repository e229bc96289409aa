// NativeEngine: the Engine interface over the Rust addon.

import type {
  Engine,
  EngineEvent,
  EngineInfo,
  EngineStats,
  EngineText,
  OutputReading,
  SequenceSpec,
  SlotTierName,
  StepPlan,
  StepReply,
  Transfer,
} from '../types.js'
import { perSlotTier } from '../../protocol/tiers.js'
import { loadAddon } from './addon.js'
import { usableDefaults } from './defaults.js'
import type { BindingEngine, BindingInfo, BindingOpenOptions, BindingOutput, BindingSequence } from './addon.generated.js'
import { engineError, startError } from './errors.js'
import { bindingOf } from './constraint.js'
import { NativeText } from './text.js'
import { keyToBytes } from './keys.js'
import { readEvents, WireWriter } from './wire.js'

export type NativeEngineOptions = Readonly<BindingOpenOptions>

/** Share of the model that is loaded, 0…1. */
export type ProgressListener = (share: number) => void

/** Most plans without a reply: the running one and the one ahead. */
const PLANS_IN_FLIGHT = 2

/** `createNativeEngine` makes it; tests give it a binding of their own. */
export class NativeEngine implements Engine {
  readonly info: EngineInfo
  readonly text: EngineText
  #listener: ((events: readonly EngineEvent[]) => void) | null = null
  readonly #binding: BindingEngine
  readonly #writer = new WireWriter()
  #inbox = Buffer.alloc(64 * 1024)
  #unanswered = 0
  #closing: Promise<void> | undefined

  constructor(binding: BindingEngine) {
    this.#binding = binding
    this.info = engineInfo(binding.info())
    this.text = new NativeText(binding)
  }

  get onEvents(): (events: readonly EngineEvent[]) => void {
    return this.#listener ?? (() => {})
  }

  /** What was posted meanwhile is still in the outbox, and its wake-up has been. */
  set onEvents(listener: (events: readonly EngineEvent[]) => void) {
    this.#listener = listener
    queueMicrotask(() => this.takeEvents())
  }

  addSequence(spec: SequenceSpec): void {
    this.#call(() => this.#binding.addSequence(nativeSequence(spec), bindingOf(spec.constraint)))
  }

  dropSequence(sequence: number): void {
    this.#call(() => this.#binding.dropSequence(sequence))
  }

  submit(plan: StepPlan): void {
    if (this.#unanswered === PLANS_IN_FLIGHT) throw engineError(new Error('a third plan before the reply of the first'))
    this.#call(() => this.#binding.submit(this.#writer.plan(plan)))
    this.#unanswered++
  }

  transfer(transfers: readonly Transfer[]): void {
    if (transfers.length === 0) return
    this.#call(() => this.#binding.transfer(this.#writer.transfers(transfers)))
  }

  grow(tier: SlotTierName, slots: number): void {
    this.#call(() => this.#binding.grow(tier, slots))
  }

  stats(): EngineStats {
    return this.#call(() => this.#binding.stats())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.#binding.close()
    } catch (thrown) {
      throw engineError(thrown)
    }
    // What ended while closing is told before close says that it is done.
    this.takeEvents()
  }

  /** Called on the event loop when the addon's outbox stops being empty. Without a listener they stay there. */
  takeEvents(): void {
    if (this.#listener === null) return
    const events = this.#readEvents()
    this.#unanswered -= events.filter((event): event is StepReply => event.kind === 'step').length
    if (events.length > 0) this.#listener(events)
  }

  /** Events that were lost leave slots and answers of which nothing is known: the engine is of no use any more. */
  #readEvents(): EngineEvent[] {
    try {
      return this.#readInbox()
    } catch (thrown) {
      const { code, message } = engineError(thrown)
      return [{ kind: 'failed', code, message }]
    }
  }

  #readInbox(): EngineEvent[] {
    for (;;) {
      const length = this.#binding.takeEvents(this.#inbox)
      if (length <= this.#inbox.length) return readEvents(this.#inbox.subarray(0, length))
      this.#inbox = Buffer.alloc(2 * length)
    }
  }

  #call<T>(work: () => T): T {
    try {
      return work()
    } catch (thrown) {
      throw engineError(thrown)
    }
  }
}

function engineInfo(native: BindingInfo): EngineInfo {
  const { temperature, topP, topK, minP, repetitionPenalty, cappedBySlidingWindow: _, ssdOwner: owner, foreignExtents: foreign, ...same } = native
  return {
    ...same,
    kind: 'native',
    slots: perSlotTier(tier => native[`${tier}Slots`]),
    committed: perSlotTier(tier => native[`${tier}Committed`]),
    extents: owner === '' ? null : { owner, foreign },
    defaults: usableDefaults({ temperature, topP, topK, minP, repetitionPenalty }),
  }
}

function nativeSequence(spec: SequenceSpec): BindingSequence {
  const { sampling, badWords = [] } = spec
  return {
    sequence: spec.sequence,
    tokens: spec.tokens,
    root: keyToBytes(spec.root),
    ...(spec.view === null ? {} : { view: spec.view }),
    temperature: sampling.temperature,
    topK: sampling.topK,
    topP: sampling.topP,
    minP: sampling.minP,
    repetitionPenalty: sampling.repetitionPenalty,
    presencePenalty: sampling.presencePenalty,
    frequencyPenalty: sampling.frequencyPenalty,
    logitBiasTokens: Uint32Array.from(sampling.logitBias, ([token]) => token),
    logitBiasValues: Float32Array.from(sampling.logitBias, ([, bias]) => bias),
    seed: sampling.seed,
    ...(sampling.logprobs === null ? {} : { logprobs: sampling.logprobs }),
    stop: [...spec.stop],
    stopTokens: [...spec.stopTokens],
    ignoreEos: spec.ignoreEos,
    includeStop: spec.includeStop ?? false,
    minTokens: spec.minTokens ?? 0,
    badWordTokens: Uint32Array.from(badWords.flat()),
    badWordLengths: Uint32Array.from(badWords, word => word.length),
    maxTokens: spec.maxTokens,
    ...(spec.promptLogprobs === undefined ? {} : { promptLogprobs: spec.promptLogprobs }),
    ...(spec.output === undefined ? {} : { output: nativeOutput(spec.output) }),
    prefill: spec.prefill ?? 0,
  }
}

/** Of the tools only that goes along which reading an answer takes. */
function nativeOutput({ tools, calls, startsInReasoning }: OutputReading): BindingOutput {
  const read = calls ? tools.map(({ name, parameters }) => ({ name, parameters })) : []
  return { tools: JSON.stringify(read), calls, startsInReasoning }
}

/**
 * Loads the model, makes the tiers and starts the engine thread.
 * @throws ExitError with exit code 2 for a wrong model or configuration.
 */
export async function createNativeEngine(
  options: NativeEngineOptions,
  onProgress: ProgressListener = () => {},
): Promise<Engine> {
  let engine: NativeEngine | undefined
  const progress = (done: number, total: number): void => onProgress(total === 0 ? 1 : done / total)
  const wake = (): void => engine?.takeEvents()
  try {
    const binding = await loadAddon().openEngine(options, progress, wake)
    engine = new NativeEngine(binding)
    return engine
  } catch (thrown) {
    throw startError(thrown)
  }
}

/**
 * What random weights of a shape will take, in bytes of memory while they are loaded.
 * @throws ExitError with exit code 2 for a shape that is not known.
 */
export function describeRandomWeights(shape: string): { readonly memoryBytes: number } {
  try {
    return loadAddon().describeRandomWeights(shape)
  } catch (thrown) {
    throw startError(thrown)
  }
}

/** The CUDA devices of this machine, or why there are none. */
export function detectCuda(): { devices: ReadonlyArray<{ ordinal: number; name: string }>; reason?: string } {
  return loadAddon().detectCuda()
}
