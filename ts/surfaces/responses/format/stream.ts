// The events of a response, in order. A response that is asked for whole is the last of them.

import { ApiError } from '../../../protocol/errors.js'
import type { Turn } from '../../../service/types.js'
import { partEvents, type PartEvent } from '../../answer-parts.js'
import { ClientGone } from '../../turns.js'
import type { OutputItem, ResponseBody, ResponseEvent } from '../schemas/response.js'
import { newItemId, openItem, wholeItem, type ItemOptions, type WholePart } from './items.js'
import { doneEvents, moreEvents, openEvents, type PlainEvent } from './item-events.js'
import { endedResponse, failedResponse, isCutOff } from './response.js'

export interface StreamOptions extends ItemOptions {
  /** Told of the response that has ended, before its last event. */
  readonly onEnded: (response: ResponseBody) => void
}

/** After `response.failed` the error is thrown, for the log; nothing is to be written for it any more. */
export async function* responseEvents(turn: Turn, opened: ResponseBody, options: StreamOptions): AsyncGenerator<ResponseEvent> {
  let sequence_number = 0
  for await (const event of plainEvents(turn, opened, options)) yield { ...event, sequence_number: sequence_number++ } as ResponseEvent
}

/** @throws ClientGone if the turn was cancelled, or the error that ended it. */
export async function wholeResponse(turn: Turn, opened: ResponseBody, options: StreamOptions): Promise<ResponseBody> {
  let last = opened
  for await (const event of responseEvents(turn, opened, options)) if ('response' in event) last = event.response
  return last
}

async function* plainEvents(turn: Turn, opened: ResponseBody, options: StreamOptions): AsyncGenerator<PlainEvent> {
  yield { type: 'response.created', response: opened }
  yield { type: 'response.in_progress', response: opened }
  const output: OutputItem[] = []
  try {
    yield* itemEvents(turn, opened, output, options)
  } catch (thrown) {
    if (thrown instanceof ClientGone) throw thrown
    yield { type: 'response.failed', response: failedResponse(opened, output, errorOf(thrown)) }
    throw thrown
  }
}

async function* itemEvents(turn: Turn, opened: ResponseBody, output: OutputItem[], options: StreamOptions): AsyncGenerator<PlainEvent> {
  let id = ''
  // Whether an item is whole is known when the next one begins, or the answer ends.
  let closed: WholePart | null = null
  for await (const event of withSomePart(partEvents(turn))) {
    if (closed && event.type !== 'close') {
      const item = wholeItem(id, closed, event.type === 'done' && isCutOff(event.done) ? 'incomplete' : 'completed', options)
      yield* doneEvents(item, output.length)
      output.push(item)
      closed = null
    }
    switch (event.type) {
      case 'open':
        id = newItemId(event.head)
        yield* openEvents(openItem(id, event.head, options), output.length)
        break
      case 'more':
        yield* moreEvents(id, event, output.length, options)
        break
      case 'close':
        closed = event
        break
      case 'done': {
        const response = endedResponse(opened, output, event.done, Math.floor(Date.now() / 1000))
        options.onEnded(response)
        yield { type: response.status === 'completed' ? 'response.completed' : 'response.incomplete', response }
      }
    }
  }
}

/** An answer without any text is a message with an empty one: clients read the first item. */
async function* withSomePart(events: AsyncIterable<PartEvent>): AsyncGenerator<PartEvent> {
  let hasPart = false
  for await (const event of events) {
    if (event.type === 'open') hasPart = true
    if (event.type === 'done' && !hasPart) {
      const kind = 'content'
      yield { type: 'open', index: 0, head: { kind } }
      yield { type: 'close', index: 0, part: { kind, text: '' }, logprobs: [] }
    }
    yield event
  }
}

/** As much of an error as a client may see. */
function errorOf(thrown: unknown): NonNullable<ResponseBody['error']> {
  if (thrown instanceof ApiError) return { code: thrown.code, message: thrown.message }
  return { code: 'engine_error', message: 'The server failed to answer. Its log has the reason.' }
}
