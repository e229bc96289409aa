// How many answers a body asks for.

import { ApiError } from '../../protocol/errors.js'
import type { GenerationFields } from './turn-request.js'

/** Most answers to one request, to all its prompts together. */
export const MAX_ANSWERS = 128

/**
 * Answers to each of `prompts`.
 * @throws ApiError `unsupported_parameter` for answers that would be ranked, `invalid_value` for too many.
 */
export function answersEach({ n, best_of: bestOf }: Pick<GenerationFields, 'n' | 'best_of'>, prompts: number): number {
  const each = n ?? 1
  if (bestOf !== null && bestOf !== undefined && bestOf !== each && bestOf !== 1) {
    throw new ApiError('unsupported_parameter', `best_of: The server ranks no answers: best_of is 1 or n, which is ${each}.`, 'best_of')
  }
  if (prompts * each > MAX_ANSWERS) {
    const message = `n: ${prompts} prompts with ${each} answers each are ${prompts * each} answers; the limit is ${MAX_ANSWERS}.`
    throw new ApiError('invalid_value', message, 'n', { answers: prompts * each, max_answers: MAX_ANSWERS })
  }
  return each
}
