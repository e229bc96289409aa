// Bodies of chat completions: whole, and in chunks.

import type { ChatChunk, ChatResponse } from '../../../protocol/index.js'
import type { Turn, TurnEvent, TurnUsage } from '../../../service/types.js'
import { mergeTurns } from '../../merge.js'
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

/** One choice an answer; all are answers to one prompt. */
export function chatBody(head: ResponseHead, answers: readonly Answer[], form: ChatForm, text: Text): ChatResponse {
  const choices = answers.map((answer, index) => choiceOf(answer, index, form, text))
  return { ...head, object: 'chat.completion', choices, usage: usageBody(answers.map(({ done }) => done.usage), answers.length) }
}

function choiceOf(answer: Answer, index: number, form: ChatForm, text: Text): ChatResponse['choices'][number] {
  const { done, deltas, calls } = answer
  const tokens = deltas.flatMap((delta) => delta.logprobs)
  const told = form.asFunctions ? 'function_call' : 'tool_calls'
  return {
    index,
    message: message(answer, form),
    logprobs: form.logprobs ? chatLogprobs(tokens, text) : null,
    finish_reason: chatFinishReason(done.finish, calls.length > 0 ? told : null),
    stop_reason: done.stopReason,
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
type ChunkPart = Partial<Omit<ChunkChoice, 'index'>> & Pick<ChunkChoice, 'delta'>

/** The roles, the deltas and finishes of all answers as they come, and then the usage if asked for. */
export async function* chatChunks(head: ResponseHead, turns: readonly Turn[], form: ChatStreamForm, text: Text): AsyncGenerator<ChatChunk> {
  const usageField = form.includeUsage ? { usage: null } : {}
  const chunk = (index: number, { delta, logprobs = null, finish_reason = null, ...more }: ChunkPart): ChatChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index, delta, logprobs, finish_reason, ...more }],
    ...usageField,
  })
  const usages: TurnUsage[] = []
  const calls = turns.map(() => new CallDeltas(form.asFunctions))
  for (const index of turns.keys()) yield chunk(index, { delta: { role: 'assistant', ...(form.mayCall ? {} : { content: '' }) } })
  for await (const [index, event] of mergeTurns(turns)) {
    const part = chunkPart(event, calls[index] as CallDeltas, form, text)
    if (part !== null) yield chunk(index, part)
    if (event.type === 'done') usages[index] = event.usage
  }
  if (form.includeUsage) yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageBody(usages, turns.length) }
}

/** null: nothing is told of the event. */
function chunkPart(event: TurnEvent, calls: CallDeltas, form: ChatForm, text: Text): ChunkPart | null {
  switch (event.type) {
    case 'delta':
      if (event.text === '' && !form.logprobs) return null
      return { delta: { content: event.text }, logprobs: form.logprobs ? chatLogprobs(event.logprobs, text) : null }
    case 'reasoning':
      return form.reasoning && event.text !== '' ? { delta: reasoningFields(event.text) } : null
    case 'call':
    case 'arguments': {
      const delta = calls.next(event)
      return delta === null ? null : { delta }
    }
    case 'done':
      return { delta: {}, finish_reason: chatFinishReason(event.finish, calls.form), stop_reason: event.stopReason }
  }
}
