// A toy tokenizer: one token a byte, a few tokens of two bytes (so that sampled ids and re-tokenised text differ, as with
// real tokenizers), special tokens, and a ChatML-like template.

import type { ChatMessageText, EncodedPrompt } from '../types.js'

export const TURN_START = 256
export const TURN_END = 257
export const TEXT_START = 258
const FIRST_PAIR = 260
const PAIRS = ['th', 'he', 'in', 'er', 'an', 're', 'on', 'at', 'e ', ' t', 'é', 'ß', '\n\n', 'us']

const encoder = new TextEncoder()
const pairBytes = PAIRS.map(pair => encoder.encode(pair))
const pairIds = new Map(pairBytes.map((bytes, i) => [pairCode(bytes[0] as number, bytes[1] as number), FIRST_PAIR + i]))
const specialText = new Map([
  [TURN_START, '<|im_start|>'],
  [TURN_END, '<|im_end|>'],
  [TEXT_START, '<|endoftext|>'],
  [259, '<|reserved|>'],
])

export const VOCABULARY_SIZE = FIRST_PAIR + PAIRS.length

function pairCode(first: number, second: number): number {
  return first * 256 + second
}

/** Canonical token ids of a text: pairs wherever one begins, single bytes elsewhere. Never special tokens. */
export function encodeText(text: string): number[] {
  return encodeBytes(encoder.encode(text))
}

function encodeBytes(bytes: Uint8Array): number[] {
  const ids: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number
    const pair = at + 1 < bytes.length ? pairIds.get(pairCode(first, bytes[at + 1] as number)) : undefined
    ids.push(pair ?? first)
    at += pair === undefined ? 1 : 2
  }
  return ids
}

/** The bytes that a token stands for; special tokens stand for their name, ids past the vocabulary for a letter. */
export function bytesOf(token: number): Uint8Array {
  if (token < 256) return Uint8Array.of(token)
  if (token >= VOCABULARY_SIZE) return Uint8Array.of(97 + (token % 26))
  const special = specialText.get(token)
  return special === undefined ? (pairBytes[token - FIRST_PAIR] ?? new Uint8Array()) : encoder.encode(special)
}

export function decodeTokens(tokens: Iterable<number>): string {
  return new TextDecoder().decode(Buffer.concat([...tokens].map(bytesOf)))
}

/** `<|im_start|>role\ncontent<|im_end|>\n` a message, a date where no system message leads, and the answer's beginning. */
export function encodeChat(messages: readonly ChatMessageText[], date: string): EncodedPrompt {
  const tokens: number[] = []
  const isLed = messages[0]?.role === 'system'
  if (!isLed) pushMessage(tokens, { role: 'system', content: `Today is ${date}.` })
  let systemTokens = tokens.length
  messages.forEach((message, i) => {
    pushMessage(tokens, message)
    if (isLed && i === 0) systemTokens = tokens.length
  })
  tokens.push(TURN_START, ...encodeText('assistant\n'))
  return { tokens: Uint32Array.from(tokens), systemTokens }
}

function pushMessage(tokens: number[], message: ChatMessageText): void {
  tokens.push(TURN_START, ...encodeText(`${message.role}\n`))
  // One at a time: a long content has more tokens than a call takes arguments.
  for (const token of encodeContent(message)) tokens.push(token)
  tokens.push(TURN_END, ...encodeText('\n'))
}

/** Stored ids as far as they cover the text, the rest canonically. */
function encodeContent({ content, stored }: ChatMessageText): number[] {
  if (!stored) return encodeText(content)
  const bytes = encoder.encode(content)
  return [...stored.tokens, ...encodeBytes(bytes.subarray(stored.bytes))]
}
