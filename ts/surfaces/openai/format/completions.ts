// Bodies of completions: whole, and in chunks, one choice an answer: all answers to the first prompt, then to the next.

import type { CompletionChunk, CompletionResponse } from '../../../protocol/index.js'
import type { Turn, TurnUsage } from '../../../service/types.js'
import { mergeTurns } from '../../merge.js'
import type { SurfaceContext } from '../../surface.js'
import type { Answer, DeltaEvent } from '../../turns.js'
import type { ResponseHead } from './chat.js'
import { echoedRows, endOf, joinRows, type Echo } from './echo.js'
import { finishReason } from './finish.js'
import { CompletionTokens } from './logprobs.js'
import { promptLogprobs } from './prompt-logprobs.js'
import { usageBody } from './usage.js'

export interface CompletionForm {
  /** Alternatives a token; null: no log probabilities. */
  readonly logprobs: number | null
  readonly promptLogprobs: number | null
  /** Of each prompt; null: none is repeated. */
  readonly echoes: readonly Echo[] | null
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
  turns: ReadonlyArray<Pick<Turn, 'scoredPrompt'>>,
  { logprobs, promptLogprobs: top, echoes, choices: each }: CompletionForm,
  text: Text,
): CompletionResponse {
  const ends = answers.map(({ done }, index) => endOf(done, echoOf(echoes, index, each)))
  const choices = answers.map((answer, index) => {
    const [echo, scored, end] = [echoOf(echoes, index, each), turns[index]?.scoredPrompt, ends[index] ?? answer.done]
    const tokens = new CompletionTokens(text)
    const before = echo && logprobs !== null ? echoedRows(echo, scored, logprobs, tokens) : null
    const told = echo?.isAlone ? [] : answer.deltas.flatMap((delta) => delta.logprobs)
    return {
      index,
      text: `${echo?.text ?? ''}${echo?.isAlone ? '' : answer.text}`,
      logprobs: logprobs === null ? null : joinRows(before, tokens.next(told)),
      finish_reason: finishReason(end.finish),
      stop_reason: end.stopReason,
      ...(top !== null && scored ? { prompt_logprobs: promptLogprobs(scored, top, text) } : {}),
    }
  })
  return { ...head, object: 'text_completion', choices, usage: usageBody(ends.map(({ usage }) => usage), each) }
}

/** Of the prompt that the choice at `index` answers. */
function echoOf(echoes: readonly Echo[] | null, index: number, choices: number): Echo | undefined {
  return echoes?.[Math.floor(index / choices)]
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
  const { echoes, logprobs } = options
  const deltaChoice = (index: number, event: DeltaEvent): ChunkChoice => {
    const rows = logprobs === null ? null : (tokens[index]?.next(event.logprobs) ?? null)
    return { index, text: event.text, logprobs: rows, finish_reason: null }
  }
  const echoChoice = (index: number, echo: Echo): ChunkChoice => {
    const [of, scored] = [tokens[index], turns[index]?.scoredPrompt]
    const rows = of && logprobs !== null ? echoedRows(echo, scored, logprobs, of) : null
    return { index, text: echo.text, logprobs: rows, finish_reason: null }
  }
  // A prompt comes with the first event of its turn, when its log probabilities are known.
  const echoed = new Set<number>()
  for await (const [index, event] of mergeTurns(turns)) {
    const echo = echoOf(echoes, index, options.choices)
    if (echo && !echoed.has(index)) {
      echoed.add(index)
      yield chunk(echoChoice(index, echo))
    }
    if (event.type === 'delta') {
      if (!echo?.isAlone && (event.text !== '' || logprobs !== null)) yield chunk(deltaChoice(index, event))
      continue
    }
    if (event.type !== 'done') continue
    const end = endOf(event, echo)
    usages[index] = end.usage
    yield chunk({ index, text: '', logprobs: null, finish_reason: finishReason(end.finish), stop_reason: end.stopReason })
  }
  if (options.includeUsage) yield { ...head, object: 'text_completion', choices: [], usage: usageBody(usages, options.choices) }
}
