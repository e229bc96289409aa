// An answer put together from the pieces of its stream.

import type { ChatChunk } from 'attentionstore/protocol'
import type { Answer, Call } from '../chats/chat.js'

type Delta = ChatChunk['choices'][number]['delta']

export type Parts = Pick<Answer, 'text' | 'reasoning' | 'reasoningMs' | 'calls' | 'firstTextMs'>

export class AnswerParts {
  #text: string
  #reasoning: string
  readonly #calls: Call[] = []
  #firstAtMs: number | null = null
  #reasoningFromMs: number | null = null
  #reasoningToMs: number | null = null

  /**
   * @param startedAtMs On the clock of `add`'s `nowMs`.
   * @param before What the answer has already, where it goes on.
   */
  constructor(
    private readonly startedAtMs: number,
    private readonly before: Pick<Answer, 'text' | 'reasoning' | 'reasoningMs'> = { text: '', reasoning: '', reasoningMs: null },
  ) {
    this.#text = before.text
    this.#reasoning = before.reasoning
  }

  /** @returns whether the piece brought something to show. */
  add(delta: Delta, nowMs: number): boolean {
    const reasoning = delta.reasoning_content ?? delta.reasoning ?? ''
    const content = delta.content ?? ''
    const calls = delta.tool_calls ?? []
    if (reasoning === '' && content === '' && calls.length === 0) return false
    this.#firstAtMs ??= nowMs
    if (reasoning !== '') {
      this.#reasoningFromMs ??= nowMs
      this.#reasoning += reasoning
    }
    if (content !== '' || calls.length > 0) this.#endReasoning(nowMs)
    this.#text += content
    for (const call of calls) this.#addCall(call)
    return true
  }

  /** The stream has ended: whatever was open is closed. */
  end(nowMs: number): void {
    this.#endReasoning(nowMs)
  }

  get parts(): Parts {
    const [from, to] = [this.#reasoningFromMs, this.#reasoningToMs]
    const reasoningMs = from === null || to === null ? this.before.reasoningMs : to - from
    const firstTextMs = this.#firstAtMs === null ? null : this.#firstAtMs - this.startedAtMs
    return { text: this.#text, reasoning: this.#reasoning, reasoningMs, calls: [...this.#calls], firstTextMs }
  }

  /** Tokens a second after the first; null: too few to say. */
  tokensPerS(tokens: number, nowMs: number): number | null {
    const tookMs = this.#firstAtMs === null ? 0 : nowMs - this.#firstAtMs
    return tokens > 1 && tookMs > 0 ? (1000 * (tokens - 1)) / tookMs : null
  }

  #endReasoning(nowMs: number): void {
    if (this.#reasoningFromMs !== null) this.#reasoningToMs ??= nowMs
  }

  /** Id and name come once, then pieces of the arguments. */
  #addCall({ index, id, function: called }: NonNullable<Delta['tool_calls']>[number]): void {
    const before = this.#calls[index] ?? { id: '', name: '', arguments: '' }
    this.#calls[index] = {
      id: id ?? before.id,
      name: called.name ?? before.name,
      arguments: before.arguments + called.arguments,
    }
  }
}
