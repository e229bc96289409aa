// Bodies of completions: whole, and in chunks, one choice an answer: all answers to the first prompt, then to the next.

import type { CompletionChunk, CompletionResponse } from '../../../protocol/index.js'
import type { Turn, TurnUsage } from '../../../service/types.js'
import type { SurfaceContext } from '../../surface.js'
import { mergeTurns, type Answer, type DeltaEvent } from '../../turns.js'
import type { ResponseHead } from './chat.js'
import { finishReason } from './finish.js'
import { CompletionTokens } from './logprobs.js'
import { usageBody } from './usage.js'

export interface CompletionForm {
  readonly logprobs: boolean
  /** Answers to each prompt. */
  readonly choices: number
}

export interface ChunkOptions extends CompletionForm {
  readonly includeUsage: boolean
}

type Text = SurfaceContext['engine']['text']

export function completionBody(
  head: ResponseHead,
  answers: readonly Answer[],
  form: CompletionForm,
  text: Text,
): CompletionResponse {
  const choices = answers.map((answer, index) => ({
    index,
    text: answer.text,
    logprobs: form.logprobs ? new CompletionTokens(text).next(answer.deltas.flatMap((delta) => delta.logprobs)) : null,
    finish_reason: finishReason(answer.done.finish),
    stop_reason: answer.done.stopReason,
  }))
  return { ...head, object: 'text_completion', choices, usage: usageBody(answers.map(({ done }) => done.usage), form.choices) }
}

type ChunkChoice = CompletionChunk['choices'][number]

/** Deltas and finishes of all answers as they come, and then the usage if asked for. */
export async function* completionChunks(
  head: ResponseHead,
  turns: readonly Turn[],
  options: ChunkOptions,
  text: Text,
): AsyncGenerator<CompletionChunk> {
  const usages: TurnUsage[] = []
  const tokens = turns.map(() => new CompletionTokens(text))
  const usageField = options.includeUsage ? { usage: null } : {}
  const chunk = (choice: ChunkChoice): CompletionChunk => ({
    ...head,
    object: 'text_completion',
    choices: [choice],
    ...usageField,
  })
  const deltaChoice = (index: number, event: DeltaEvent): ChunkChoice => {
    const logprobs = options.logprobs ? (tokens[index]?.next(event.logprobs) ?? null) : null
    return { index, text: event.text, logprobs, finish_reason: null }
  }
  for await (const [index, event] of mergeTurns(turns)) {
    if (event.type === 'delta') {
      if (event.text !== '' || options.logprobs) yield chunk(deltaChoice(index, event))
      continue
    }
    if (event.type !== 'done') continue
    usages[index] = event.usage
    yield chunk({ index, text: '', logprobs: null, finish_reason: finishReason(event.finish), stop_reason: event.stopReason })
  }
  if (options.includeUsage) yield { ...head, object: 'text_completion', choices: [], usage: usageBody(usages, options.choices) }
}
