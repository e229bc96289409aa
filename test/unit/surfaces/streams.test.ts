// Any answer, in any pieces: a stream put together is the answer as it is told whole, in both formats.

import test from 'ava'
import fc from 'fast-check'
import type { TurnEvent, TurnRequest } from '../../../ts/service/types.js'
import { messageBody, messageEvents, type MessageOptions } from '../../../ts/surfaces/anthropic/format/message.js'
import type { ContentBlock } from '../../../ts/surfaces/anthropic/schemas/message.js'
import { openedResponse } from '../../../ts/surfaces/responses/format/response.js'
import { responseEvents, type StreamOptions } from '../../../ts/surfaces/responses/format/stream.js'
import { ResponseRequest } from '../../../ts/surfaces/responses/schemas/request.js'
import type { OutputItem, ResponseBody } from '../../../ts/surfaces/responses/schemas/response.js'
import { readAnswer } from '../../../ts/surfaces/turns.js'
import { call, delta, done, FakeTurn, fakeText, reasoning } from '../support/fake-service.js'

const piece = fc.string({ unit: 'grapheme', maxLength: 4 })
const json = fc.dictionary(fc.string({ maxLength: 3 }), fc.integer(), { maxKeys: 2 }).map((value) => JSON.stringify(value))

/** A text in pieces that join to it. */
const inPieces = (text: string) => fc.array(fc.nat(text.length), { maxLength: 3 }).map((cuts) => {
  const places = [0, ...cuts.toSorted((a, b) => a - b), text.length]
  return places.slice(1).map((end, index) => text.slice(places[index], end))
})

const run: fc.Arbitrary<TurnEvent[]> = fc.oneof(
  piece.map((text) => [delta(text, { logprobs: [{ token: 65, logprob: -1, top: [] }] })]),
  piece.map((text) => [reasoning(text)]),
  fc.tuple(fc.nat(99), json.chain(inPieces)).map(([id, pieces]) => call(`call_${id}`, 'f', ...pieces)),
)
const answer = fc.tuple(fc.array(run, { maxLength: 8 }), fc.constantFrom('stop', 'length', 'tool_calls')).map(([runs, finish]) => [...runs.flat(), done({ finish })])

const request = { sampling: { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 }, truncation: 'disabled' } as unknown as TurnRequest
const turn = (events: readonly TurnEvent[]) => new FakeTurn({ ...request, conversation: null }, events)

test('Messages: the deltas of each block join to the block of the whole message', async (t) => {
  const seed = Number(process.env['STREAMS_SEED'] ?? 3)
  t.log(`STREAMS_SEED=${seed}`)
  const property = fc.asyncProperty(answer, fc.boolean(), async (events, omitsThinking) => {
    const options: MessageOptions = { id: 'msg_1', model: 'm', isMarked: false, omitsThinking }
    const whole = messageBody(await readAnswer(turn(events)), options)
    const blocks: ContentBlock[] = []
    const inputs: string[] = []
    let end: unknown
    for await (const event of messageEvents(turn(events), options)) {
      if (event.type === 'content_block_start') {
        t.is(event.index, blocks.length)
        blocks.push({ ...event.content_block })
        inputs.push('')
      }
      if (event.type === 'message_delta') end = event
      if (event.type !== 'content_block_delta') continue
      const block = blocks[event.index]
      if (event.delta.type === 'input_json_delta') inputs[event.index] += event.delta.partial_json
      if (event.delta.type === 'text_delta' && block?.type === 'text') block.text += event.delta.text
      if (event.delta.type === 'thinking_delta' && block?.type === 'thinking') block.thinking += event.delta.thinking
      if (event.delta.type === 'signature_delta' && block?.type === 'thinking') block.signature = event.delta.signature
    }
    const joined = blocks.map((block, index) => (block.type === 'tool_use' ? { ...block, input: JSON.parse(inputs[index] || '{}') as unknown } : block))
    t.deepEqual(joined as unknown[], whole.content)
    t.like(end, { delta: { stop_reason: whole.stop_reason, stop_sequence: whole.stop_sequence }, usage: whole.usage })
  })
  await fc.assert(property, { seed, numRuns: 150 })
})

test('Responses: numbers follow each other, and the deltas of each item join to the item of the response', async (t) => {
  const seed = Number(process.env['STREAMS_SEED'] ?? 4)
  t.log(`STREAMS_SEED=${seed}`)
  const fields = ResponseRequest.parse({ input: 'Hi' })
  const property = fc.asyncProperty(answer, fc.boolean(), async (events, withLogprobs) => {
    const options: StreamOptions = { text: fakeText, withLogprobs, withOpaqueReasoning: false, customTools: new Set(), onEnded: () => {} }
    const texts = new Map<string, string>()
    const logprobs = new Map<string, number>()
    const doneItems: OutputItem[] = []
    let last: ResponseBody | null = null
    let next = 0
    for await (const event of responseEvents(turn(events), openedResponse({ id: 'resp_1', model: 'm', createdAt: 0 }, fields, request), options)) {
      t.is(event.sequence_number, next++)
      if ('delta' in event) texts.set(event.item_id, (texts.get(event.item_id) ?? '') + event.delta)
      if (event.type === 'response.output_text.delta') logprobs.set(event.item_id, (logprobs.get(event.item_id) ?? 0) + event.logprobs.length)
      if (event.type === 'response.output_item.added') t.is(event.output_index, doneItems.length)
      if (event.type === 'response.output_item.done') doneItems.push(event.item)
      if ('response' in event) last = event.response
    }
    t.deepEqual(last?.output, doneItems)
    t.true(doneItems.length > 0)
    for (const item of doneItems) {
      const [text, tokens] = item.type === 'message' ? [item.content[0]?.text, item.content[0]?.logprobs.length] : [item.type === 'reasoning' ? item.content[0]?.text : item.type === 'function_call' ? item.arguments : '', 0]
      t.is(texts.get(item.id) ?? '', text ?? '')
      t.is(logprobs.get(item.id) ?? 0, tokens ?? 0)
    }
    const isCutOff = events.some((event) => event.type === 'done' && event.finish === 'length')
    t.is(last?.status, isCutOff ? 'incomplete' : 'completed')
    t.deepEqual(doneItems.map(({ status }) => status), doneItems.map((_, index) => (isCutOff && index === doneItems.length - 1 ? 'incomplete' : 'completed')))
  })
  await fc.assert(property, { seed, numRuns: 150 })
})
