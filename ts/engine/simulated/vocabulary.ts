// A toy tokenizer: one token a byte, a few tokens of two bytes (so that sampled ids and re-tokenised text differ, as with
// real tokenizers), special tokens, and a ChatML-like template.

import type { ChatMessageText, ChatText, EncodedPrompt, TokenRange } from '../types.js'
import { OutputReader } from './output.js'

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

/** The same, with names of special tokens in the text as these tokens. */
export function encodeWithSpecials(text: string): number[] {
  const names = new Map([...specialText].map(([id, name]) => [name, id]))
  return text.split(/(<\|[a-z_]+\|>)/).flatMap(part => names.get(part) ?? encodeText(part))
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

/**
 * `<|im_start|>role\ncontent<|im_end|>\n` a message, a date where no system message leads, and the answer's beginning. Tools
 * are a message of their own in front, and so is a template that came with the request; reasoning and calls stand around the content, in JSON as JavaScript writes it.
 */
export function encodeChat({ messages, tools = [], templateArguments = {}, ending = 'answer', template }: ChatText, date: string): EncodedPrompt {
  const prompt = new SimulatedPrompt()
  if (template !== undefined) prompt.push({ role: 'template', content: template })
  const isLed = messages[0]?.role === 'system'
  if (tools.length > 0) prompt.push({ role: 'tools', content: JSON.stringify(tools) })
  if (Object.keys(templateArguments).length > 0) prompt.push({ role: 'arguments', content: JSON.stringify(templateArguments) })
  if (!isLed) prompt.push({ role: 'system', content: `Today is ${date}.` })
  let systemTokens = prompt.tokens.length
  messages.forEach((message, i) => {
    prompt.push(message, ending === 'open' && i === messages.length - 1)
    if (isLed && i === 0) systemTokens = prompt.tokens.length
  })
  if (ending === 'answer') prompt.begin('assistant')
  const { tokens, withoutReasoning, openFrom } = prompt
  const begun = openFrom === null ? {} : { prefill: { tokens: tokens.length - openFrom, inReasoning: isThinking(messages.at(-1)) } }
  return { tokens: Uint32Array.from(tokens), systemTokens, startsInReasoning: false, withoutReasoning, ...begun }
}

/** The message has come no further than its reasoning. */
function isThinking({ content = '', reasoning = '' }: Partial<ChatMessageText> = {}): boolean {
  const reader = new OutputReader({ tools: [], calls: false, startsInReasoning: false })
  reader.push(reasoning + content)
  return reader.inReasoning
}

class SimulatedPrompt {
  readonly tokens: number[] = []
  /** Where the message begins that the answer goes on with; null: it goes on with none. */
  openFrom: number | null = null
  readonly withoutReasoning: TokenRange[] = []

  begin(role: string): void {
    this.tokens.push(TURN_START)
    this.#add(encodeText(`${role}\n`))
  }

  push(message: ChatMessageText, isOpen = false): void {
    this.begin(message.role)
    const from = this.tokens.length
    const { ids, leavesReasoningOut } = bodyOf(message)
    this.#add(ids)
    if (leavesReasoningOut) this.withoutReasoning.push([from, this.tokens.length])
    if (isOpen) {
      this.openFrom = from
      return
    }
    this.tokens.push(TURN_END)
    this.#add(encodeText('\n'))
  }

  /** One at a time: a long content has more tokens than a call takes arguments. */
  #add(tokens: Iterable<number>): void {
    for (const token of tokens) this.tokens.push(token)
  }
}

/**
 * Stored ids in the place of an answer's reasoning, content and calls. Reasoning that the client left out is left out. Where
 * the ids cover the beginning of a content only, the rest of it is tokenised.
 */
function bodyOf({ content, reasoning = '', toolCalls = [], stored }: ChatMessageText): { ids: Iterable<number>; leavesReasoningOut: boolean } {
  if (!stored || (toolCalls.length > 0 && !stored.whole)) {
    const calls = toolCalls.map(call => JSON.stringify([call.name, call.arguments]))
    return { ids: encodeText([reasoning, content, ...calls].join('')), leavesReasoningOut: false }
  }
  const leavesReasoningOut = reasoning === '' && (stored.reasoning ?? 0) > 0
  const ids = [...stored.tokens.subarray(leavesReasoningOut ? stored.reasoning : 0)]
  if (toolCalls.length > 0 || stored.whole) return { ids, leavesReasoningOut }
  for (const id of encodeBytes(encoder.encode(content).subarray(stored.bytes))) ids.push(id)
  return { ids, leavesReasoningOut }
}
