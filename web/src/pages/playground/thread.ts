// A conversation of the playground: plain data, so that a long answer costs no reactivity.

import type { ChatMessage, Usage } from 'attentionstore/protocol'

export interface Answer {
  readonly role: 'assistant'
  readonly text: string
  /** null while it is written, and when it was stopped or failed. */
  readonly usage: Usage | null
  /** From sending to the first text, at this page, milliseconds. */
  readonly firstTextMs: number | null
  /** Estimated; null: nothing was reused. */
  readonly savedMs: number | null
  readonly state: 'writing' | 'whole' | 'cut' | 'stopped' | 'failed'
}

export interface Question {
  readonly role: 'user'
  readonly text: string
}

export type Entry = Question | Answer

export interface Thread {
  /** Of this page only; the server has its own id. */
  readonly id: number
  readonly name: string
  readonly entries: readonly Entry[]
  /** The server's id, once it has answered. */
  readonly conversation: string | null
}

/** The messages that ask for the next answer: the whole history, without what failed before its first word. */
export function messagesOf(entries: readonly Entry[]): ChatMessage[] {
  return entries
    .filter((entry) => entry.role === 'user' || entry.text !== '')
    .map((entry) => ({ role: entry.role, content: entry.text }))
}

/** A new thread that begins as `source` up to and with entry `last`. */
export function forkOf(source: Thread, last: number, id: number): Thread {
  return { id, name: `${source.name}, fork ${id}`, entries: source.entries.slice(0, last + 1), conversation: null }
}
