// A chat of the playground: a tree of questions and answers, and the branch that is shown. Plain data, so that a long
// answer costs no reactivity and a chat can be stored as it is.

import type { Usage } from 'attentionstore/protocol'
import type { ChatSettings } from '../settings/chat-settings.js'
import { titleOf } from './title.js'

export interface Call {
  readonly id: string
  readonly name: string
  /** JSON text, as the model wrote it. */
  readonly arguments: string
}

interface Placed {
  /** Its place among the chat's entries. */
  readonly id: number
  /** The entry that it follows; null: it begins the chat. */
  readonly parent: number | null
}

export interface Question extends Placed {
  readonly role: 'user'
  readonly text: string
}

/** The result of a call, as the user wrote it. */
export interface CallResult extends Placed {
  readonly role: 'tool'
  readonly callId: string
  readonly name: string
  readonly text: string
}

export interface Answer extends Placed {
  readonly role: 'assistant'
  readonly text: string
  readonly reasoning: string
  /** From the first to the last word of the reasoning, at this page; null: there is none, or it goes on. */
  readonly reasoningMs: number | null
  readonly calls: readonly Call[]
  /** null while it is written, and when it was stopped or failed. */
  readonly usage: Usage | null
  /** From sending to the first word, at this page, milliseconds. */
  readonly firstTextMs: number | null
  /** After the first token; null: too few to say. */
  readonly tokensPerS: number | null
  /** Estimated; null: nothing was reused. */
  readonly savedMs: number | null
  readonly state: 'writing' | 'ended' | 'stopped' | 'failed'
  /** The server's word for why it ended; null: it did not end by itself. */
  readonly finish: string | null
  /** Why it failed, in words; ''. */
  readonly failure: string
}

export type Entry = Question | Answer | CallResult

export interface Chat {
  readonly id: string
  readonly title: string
  /** Whether the user gave the title: then no question changes it. */
  readonly isNamed: boolean
  readonly changedAtMs: number
  readonly settings: ChatSettings
  /** Every branch, in the order of their beginning: `entries[id].id === id`, and a parent stands before its children. */
  readonly entries: readonly Entry[]
  /** The last entry of the branch that is shown; null: the chat is empty. */
  readonly tip: number | null
}

/** An entry that has no place yet. */
export type NewEntry = Omit<Question, 'id' | 'parent'> | Omit<Answer, 'id' | 'parent'> | Omit<CallResult, 'id' | 'parent'>

export const NEW_ANSWER: Omit<Answer, 'id' | 'parent'> = {
  role: 'assistant',
  text: '',
  reasoning: '',
  reasoningMs: null,
  calls: [],
  usage: null,
  firstTextMs: null,
  tokensPerS: null,
  savedMs: null,
  state: 'writing',
  finish: null,
  failure: '',
}

export const NEW_TITLE = 'New chat'

export function newChat(id: string, settings: ChatSettings, nowMs: number): Chat {
  return { id, title: NEW_TITLE, isNamed: false, changedAtMs: nowMs, settings, entries: [], tip: null }
}

/** The entries from the chat's beginning to `tip`. */
export function pathOf({ entries, tip }: Pick<Chat, 'entries' | 'tip'>): readonly Entry[] {
  const path: Entry[] = []
  for (let at = tip; at !== null; ) {
    const entry = entries[at]
    if (!entry) break
    path.push(entry)
    at = entry.parent
  }
  return path.toReversed()
}

/** The entry and its alternatives: all that follow the same entry, oldest first. */
export function siblingsOf({ entries }: Chat, { parent }: Pick<Entry, 'parent'>): readonly number[] {
  return entries.filter((entry) => entry.parent === parent).map(({ id }) => id)
}

/** Adds an entry after `parent`, and shows it. The chat's first question names it. */
export function withEntry(chat: Chat, parent: number | null, entry: NewEntry, nowMs: number): Chat {
  const id = chat.entries.length
  const isFirst = !chat.isNamed && id === 0 && entry.role === 'user'
  const title = isFirst ? titleOf(entry.text) : chat.title
  return { ...chat, title, changedAtMs: nowMs, entries: [...chat.entries, { ...entry, id, parent }], tip: id }
}

export function withAnswer(chat: Chat, id: number, update: Partial<Omit<Answer, keyof Placed | 'role'>>): Chat {
  const entry = chat.entries[id]
  return entry?.role === 'assistant' ? { ...chat, entries: chat.entries.with(id, { ...entry, ...update }) } : chat
}

/** Shows the branch up to the entry before answer `id`. The answer stays beside the next one, unless nothing came of it. */
export function withoutAnswer(chat: Chat, id: number): Chat {
  const entry = chat.entries[id]
  if (entry?.role !== 'assistant') return chat
  const isNothing = entry.state === 'failed' && entry.text === '' && entry.reasoning === '' && id === chat.entries.length - 1
  return { ...chat, tip: entry.parent, entries: isNothing ? chat.entries.slice(0, -1) : chat.entries }
}

/** Shows the branch through entry `id`: down to its newest end. */
export function withBranch(chat: Chat, id: number): Chat {
  let tip = id
  // Children stand after their parents, so one pass finds the newest child of each.
  const newest = new Map(chat.entries.map((entry) => [entry.parent, entry.id]))
  for (let next = newest.get(tip); next !== undefined; next = newest.get(tip)) tip = next
  return { ...chat, tip }
}

/** A new chat that begins as `chat` up to and with entry `last` of the branch that is shown. */
export function forkOf(chat: Chat, last: number, id: string, nowMs: number): Chat {
  const entries = pathOf({ entries: chat.entries, tip: last }).map((entry, place) => ({ ...entry, id: place, parent: place === 0 ? null : place - 1 }))
  return { ...chat, id, title: `${chat.title} (fork)`, isNamed: true, changedAtMs: nowMs, entries, tip: entries.length - 1 }
}

/** Calls of the branch's last answer that have no result yet. */
export function openCalls(path: readonly Entry[]): readonly Call[] {
  const last = path.at(-1)
  return last?.role === 'assistant' && last.state === 'ended' ? last.calls : []
}

/** Questions of the branch that is shown. */
export const turnsOf = (chat: Chat): number => pathOf(chat).filter(({ role }) => role === 'user').length
