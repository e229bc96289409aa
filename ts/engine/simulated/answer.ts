// One answer as its tokens come: incomplete characters, possible beginnings of stop strings and of tags are held back.

import type { FinishReason, OutputPart, SequenceSpec } from '../types.js'
import { OutputReader } from './output.js'
import { bytesOf, TURN_END } from './vocabulary.js'

export interface AnswerEnd {
  readonly finish: FinishReason
  readonly stopped: string | number | null
  readonly insideTokens: number
  readonly insideBytes: number
  readonly reasoningTokens: number
}

export interface AnswerStep {
  readonly parts: readonly OutputPart[]
  /** The sampled token counts as part of the answer. */
  readonly isCounted: boolean
  readonly end: AnswerEnd | null
}

export class Answer {
  readonly #spec: SequenceSpec
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #reader: OutputReader
  readonly #tokens: number[] = []
  /** Of the tokens, those of the prompt. */
  readonly #prefill: number
  #text = ''
  #shown = 0
  #reasoningTokens = 0
  /** Nothing but reasoning has come. */
  #isLeading = true

  constructor(spec: SequenceSpec) {
    this.#spec = spec
    this.#reader = new OutputReader(spec.output)
    const begun = spec.tokens.subarray(spec.tokens.length - (spec.prefill ?? 0))
    for (const token of begun) this.#goOnFrom(token)
    if (begun.length > 0) this.#reader.settle()
    this.#prefill = begun.length
  }

  /** A token of the message that the answer goes on with: it is read, counted as inside, and not shown. */
  #goOnFrom(token: number): void {
    this.#tokens.push(token)
    const wasReasoning = this.#reader.inReasoning
    this.#text += this.#decoder.decode(bytesOf(token), { stream: true })
    const parts: OutputPart[] = []
    this.#show(this.#text.length, parts)
    this.#countReasoning(wasReasoning, parts)
  }

  add(token: number): AnswerStep {
    const { ignoreEos, stopTokens, maxTokens } = this.#spec
    if (token === TURN_END && !ignoreEos) return this.#endBefore(null)
    if (stopTokens.includes(token)) return this.#endBefore(token)
    this.#tokens.push(token)
    const wasReasoning = this.#reader.inReasoning
    const parts: OutputPart[] = []
    const stop = this.#take(this.#decoder.decode(bytesOf(token), { stream: true }), parts)
    this.#countReasoning(wasReasoning, parts)
    if (stop !== null) return this.#ended(parts, true, 'stop', stop)
    if (this.#tokens.length - this.#prefill === maxTokens) return this.#ended(parts, true, 'length', null)
    return { parts: merged(parts), isCounted: true, end: null }
  }

  /** Takes text in, a character at a time: where reasoning ends is where stop strings begin to count. The stop, if one is complete. */
  #take(text: string, parts: OutputPart[]): string | null {
    for (const character of text) {
      this.#text += character
      if (this.#reader.inReasoning) {
        this.#show(this.#text.length, parts)
        continue
      }
      const stop = this.#findStop()
      if (stop !== null) {
        if (!this.#spec.includeStop) this.#text = this.#text.slice(0, this.#text.length - stop.length)
        return stop
      }
      this.#show(this.#text.length - this.#heldBack(), parts)
    }
    return null
  }

  /** No token may follow. */
  endHere(finish: FinishReason): AnswerEnd {
    return this.#end(finish, null)
  }

  #endBefore(stopped: number | null): AnswerStep {
    return this.#ended([], false, 'stop', stopped)
  }

  #ended(parts: OutputPart[], isCounted: boolean, finish: FinishReason, stopped: string | number | null): AnswerStep {
    this.#show(this.#text.length, parts)
    parts.push(...this.#reader.finish())
    return { parts: merged(parts), isCounted, end: this.#end(finish, stopped) }
  }

  #show(to: number, parts: OutputPart[]): void {
    parts.push(...this.#reader.push(this.#text.slice(this.#shown, to)))
    this.#shown = Math.max(this.#shown, to)
  }

  /** The longest stop string that the text ends with; all of it is behind what was shown. None while the answer is short. */
  #findStop(): string | null {
    if (this.#tokens.length - this.#prefill <= (this.#spec.minTokens ?? 0)) return null
    const ends = this.#spec.stop.filter(stop => this.#text.endsWith(stop) && this.#text.length - stop.length >= this.#shown)
    return ends.toSorted((a, b) => b.length - a.length)[0] ?? null
  }

  /** Characters at the end that might be the beginning of a stop string. */
  #heldBack(): number {
    let held = 0
    for (const stop of this.#spec.stop) {
      for (let length = Math.min(stop.length - 1, this.#text.length - this.#shown); length > held; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) held = length
      }
    }
    return held
  }

  #countReasoning(wasReasoning: boolean, parts: readonly OutputPart[]): void {
    if (!this.#isLeading) return
    const isReasoning = this.#reader.inReasoning
    if (isReasoning || wasReasoning) this.#reasoningTokens = this.#tokens.length
    this.#isLeading = isReasoning || (!wasReasoning && parts.every(part => part.kind === 'reasoning'))
  }

  /** The longest run of tokens whose bytes are the beginning of the text. */
  #end(finish: FinishReason, stopped: string | number | null): AnswerEnd {
    const bytes = new TextEncoder().encode(this.#text)
    let insideTokens = 0
    let insideBytes = 0
    for (const token of this.#tokens) {
      const piece = bytesOf(token)
      if (!piece.every((byte, i) => bytes[insideBytes + i] === byte)) break
      insideBytes += piece.length
      insideTokens++
    }
    return { finish, stopped, insideTokens, insideBytes, reasoningTokens: this.#reasoningTokens }
  }
}

/** Neighbours of one kind as one. */
function merged(parts: readonly OutputPart[]): OutputPart[] {
  const joined: OutputPart[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (part.kind !== 'call' && last?.kind === part.kind) joined[joined.length - 1] = { kind: part.kind, text: last.text + part.text }
    else joined.push(part)
  }
  return joined
}
