// The scored texts: sections of prose, or dialogues strung together into long conversations.

import type { ChatMessageText, EngineText } from '../engine/types.js'
import type { Dialogue } from './corpus.js'

/** A day for templates that ask for one. */
const DATE = '2026-01-01'
/** More than a token has in any language of these texts. */
const CHARACTERS_A_TOKEN = 12

/** A text that is scored from its beginning on. */
export interface Section {
  readonly tokens: Uint32Array
  readonly systemTokens: number
  /** Whether the token at this index counts. */
  readonly counts: (index: number) => boolean
}

export interface ProseShape {
  readonly sections: number
  /** Of a section, in tokens. */
  readonly length: number
  readonly systemTokens?: number
}

export interface Subject {
  readonly name: string
  readonly sections: readonly Section[]
}

/**
 * `sections` stretches of `length` tokens, evenly spread over all `texts`; each begins with a line and lies in one text.
 * Their first `systemTokens` tokens are kept as a system prompt is.
 */
export async function proseSubject(text: EngineText, name: string, texts: readonly string[], { sections, length, systemTokens = 0 }: ProseShape): Promise<Subject> {
  const characters = length * CHARACTERS_A_TOKEN
  const long = texts.filter(one => one.length >= characters)
  const from = long.length > 0 ? long : [longest(texts)]
  const stretches = spread(from, sections, characters)
  return {
    name,
    sections: await Promise.all(
      stretches.map(async stretch => {
        const tokens = await text.encodePrompt(stretch)
        return { tokens: tokens.slice(0, length), systemTokens, counts: () => true }
      }),
    ),
  }
}

function longest(texts: readonly string[]): string {
  return texts.reduce((best, text) => (text.length > best.length ? text : best), '')
}

function spread(texts: readonly string[], count: number, characters: number): string[] {
  // Where a stretch may begin, over all texts.
  const room = texts.map(text => Math.max(1, text.length - characters))
  const all = room.reduce((sum, one) => sum + one, 0)
  return Array.from({ length: count }, (_, i) => {
    let at = Math.floor((all * (i + 0.5)) / count)
    let index = 0
    while (at >= (room[index] as number)) at -= room[index++] as number
    const text = texts[index] as string
    const line = text.lastIndexOf('\n', at) + 1
    return text.slice(line, line + characters)
  })
}

/**
 * Users who go from one subject to the next, each until the conversation has `length` tokens. Answers count, nothing
 * else. There are fewer conversations than `sections` if the dialogues do not suffice, but one at least.
 */
export async function chatSubject(text: EngineText, name: string, dialogues: readonly Dialogue[], sections: number, length: number): Promise<Subject> {
  const left = [...dialogues]
  const conversations: Section[] = []
  while (left.length > 0 && conversations.length < sections) {
    const conversation = await oneConversation(text, left, length)
    if (conversation.tokens.length < length && conversations.length > 0) break
    conversations.push(conversation)
  }
  return { name, sections: conversations }
}

/** Takes what it needs from the front of `dialogues`. */
async function oneConversation(text: EngineText, dialogues: Dialogue[], length: number): Promise<Section> {
  const messages: ChatMessageText[] = []
  const answers: Array<readonly [from: number, to: number]> = []
  let tokens = 0
  while (tokens < length && dialogues.length > 0) {
    for (const [role, content] of dialogues.shift()?.turns ?? []) {
      if (role === 'assistant') {
        const before = (await text.encodeChat({ messages }, DATE)).tokens.length
        tokens = before + (await text.tokenize(content, false)).length
        answers.push([before, tokens])
      }
      messages.push({ role, content })
    }
  }
  const { tokens: all, systemTokens } = await text.encodeChat({ messages }, DATE)
  const isAnswer = new Uint8Array(all.length)
  for (const [from, to] of answers) isAnswer.fill(1, from, to)
  return { tokens: all.slice(0, length), systemTokens, counts: index => isAnswer[index] === 1 }
}
