// Log probabilities of an output text.

import type { TokenLogprob } from '../../../engine/types.js'
import type { SurfaceContext } from '../../surface.js'
import type { OutputLogprob } from '../schemas/response.js'

type Text = Pick<SurfaceContext['engine']['text'], 'tokenBytes'>

/** JSON has no infinity; a token that cannot come gets the lowest number that OpenAI uses. */
const LOWEST_LOGPROB = -9999

export function outputLogprobs(tokens: readonly TokenLogprob[], text: Text): OutputLogprob[] {
  return tokens.map(({ token, logprob, top }) => ({
    ...choice(token, logprob, text),
    top_logprobs: top.map(([alternative, value]) => choice(alternative, value, text)),
  }))
}

function choice(token: number, logprob: number, text: Text) {
  const bytes = text.tokenBytes(token)
  return { token: Buffer.from(bytes).toString('utf8'), logprob: Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB, bytes: [...bytes] }
}
