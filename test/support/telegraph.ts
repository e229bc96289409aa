// A second wire format, as small as one can be: telegrams of words. It shows what a surface has to bring, and that nothing
// behind it knows the first one.

import { z } from 'zod'
import type { FinishReason } from '../../ts/engine/types.js'
import type { Turn, TurnRequest } from '../../ts/service/types.js'
import { json, type Surface, type SurfaceContext, type SurfaceRequest } from '../../ts/surfaces/surface.js'
import { checkModel, samplingParams, wellFormed } from '../../ts/surfaces/turn-fields.js'
import { readAnswer, startTurns } from '../../ts/surfaces/turns.js'
import { validate } from '../../ts/surfaces/validate.js'

export const TELEGRAMS = '/telegraph/telegrams'

const Telegram = z
  .object({
    line: z.string().nullish(),
    dispatches: z.array(z.object({ from: z.enum(['caller', 'station']), words: z.array(z.string()).min(1) })).min(1),
    most: z.int().min(1).nullish(),
    live: z.boolean().nullish(),
  })
  .meta({ id: 'Telegram' })

const Receipt = z
  .object({ words: z.string(), ending: z.string(), conversation: z.string(), reused: z.int() })
  .meta({ id: 'TelegramReceipt' })

const Trouble = z.object({ trouble: z.string(), hint: z.string(), status: z.int() }).meta({ id: 'TelegraphTrouble' })

/** An event of a stream: its name, and its data. */
type Signal = readonly [name: string, data: unknown]

const ENDINGS: Readonly<Record<string, string>> = { stop: 'said all', length: 'cut short' }

function ending(finish: FinishReason): string {
  return ENDINGS[finish] ?? `ended by ${finish}`
}

function turnRequest({ body, caller, requestId, conversation }: SurfaceRequest, { engine }: SurfaceContext): TurnRequest {
  const { dispatches, most } = validate(Telegram, body)
  return {
    requestId,
    tenant: caller.tenant,
    cacheSalt: '',
    conversation,
    conversationHint: null,
    prompt: {
      kind: 'chat',
      messages: dispatches.map(({ from, words }) => ({
        role: from === 'caller' ? 'user' : 'assistant',
        content: words.map((word) => ({ kind: 'text', text: wellFormed(word) })),
      })),
    },
    sampling: samplingParams({ temperature: 0, seed: 1 }, engine.info),
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: most ?? null,
    truncation: 'disabled',
  }
}

async function* signals(turn: Turn): AsyncGenerator<Signal> {
  for await (const event of turn) {
    if (event.type === 'delta') yield ['words', event.text]
    if (event.type === 'done') yield ['ending', ending(event.finish)]
  }
}

async function send(request: SurfaceRequest, context: SurfaceContext) {
  const { line, live } = validate(Telegram, request.body)
  checkModel(line, context.models)
  const [turn] = await startTurns([turnRequest(request, context)], request.signal, context)
  if (turn === undefined) throw new Error('one request, no turn')
  if (live) return { kind: 'stream' as const, headers: {}, events: signals(turn) }
  const { text, done } = await readAnswer(turn)
  const { conversation, reusedTokens: reused } = done.usage
  return json({ words: text, ending: ending(done.finish), conversation, reused: reused.hbm + reused.dram + reused.ssd })
}

const signalText = ([name, data]: Signal): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

export const telegraph: Surface = {
  routes: [
    {
      method: 'post',
      path: TELEGRAMS,
      handler: send,
      summary: 'Send a telegram',
      request: Telegram,
      response: Receipt,
      chunk: z.array(z.string()),
    },
  ],
  errors: {
    schema: Trouble,
    body: ({ code, message }, status) => ({ trouble: code, hint: message, status }),
  },
  events: {
    event: (item) => signalText(item as Signal),
    end: signalText(['over', null]),
    failure: (body) => signalText(['trouble', body]),
    keepAlive: signalText(['hum', null]),
  },
}
