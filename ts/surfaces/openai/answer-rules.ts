// Rules for an answer beyond sampling: how long it is at least, what it must not contain, whether it keeps its stop string.

import { ApiError } from '../../protocol/errors.js'
import type { TurnRequest } from '../../service/types.js'
import { wellFormed } from '../turn-fields.js'
import type { GenerationFields } from './schemas/generation.js'

type Rules = Pick<TurnRequest, 'minTokens' | 'badWords' | 'includeStop'>

/**
 * @param maxTokens null: what fits in the context.
 * @throws ApiError `invalid_value` where an answer would have to be longer than it may be.
 */
export function answerRules(fields: GenerationFields, maxTokens: number | null): Rules {
  const field = typeof fields.min_tokens === 'number' ? 'min_tokens' : 'min_new_tokens'
  const minTokens = fields[field] ?? 0
  if (maxTokens !== null && minTokens > maxTokens) {
    throw new ApiError('invalid_value', `${field}: ${minTokens} is more than the ${maxTokens} tokens that the answer has at most.`, field)
  }
  const badWords = (fields.bad_words ?? []).map(wellFormed)
  const includeStop = fields.include_stop_str_in_output ?? fields.no_stop_trim ?? false
  return {
    ...(minTokens > 0 ? { minTokens } : {}),
    ...(badWords.length > 0 ? { badWords } : {}),
    ...(includeStop ? { includeStop } : {}),
  }
}
