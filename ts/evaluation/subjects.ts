// What is scored: a stretch of prose, or dialogues strung together into one long conversation.

import type { ChatMessageText, EngineText } from '../engine/types.js'
import type { Dialogue } from './corpus.js'
import type { Subject } from './perplexity.js'

/** A day for templates that ask for one. */
const DATE = '2026-01-01'
/** More than a token has in any language of these texts. */
const CHARACTERS_A_TOKEN = 12

/** `length` tokens from a third of the text on: beginnings are lists of contents. */
export async function proseSubject(text: EngineText, name: string, prose: string, length: number): Promise<Subject> {
  const from = Math.max(0, Math.min(Math.floor(prose.length / 3), prose.length - length * CHARACTERS_A_TOKEN))
  const tokens = await text.encodePrompt(prose.slice(from, from + length * CHARACTERS_A_TOKEN))
  return { name, tokens: tokens.slice(0, length), systemTokens: 0, counts: () => true }
}

/** A user who goes from one subject to the next, until the conversation has `length` tokens. Answers count, nothing else. */
export async function chatSubject(text: EngineText, name: string, dialogues: readonly Dialogue[], length: number): Promise<Subject> {
  const messages: ChatMessageText[] = []
  const answers: Array<readonly [from: number, to: number]> = []
  let tokens = 0
  for (const [role, content] of dialogues.flatMap(({ turns }) => turns)) {
    if (tokens >= length) break
    if (role === 'assistant') {
      const before = (await text.encodeChat(messages, DATE)).tokens.length
      tokens = before + (await text.tokenize(content, false)).length
      answers.push([before, tokens])
    }
    messages.push({ role, content })
  }
  const { tokens: all, systemTokens } = await text.encodeChat(messages, DATE)
  const isAnswer = new Uint8Array(all.length)
  for (const [from, to] of answers) isAnswer.fill(1, from, to)
  return { name, tokens: all.slice(0, length), systemTokens, counts: index => isAnswer[index] === 1 }
}
