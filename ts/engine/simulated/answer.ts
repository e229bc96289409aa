// The text of one answer as its tokens come: incomplete characters and possible beginnings of stop strings are held back.

import type { FinishReason, SequenceSpec } from '../types.js'
import { bytesOf, TURN_END } from './vocabulary.js'

export interface AnswerEnd {
  readonly finish: FinishReason
  readonly stopped: string | number | null
  readonly insideTokens: number
  readonly insideBytes: number
}

export interface AnswerStep {
  readonly text: string
  /** The sampled token counts as part of the answer. */
  readonly isCounted: boolean
  readonly end: AnswerEnd | null
}

export class Answer {
  readonly #spec: SequenceSpec
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #tokens: number[] = []
  #text = ''
  #shown = 0

  constructor(spec: SequenceSpec) {
    this.#spec = spec
  }

  add(token: number): AnswerStep {
    const { ignoreEos, stopTokens, maxTokens } = this.#spec
    if (token === TURN_END && !ignoreEos) return this.#endBefore(null)
    if (stopTokens.includes(token)) return this.#endBefore(token)
    this.#tokens.push(token)
    const searchFrom = this.#shown
    this.#text += this.#decoder.decode(bytesOf(token), { stream: true })
    const stop = this.#findStop(searchFrom)
    if (stop) {
      this.#text = this.#text.slice(0, stop.at)
      return { text: this.#show(this.#text.length), isCounted: true, end: this.#end('stop', stop.text) }
    }
    if (this.#tokens.length === maxTokens) {
      return { text: this.#show(this.#text.length), isCounted: true, end: this.#end('length', null) }
    }
    return { text: this.#show(this.#text.length - this.#heldBack()), isCounted: true, end: null }
  }

  /** No token may follow. */
  endHere(finish: FinishReason): AnswerEnd {
    return this.#end(finish, null)
  }

  #endBefore(stopped: number | null): AnswerStep {
    return { text: this.#show(this.#text.length), isCounted: false, end: this.#end('stop', stopped) }
  }

  #show(to: number): string {
    const text = this.#text.slice(this.#shown, to)
    this.#shown = Math.max(this.#shown, to)
    return text
  }

  #findStop(from: number): { at: number; text: string } | null {
    let first: { at: number; text: string } | null = null
    for (const text of this.#spec.stop) {
      const at = this.#text.indexOf(text, from)
      if (at >= 0 && (first === null || at < first.at)) first = { at, text }
    }
    return first
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
    return { finish, stopped, insideTokens, insideBytes }
  }
}
