// JavaScript's cost a step: what the scheduler's own code takes from a step's reply to the next plan, at 64 sequences.

import type { Engine } from '../../ts/engine/types.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, TurnRequest } from '../../ts/service/types.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { median, show } from '../support/figures.js'

const SEQUENCES = 64
const PROMPT_TOKENS = 500
const BOUND_US = 300

/** Microseconds a batch of events, without what the engine itself takes inside it. */
class CostMeter {
  readonly samples: number[] = []
  #engineMs = 0

  /** Counts the calls into the engine. */
  wrap<T extends Engine>(engine: T): T {
    for (const name of ['submit', 'transfer', 'addSequence', 'dropSequence'] as const) {
      const call = engine[name].bind(engine) as (argument: never) => void
      Object.defineProperty(engine, name, { value: (argument: never) => this.#timed(() => call(argument)) })
    }
    return engine
  }

  /** Counts what is done with events. After the service has set its handler. */
  watch(engine: Engine): void {
    const handle = engine.onEvents
    engine.onEvents = events => {
      this.#engineMs = 0
      const start = performance.now()
      handle(events)
      const ms = performance.now() - start - this.#engineMs
      if (events.some(event => event.kind === 'step')) this.samples.push(ms * 1000)
    }
  }

  #timed(call: () => void): void {
    const start = performance.now()
    call()
    this.#engineMs += performance.now() - start
  }
}

function requestOf(index: number, maxTokens: number): TurnRequest {
  const tokens = Uint32Array.from({ length: PROMPT_TOKENS }, (_, i) => (i * 31 + index * 7) % 250)
  const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 }
  return {
    requestId: `${index}`,
    tenant: '',
    cacheSalt: '',
    conversation: `bench-${index}`,
    conversationHint: null,
    prompt: { kind: 'tokens', tokens },
    sampling: { ...sampling, logitBias: [], seed: BigInt(index), logprobs: null },
    stop: [],
    stopTokens: [],
    ignoreEos: true,
    maxTokens,
    truncation: 'disabled',
  }
}

async function drain(service: InferenceService, request: TurnRequest): Promise<void> {
  const turn = await service.start(request)
  for await (const event of turn) if (event.type === 'done') return
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const clock = new VirtualClock()
  const meter = new CostMeter()
  const engine = meter.wrap(new SimulatedEngine({ clock, slots: { hbm: 1500, dram: 3000, ssd: 6000 } }))
  const service = createInferenceService(engine, { clock })
  meter.watch(engine)
  const maxTokens = quick ? 300 : 900
  progress(`${SEQUENCES} sequences of ${PROMPT_TOKENS} prompt and ${maxTokens} answer tokens`)
  await Promise.all(Array.from({ length: SEQUENCES }, (_, i) => drain(service, requestOf(i, maxTokens))))
  await service.close(0)
  await engine.close()
  // Steps in which all sequences decode: the ramp up and down is left out.
  const steady = meter.samples.slice(Math.floor(meter.samples.length * 0.3), Math.floor(meter.samples.length * 0.95))
  const p50 = median(steady)
  const p99 = steady.toSorted((a, b) => a - b)[Math.floor(steady.length * 0.99)] ?? NaN
  const verdict = p50 <= BOUND_US ? 'met' : 'not met'
  return {
    tables: [{ title: `Scheduler, µs a step at ${SEQUENCES} sequences`, columns: ['steps', 'median', 'p99'], rows: [[`${steady.length}`, show(p50), show(p99)]] }],
    plots: [],
    notes: [`median ≤ ${BOUND_US} µs: ${verdict}`],
    data: { sequences: SEQUENCES, steps: steady.length, p50_us: p50, p99_us: p99 },
  }
}

export const scheduler: Bench = { name: 'scheduler', about: 'JavaScript’s cost a step on the simulated engine', run }
