// A service on a simulated engine and a virtual clock, checked after every batch of events.

import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import type { SimulatedOptions } from '../../ts/engine/simulated/options.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, Turn, TurnMessage, TurnRequest, TurnUsage } from '../../ts/service/types.js'
import { greedy } from './sampling.js'

export interface SimulatedService {
  readonly engine: SimulatedEngine
  readonly service: InferenceService
  readonly clock: VirtualClock
  close(): Promise<void>
}

/** Options of a service, where they depend on its engine. */
export type OptionsFor = (engine: SimulatedEngine, clock: VirtualClock) => Partial<ServiceOptions>

/** Errors thrown while events are handled (contract violations, broken integrity) end up in `failures`. */
export function simulatedService(
  engineOptions: Partial<SimulatedOptions> = {},
  serviceOptions: Partial<ServiceOptions> | OptionsFor = {},
  failures: unknown[] = [],
): SimulatedService {
  const clock = new VirtualClock()
  const engine = new SimulatedEngine({ clock, slots: { hbm: 64, dram: 128, ssd: 512 }, ...engineOptions })
  const service = createInferenceService(engine, { clock, ...(typeof serviceOptions === 'function' ? serviceOptions(engine, clock) : serviceOptions) })
  const handle = engine.onEvents
  engine.onEvents = events => {
    try {
      handle(events)
      const { failure } = service
      // An engine that a test made fail is no bug; a round of the scheduler that broke off is.
      if (failure && failure.context['engine_code'] === 'internal') throw failure.cause
      service.checkIntegrity()
    } catch (error) {
      failures.push(error)
      throw error
    }
  }
  const close = async (): Promise<void> => {
    await service.close(0)
    await engine.close()
  }
  return { engine, service, clock, close }
}

export function chat(messages: readonly TurnMessage[], rest: Partial<TurnRequest> = {}): TurnRequest {
  return {
    requestId: 'request',
    tenant: '',
    cacheSalt: '',
    conversation: null,
    conversationHint: null,
    prompt: { kind: 'chat', messages: [...messages] },
    sampling: greedy,
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: 32,
    truncation: 'disabled',
    ...rest,
  }
}

export interface Answer {
  readonly text: string
  readonly tokens: readonly number[]
  readonly finish: string
  readonly usage: TurnUsage
}

/** Reads a turn to its end; null: it ended without `done`, because it was cancelled. */
export async function readTurn(turn: Turn): Promise<Answer | null> {
  let text = ''
  const tokens: number[] = []
  for await (const event of turn) {
    if (event.type === 'done') return { text, tokens, finish: event.finish, usage: event.usage }
    if (event.type !== 'delta') continue
    text += event.text
    tokens.push(...event.tokens)
  }
  return null
}

export async function ask(service: InferenceService, request: TurnRequest): Promise<Answer> {
  const answer = await readTurn(await service.start(request))
  if (!answer) throw new Error('the turn was cancelled')
  return answer
}

export function reusedTokens(usage: TurnUsage): number {
  return usage.reusedTokens.hbm + usage.reusedTokens.dram + usage.reusedTokens.ssd
}
