// Log probabilities in the two formats of OpenAI's API.

import type { z } from 'zod'
import type { EngineText, TokenLogprob } from '../../../engine/types.js'
import type { ChatLogprobs } from '../schemas/chat.js'
import type { CompletionLogprobs } from '../schemas/completions.js'

type TokenBytes = Pick<EngineText, 'tokenBytes'>

/** JSON has no infinity; a token that cannot come gets the lowest number that OpenAI uses. */
const LOWEST_LOGPROB = -9999

function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB
}

function tokenText(token: number, text: TokenBytes): string {
  return Buffer.from(text.tokenBytes(token)).toString('utf8')
}

function tokenChoice(token: number, logprob: number, text: TokenBytes) {
  const bytes = text.tokenBytes(token)
  return { token: Buffer.from(bytes).toString('utf8'), logprob: finite(logprob), bytes: [...bytes] }
}

export function chatLogprobs(tokens: readonly TokenLogprob[], text: TokenBytes): z.output<typeof ChatLogprobs> {
  const content = tokens.map(({ token, logprob, top }) => ({
    ...tokenChoice(token, logprob, text),
    top_logprobs: top.map(([alternative, value]) => tokenChoice(alternative, value, text)),
  }))
  return { content, refusal: null }
}

/** `offset`: length in UTF-16 units of the answer's text before these tokens. */
export function completionLogprobs(
  tokens: readonly TokenLogprob[],
  offset: number,
  text: TokenBytes,
): z.output<typeof CompletionLogprobs> {
  const texts = tokens.map(({ token }) => tokenText(token, text))
  let end = offset
  const offsets = texts.map((piece) => (end += piece.length) - piece.length)
  return {
    tokens: texts,
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(([token, logprob]) => [tokenText(token, text), finite(logprob)])),
    ),
    text_offset: offsets,
  }
}
