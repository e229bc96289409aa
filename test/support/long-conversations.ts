// Conversations of several windows under everything that can happen to a cache: forks, preemption, demotion, restarts,
// cancellation. Every answer's log probabilities are those of an engine with hbm only, which computes the same sequence in
// one go: the same start, the same view.

import { EngineDriver, generate, slotsFrom, tablesOf } from '../contracts/driver.js'
import type { Engine, SequenceSpec, TokenLogprob } from '../../ts/engine/types.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, TurnMessage, TurnRequest, TurnUsage } from '../../ts/service/types.js'
import { Random } from './random.js'
import { greedy } from './sampling.js'
import { chat } from './simulated-service.js'

export const WINDOW = 256
/** Conversations that are held at the same time. */
const TOGETHER = 4
const LONGEST = 4 * WINDOW

export interface LongConversationEngines {
  /** A tight engine; opened again, it finds what its disk holds. */
  readonly tested: () => Promise<Engine>
  /** hbm only, and ample. */
  readonly reference: () => Promise<Engine>
  readonly service: Partial<ServiceOptions>
}

export interface LongConversationCounts {
  turns: number
  /** Answers of sequences that began without a part of their history. */
  cold: number
  /** Turns beyond the window. */
  truncated: number
  reused: number
  forks: number
  preemptions: number
  cancelled: number
}

interface Answer {
  readonly tokens: readonly number[]
  readonly logprobs: readonly TokenLogprob[]
  readonly text: string
  readonly usage: TurnUsage
}

export class LongConversations {
  readonly counts: LongConversationCounts = { turns: 0, cold: 0, truncated: 0, reused: 0, forks: 0, preemptions: 0, cancelled: 0 }
  readonly #engines: LongConversationEngines
  readonly #random: Random
  readonly #specs = new Map<bigint, SequenceSpec>()
  readonly #oracle: EngineDriver
  #engine: Engine
  #service: InferenceService
  #seed = 0n
  #checked: Promise<void> = Promise.resolve()

  private constructor(engines: LongConversationEngines, seed: number, engine: Engine, reference: Engine) {
    this.#engines = engines
    this.#random = new Random(seed)
    this.#oracle = new EngineDriver(reference)
    this.#engine = engine
    this.#service = this.#serve(engine)
  }

  /** Holds `count` conversations; throws where an answer differs. */
  static async hold(engines: LongConversationEngines, seed: number, count: number): Promise<LongConversationCounts> {
    const run = new LongConversations(engines, seed, await engines.tested(), await engines.reference())
    try {
      for (let held = 0; held < count; held += TOGETHER) await run.#together(Math.min(TOGETHER, count - held))
      return run.counts
    } finally {
      await run.#stop()
      await run.#oracle.engine.close()
    }
  }

  #serve(engine: Engine): InferenceService {
    const add = engine.addSequence.bind(engine)
    engine.addSequence = spec => {
      this.#specs.set(spec.sampling.seed, spec)
      add(spec)
    }
    return createInferenceService(engine, { contextWindow: WINDOW, maxContext: WINDOW, ...this.#engines.service })
  }

  async #stop(): Promise<void> {
    this.counts.preemptions += this.#service.counters().preemptions
    this.#service.checkIntegrity()
    await this.#service.close(0)
    await this.#engine.close()
  }

