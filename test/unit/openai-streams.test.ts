// A stream and a whole body tell the same answer, whatever the turn yields.

import test from 'ava'
import fc from 'fast-check'
import type { ChatChunk, ChatResponse } from '../../ts/protocol/index.js'
import type { TurnEvent } from '../../ts/service/types.js'
import { chatBody, chatChunks } from '../../ts/surfaces/openai/format/chat.js'
import { readAnswer } from '../../ts/surfaces/turns.js'
import { call, delta, done, FakeTurn, fakeText, reasoning } from './support/fake-service.js'

type Message = ChatResponse['choices'][number]['message']

const HEAD = { id: 'chatcmpl-1', created: 1, model: 'fake-model', system_fingerprint: 'fp_1' }

const request = { conversation: null } as ConstructorParameters<typeof FakeTurn>[0]
const turnOf = (events: readonly TurnEvent[]) => new FakeTurn(request, events)

/** The message as a client puts it together from deltas. */
function assembled(chunks: readonly ChatChunk[]): Message {
  const message: { -readonly [K in keyof Message]: Message[K] } = { role: 'assistant', content: null, refusal: null }
  const grown = (before: string | null | undefined, piece: string) => (before ?? '') + piece
  for (const { delta: piece } of chunks.flatMap(({ choices }) => choices)) {
    if (piece.content !== undefined) message.content = grown(message.content, piece.content)
    if (piece.reasoning_content !== undefined) message.reasoning_content = grown(message.reasoning_content, piece.reasoning_content)
    if (piece.reasoning !== undefined) message.reasoning = grown(message.reasoning, piece.reasoning)
    if (piece.function_call) {
      const { name, arguments: text } = message.function_call ?? { name: '', arguments: '' }
      message.function_call = { name: name + (piece.function_call.name ?? ''), arguments: text + piece.function_call.arguments }
    }
    for (const { index, id, function: called } of piece.tool_calls ?? []) {
      const calls = (message.tool_calls ??= [])
      const before = calls[index] ?? { id: '', type: 'function', function: { name: '', arguments: '' } }
      const name = before.function.name + (called.name ?? '')
      calls[index] = { id: before.id + (id ?? ''), type: 'function', function: { name, arguments: before.function.arguments + called.arguments } }
    }
  }
  return message
}

const text = fc.string({ maxLength: 4 })
const events = fc
  .array(
    fc.oneof(
      text.map((piece) => [delta(piece)]),
      text.map((piece) => [reasoning(piece)]),
      fc.tuple(fc.uuid(), fc.constantFrom('a', 'b'), fc.array(text, { maxLength: 3 })).map(([id, name, pieces]) => call(id, name, ...pieces)),
    ),
    { maxLength: 8 },
  )
  .map((groups) => groups.flat())

test('the deltas of a stream add up to the message of the whole body, and both end alike', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_129)
  t.log(`seed ${seed}`)
  const forms = fc.record({ reasoning: fc.boolean(), asFunctions: fc.boolean(), mayCall: fc.boolean() })
  const finishes = fc.constantFrom('stop', 'length', 'tool_calls', 'none_allowed')
  await fc.assert(
    fc.asyncProperty(events, forms, finishes, async (yielded, form, finish) => {
      const all = [...yielded, done({ finish })]
      const chatForm = { ...form, logprobs: false }
      const body = chatBody(HEAD, [await readAnswer(turnOf(all))], chatForm, fakeText)
      const chunks: ChatChunk[] = []
      for await (const chunk of chatChunks(HEAD, [turnOf(all)], { ...chatForm, includeUsage: true }, fakeText)) chunks.push(chunk)
      const [choice] = body.choices
      const message = assembled(chunks)
      t.deepEqual({ ...message, content: message.content || null }, { ...choice?.message, content: choice?.message.content || null })
      const ends = chunks.flatMap(({ choices }) => choices).filter(({ finish_reason: reason }) => reason !== null)
      t.deepEqual(ends.map(({ finish_reason: reason }) => reason), [choice?.finish_reason])
      t.deepEqual(chunks.at(-1)?.usage, body.usage)
    }),
    { seed, numRuns: 200 },
  )
})
