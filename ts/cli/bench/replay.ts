// Replays a trace: each request is sent at its time, whether or not those before it are answered.

import { z } from 'zod'
import { postStream, RequestFailed } from '../client.js'
import { promptTokens, scaledLength, type Scale } from './prompts.js'
import type { TraceRequest } from '../../simulator/traces/trace.js'

export interface ReplayOptions {
  /** Without `/v1`. */
  readonly url: string
  readonly apiKey: string | null
  readonly model: string
  /** 2: twice as fast as the trace. */
  readonly speed: number
  readonly scale: Scale
}

/** Times in milliseconds. */
export type Outcome =
  | {
      readonly ok: true
      readonly ttftMs: number
      readonly totalMs: number
      /** Between one piece of text and the next. */
      readonly gapsMs: readonly number[]
      readonly inputTokens: number
      readonly outputTokens: number
      readonly cachedTokens: number
    }
  | { readonly ok: false; readonly message: string }

/** The fields that are read of a chunk; servers differ in the rest. */
const Chunk = z.object({
  choices: z.array(z.object({ text: z.string().nullish() })),
  usage: z
    .object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
})

/** @param onOutcome is told of each request as it ends. */
export async function replay(
  requests: readonly TraceRequest[],
  options: ReplayOptions,
  onOutcome: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const start = performance.now()
  return Promise.all(
    requests.map(async (request, index) => {
      await waitUntil(start + request.atMs / options.speed)
      const outcome = await send(request, index, options)
      onOutcome(outcome)
      return outcome
    }),
  )
}

function waitUntil(at: number): Promise<void> {
  const ms = at - performance.now()
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms))
}

async function send(request: TraceRequest, index: number, { url, apiKey, model, scale }: ReplayOptions): Promise<Outcome> {
  const body = {
    model,
    prompt: promptTokens(request, index, scale),
    max_tokens: scaledLength(request.outputTokens, scale),
    temperature: 0,
    ignore_eos: true,
    stream: true,
    stream_options: { include_usage: true },
  }
  const sentAt = performance.now()
  try {
    return await measure(sentAt, postStream(`${url}/v1/completions`, body, { apiKey }))
  } catch (thrown) {
    if (thrown instanceof RequestFailed) return { ok: false, message: thrown.message }
    throw thrown
  }
}

async function measure(sentAt: number, events: ReturnType<typeof postStream>): Promise<Outcome> {
  const arrivals: number[] = []
  let usage: z.output<typeof Chunk>['usage'] = null
  for await (const { value, at } of events) {
    const chunk = Chunk.safeParse(value)
    if (!chunk.success) return { ok: false, message: 'the server sent an event that is no completion chunk' }
    usage = chunk.data.usage ?? usage
    if (chunk.data.choices[0]?.text) arrivals.push(at)
  }
  const endedAt = performance.now()
  return {
    ok: true,
    ttftMs: (arrivals[0] ?? endedAt) - sentAt,
    totalMs: endedAt - sentAt,
    gapsMs: arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? at)),
    inputTokens: usage?.prompt_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? arrivals.length,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  }
}