  async #together(count: number): Promise<void> {
    const system = `You talk about ${this.#random.below(1000)}. `.repeat(1 + this.#random.below(9))
    let going = Array.from({ length: count }, (): TurnMessage[] => [{ role: 'system', content: system }])
    while (going.length > 0) {
      const lengths = await Promise.all(going.map(messages => this.#turn(messages)))
      going = going.filter((_, i) => (lengths[i] as number) < LONGEST)
      await this.#disturb(going)
    }
  }

  /** One turn, checked; its length in tokens. */
  async #turn(messages: TurnMessage[]): Promise<number> {
    const random = this.#random
    messages.push({ role: 'user', content: `${random.below(1000)} and `.repeat(1 + random.below(random.pick([4, 30]))) })
    const seed = this.#seed++
    const sampling = { ...greedy, temperature: random.pick([0, 1]), seed, logprobs: 2 }
    const request = chat(messages, { sampling, truncation: 'auto', ignoreEos: true, maxTokens: 1 + random.below(60) })
    if (random.below(8) === 0) return this.#breakOff(messages, request)
    const answer = await this.#ask(request)
    // One at a time: all of them are computed in the same slots.
    this.#checked = this.#checked.then(() => this.#check(seed, answer))
    await this.#checked
    messages.push({ role: 'assistant', content: answer.text })
    return answer.usage.promptTokens
  }

  async #ask(request: TurnRequest): Promise<Answer> {
    const tokens: number[] = []
    const logprobs: TokenLogprob[] = []
    let text = ''
    for await (const event of await this.#service.start(request)) {
      if (event.type === 'done') return { tokens, logprobs, text, usage: event.usage }
      if (event.type !== 'delta') continue
      tokens.push(...event.tokens)
      logprobs.push(...event.logprobs)
      text += event.text
    }
    throw new Error('the turn ended without its usage')
  }

  async #breakOff(messages: TurnMessage[], request: TurnRequest): Promise<number> {
    messages.pop()
    let left = this.#random.below(8)
    for await (const event of await this.#service.start(request)) if (left-- <= 0 || event.type === 'done') break
    this.counts.cancelled++
    return 0
  }

  async #check(seed: bigint, answer: Answer): Promise<void> {
    const known = this.#specs.get(seed)
    if (!known) throw new Error('the engine was never asked')
    this.#specs.delete(seed)
    const { sequence: _, ...rest } = known
    const spec = this.#oracle.add(known.tokens, rest)
    const tables = tablesOf(spec.sequence, slotsFrom(0, known.tokens.length + answer.tokens.length))
    const { tokens, rows } = await generate(this.#oracle, spec, answer.tokens.length, { tables })
    this.#oracle.engine.dropSequence(spec.sequence)
    const logprobs = rows.flatMap(row => (row.logprob ? [row.logprob] : []))
    const expected = JSON.stringify({ tokens, logprobs })
    const actual = JSON.stringify({ tokens: answer.tokens, logprobs: answer.logprobs })
    const about = `request ${seed}, ${known.tokens.length} tokens, ${JSON.stringify(answer.usage)}`
    if (actual !== expected) throw new Error(`${about}: ${actual}\ninstead of ${expected}`)
    this.#count(known, answer.usage)
  }

  #count({ tokens }: SequenceSpec, usage: TurnUsage): void {
    const { hbm, dram, ssd } = usage.reusedTokens
    if (hbm + dram + ssd + usage.computedTokens + usage.outsideViewTokens !== usage.promptTokens) {
      throw new Error(`usage does not add up: ${JSON.stringify(usage)}`)
    }
    this.counts.turns++
    this.counts.reused += hbm + dram + ssd
    if (usage.outsideViewTokens > 0) this.counts.truncated++
    if (tokens.length < usage.promptTokens) this.counts.cold++
  }

  async #disturb(going: TurnMessage[][]): Promise<void> {
    const random = this.#random
    switch (random.below(7)) {
      case 0:
      case 1:
        await this.#service.demote(random.pick(['dram', 'ssd'] as const))
        return
      case 2:
        await this.#stop()
        this.#engine = await this.#engines.tested()
        this.#service = this.#serve(this.#engine)
        return
      case 3:
        if (going.length > 0) await this.#service.reset()
        return
      case 4: {
        // The other branch goes on from an earlier answer; the first one is asked again later.
        const forked = going.length > 0 ? random.pick(going) : undefined
        const back = 1 + 2 * random.below(Math.max(1, Math.floor(((forked?.length ?? 1) - 1) / 2)))
        if (!forked || back < 3) return
        this.counts.forks++
        const branch = forked.slice(0, back)
        if (branch.at(-1)?.role !== 'assistant') branch.pop()
        await this.#turn(branch)
      }
    }
  }
}
