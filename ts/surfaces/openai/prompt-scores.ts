// Log probabilities of a prompt, as its request asks for them: prompt_logprobs, and echo beside logprobs.

import { ApiError } from '../../protocol/errors.js'
import { MAX_PROMPT_LOGPROBS } from '../../protocol/limits.js'
import type { PromptQuestion, Turn } from '../../service/types.js'
import type { GenerationFields } from './schemas/generation.js'

/** The fields that ask about the prompt's tokens. */
export interface ScoreWishes extends Pick<GenerationFields, 'prompt_logprobs' | 'stream' | 'truncation'> {
  /** With `echo`: `logprobs` of the same completion; null: none. */
  readonly echoed: number | null
}

/** @throws ApiError `invalid_value` where the fields do not go together. */
export function askedScores({ prompt_logprobs: top, echoed, stream, truncation }: ScoreWishes): PromptQuestion | undefined {
  const asked = typeof top === 'number' ? top : null
  if (asked === null && echoed === null) return undefined
  const field = asked === null ? 'echo' : 'prompt_logprobs'
  if (asked !== null && stream) throw new ApiError('invalid_value', 'prompt_logprobs: A stream does not have them. Set stream to false.', 'prompt_logprobs')
  if (truncation === 'auto') throw new ApiError('invalid_value', `${field}: Log probabilities of a prompt need "truncation": "disabled".`, field)
  return { top: Math.max(asked ?? 0, echoed ?? 0), field }
}

/**
 * One prompt is held to the limit where it is tokenised; here all choices of a request are, each of which tells its prompt's.
 * @throws ApiError `invalid_value`; the turns are cancelled.
 */
export function checkScored(turns: readonly Turn[], question: PromptQuestion | undefined): void {
  const count = turns.reduce((total, { promptTokens }) => total + promptTokens, 0) * ((question?.top ?? 0) + 1)
  if (!question || count <= MAX_PROMPT_LOGPROBS) return
  for (const turn of turns) turn.cancel()
  const message = `${question.field}: The choices tell ${count} log probabilities together; the limit is ${MAX_PROMPT_LOGPROBS}.`
  throw new ApiError('invalid_value', message, question.field, { log_probabilities: count, limit: MAX_PROMPT_LOGPROBS })
}
