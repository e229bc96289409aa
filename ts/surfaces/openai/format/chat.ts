// Bodies of chat completions: whole, and in chunks.

import type { ChatChunk, ChatResponse } from '../../../protocol/index.js'
import type { Turn } from '../../../service/types.js'
import type { SurfaceContext } from '../../surface.js'
import type { Answer } from '../../turns.js'
import { CallDeltas } from './call-deltas.js'
import { chatFinishReason } from './finish.js'
import { chatLogprobs } from './logprobs.js'
import { usageBody } from './usage.js'

export interface ResponseHead {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly system_fingerprint: string
}

export interface ChatForm {
  readonly logprobs: boolean
  readonly reasoning: boolean
  /** Calls are told as the older `function_call`, of which an answer has one. */
  readonly asFunctions: boolean
}

export interface ChatStreamForm extends ChatForm {
  /** The answer may be calls alone, so the first chunk begins no content. */
  readonly mayCall: boolean
  readonly includeUsage: boolean
}

type Text = SurfaceContext['engine']['text']
type Message = ChatResponse['choices'][number]['message']

export function chatBody(head: ResponseHead, answer: Answer, form: ChatForm, text: Text): ChatResponse {
  const { done, deltas, calls } = answer
  const tokens = deltas.flatMap((delta) => delta.logprobs)
  const told = form.asFunctions ? 'function_call' : 'tool_calls'
  return {
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: message(answer, form),
        logprobs: form.logprobs ? chatLogprobs(tokens, text) : null,
        finish_reason: chatFinishReason(done.finish, calls.length > 0 ? told : null),
        stop_reason: done.stopReason,
      },
    ],
    usage: usageBody([done.usage]),
  }
}

function message({ text, reasoning, calls }: Answer, form: ChatForm): Message {
  const hasMore = reasoning !== '' || calls.length > 0
  return {
    role: 'assistant',
    content: text === '' && hasMore ? null : text,
    refusal: null,
    ...(form.reasoning ? reasoningFields(reasoning) : {}),
    ...callFields(calls, form.asFunctions),
  }
}

/** Clients read one name or the other. */
function reasoningFields(reasoning: string): { reasoning_content?: string; reasoning?: string } {
  return reasoning === '' ? {} : { reasoning_content: reasoning, reasoning }
}

function callFields(calls: Answer['calls'], asFunctions: boolean): Pick<Message, 'tool_calls' | 'function_call'> {
  const [first] = calls
  if (first === undefined) return {}
  if (asFunctions) return { function_call: { name: first.name, arguments: first.arguments } }
  return { tool_calls: calls.map(({ id, name, arguments: text }) => ({ id, type: 'function', function: { name, arguments: text } })) }
}

type ChunkChoice = ChatChunk['choices'][number]

/** The role, the deltas, the finish, and then the usage if asked for. */
export async function* chatChunks(head: ResponseHead, turn: Turn, form: ChatStreamForm, text: Text): AsyncGenerator<ChatChunk> {
  const usageField = form.includeUsage ? { usage: null } : {}
  const chunk = ({ delta, logprobs = null, finish_reason = null, ...more }: Partial<ChunkChoice> & Pick<ChunkChoice, 'delta'>): ChatChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs, finish_reason, ...more }],
    ...usageField,
  })
  const calls = new CallDeltas(form.asFunctions)
  yield chunk({ delta: { role: 'assistant', ...(form.mayCall ? {} : { content: '' }) } })
  for await (const event of turn) {
    switch (event.type) {
      case 'delta':
        if (event.text === '' && !form.logprobs) break
        yield chunk({ delta: { content: event.text }, logprobs: form.logprobs ? chatLogprobs(event.logprobs, text) : null })
        break
      case 'reasoning':
        if (form.reasoning && event.text !== '') yield chunk({ delta: reasoningFields(event.text) })
        break
      case 'call':
      case 'arguments': {
        const delta = calls.next(event)
        if (delta !== null) yield chunk({ delta })
        break
      }
      case 'done':
        yield chunk({ delta: {}, finish_reason: chatFinishReason(event.finish, calls.form), stop_reason: event.stopReason })
        if (form.includeUsage) yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageBody([event.usage]) }
        return
    }
  }
}
