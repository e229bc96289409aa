// Log probabilities of a prompt's tokens, as vLLM tells them: null for the first, then the token and the likeliest ones by id.

import type { z } from 'zod'
import type { EngineText } from '../../../engine/types.js'
import type { ScoredPrompt } from '../../../service/types.js'
import type { PromptLogprobs } from '../schemas/prompt-logprobs.js'
import { finite } from './logprobs.js'

/** @param top Alternatives a token. */
export function promptLogprobs({ tokens, scores }: ScoredPrompt, top: number, text: Pick<EngineText, 'tokenBytes'>): z.output<typeof PromptLogprobs> {
  const entry = (token: number, logprob: number, rank: number) =>
    [token, { logprob: finite(logprob), rank, decoded_token: Buffer.from(text.tokenBytes(token)).toString('utf8') }] as const
  const behind = scores.map((score, i) => {
    const alternatives = score.top.slice(0, top).map(([token, logprob], at) => entry(token, logprob, at + 1))
    return Object.fromEntries([...alternatives, entry(tokens[i + 1] as number, score.logprob, score.rank)])
  })
  return [null, ...behind]
}
