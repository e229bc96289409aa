// Log probabilities in the two formats of OpenAI's API.

import { isUtf8 } from 'node:buffer'
import type { z } from 'zod'
import type { EngineText, TokenLogprob } from '../../../engine/types.js'
import type { ScoredPrompt } from '../../../service/types.js'
import type { ChatLogprobs } from '../schemas/chat.js'
import type { CompletionLogprobs } from '../schemas/completions.js'

type TokenBytes = Pick<EngineText, 'tokenBytes'>

/** JSON has no infinity; a token that cannot come gets the lowest number that OpenAI uses. */
const LOWEST_LOGPROB = -9999

export function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB
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

type Row = z.output<typeof CompletionLogprobs>
export type CompletionRow = Row

/**
 * The log probabilities of one completion, piece by piece. A character may have several tokens: each of them stands at the
 * character's offset, and is told as its bytes. Offsets are UTF-16 units of the answer's text, as JavaScript counts.
 */
export class CompletionTokens {
  readonly #text: TokenBytes
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #offset = 0

  constructor(text: TokenBytes) {
    this.#text = text
  }

  next(tokens: readonly TokenLogprob[]): Row {
    return {
      tokens: tokens.map(({ token }) => this.#name(token)),
      token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
      top_logprobs: tokens.map(({ top }) => this.#alternatives(top)),
      text_offset: tokens.map(({ token }) => this.#advance(token)),
    }
  }

  /** Of a prompt whose text comes before the answer's: nothing is known of its first token. */
  prompt(text: string, { tokens, scores }: ScoredPrompt, top: number): Row {
    const [first, ...rest] = tokens
    if (first === undefined) return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] }
    const told = rest.map((token, i) => ({ token, logprob: scores[i]?.logprob ?? LOWEST_LOGPROB, top: (scores[i]?.top ?? []).slice(0, top) }))
    const name = this.#name(first)
    // A beginning token is no part of the text, nor is the space that a tokenizer puts before it.
    const isThere = text.startsWith(name)
    if (isThere) this.#advance(first)
    else if (text.startsWith(name.trimStart())) this.#offset += name.trimStart().length
    const row = this.next(told)
    return {
      tokens: [name, ...row.tokens],
      token_logprobs: [null, ...row.token_logprobs],
      top_logprobs: [null, ...(row.top_logprobs ?? [])],
      text_offset: [0, ...row.text_offset],
    }
  }

  /** Where the token's text begins, or the character that it belongs to. */
  #advance(token: number): number {
    const offset = this.#offset
    this.#offset += this.#decoder.decode(this.#text.tokenBytes(token), { stream: true }).length
    return offset
  }

  /** Its text; of a token that is no text by itself its bytes, as OpenAI's completions tell them. */
  #name(token: number): string {
    const bytes = this.#text.tokenBytes(token)
    const text = Buffer.from(bytes)
    if (isUtf8(text)) return text.toString('utf8')
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  }

  /** Where two tokens have the same text, the likelier one has it as its name. */
  #alternatives(top: TokenLogprob['top']): Record<string, number> {
    const named = new Map<string, number>()
    for (const [token, logprob] of top.toSorted(([, a], [, b]) => b - a)) {
      const name = this.#name(token)
      named.set(named.has(name) ? `token_id:${token}` : name, finite(logprob))
    }
    return Object.fromEntries(named)
  }
}
