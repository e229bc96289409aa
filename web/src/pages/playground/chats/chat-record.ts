// Chats as a browser stores them. Stored data may be of another version, damaged, or another program's: each record is
// read with suspicion, and one that is not whole is none.

import type { Usage } from 'attentionstore/protocol'
import { readSettings } from '../settings/chat-settings.js'
import { NEW_ANSWER, NEW_TITLE, type Answer, type Call, type Chat, type Entry } from './chat.js'

/** Counted up with each change of the form; a reader for the older form then stands here too. */
export const RECORD_VERSION = 1

export interface ChatRecord {
  readonly id: string
  readonly version: number
  readonly chat: Chat
}

type Fields = Readonly<Record<string, unknown>>

export const recordOf = (chat: Chat): ChatRecord => ({ id: chat.id, version: RECORD_VERSION, chat })

/** `newer`: written by a later version of this page, which can read it. `damaged`: nothing can be made of it. */
export function readRecord(stored: unknown): Chat | 'newer' | 'damaged' {
  if (!isFields(stored)) return 'damaged'
  if (typeof stored['version'] === 'number' && stored['version'] > RECORD_VERSION) return 'newer'
  const chat = stored['version'] === RECORD_VERSION ? readChat(stored['chat']) : null
  return chat === null || chat.id !== stored['id'] ? 'damaged' : chat
}

function readChat(stored: unknown): Chat | null {
  if (!isFields(stored) || typeof stored['id'] !== 'string' || !Array.isArray(stored['entries'])) return null
  const entries = stored['entries'].map(readEntry)
  if (!entries.every((entry) => entry !== null)) return null
  const tip = stored['tip']
  if (!Number.isInteger(tip) || (tip as number) < 0 || (tip as number) >= entries.length) return null
  return {
    id: stored['id'],
    title: textOf(stored['title']) || NEW_TITLE,
    isNamed: stored['isNamed'] === true,
    changedAtMs: numberOf(stored['changedAtMs']) ?? 0,
    settings: readSettings(stored['settings']),
    entries,
    tip: tip as number,
  }
}

function readEntry(stored: unknown, id: number): Entry | null {
  if (!isFields(stored) || stored['id'] !== id || typeof stored['text'] !== 'string') return null
  const { parent, role, text } = stored
  const isRooted = parent === null || (Number.isInteger(parent) && (parent as number) >= 0 && (parent as number) < id)
  if (!isRooted) return null
  const placed = { id, parent: parent as number | null }
  if (role === 'user') return { ...placed, role, text }
  if (role === 'tool') return { ...placed, role, text, callId: textOf(stored['callId']), name: textOf(stored['name']) }
  return role === 'assistant' ? { ...placed, ...readAnswer(stored, text) } : null
}

function readAnswer(stored: Fields, text: string): Omit<Answer, 'id' | 'parent'> {
  const { state, calls } = stored
  return {
    ...NEW_ANSWER,
    text,
    reasoning: textOf(stored['reasoning']),
    reasoningMs: numberOf(stored['reasoningMs']),
    calls: Array.isArray(calls) ? calls.filter(isCall) : [],
    usage: isUsage(stored['usage']) ? stored['usage'] : null,
    firstTextMs: numberOf(stored['firstTextMs']),
    tokensPerS: numberOf(stored['tokensPerS']),
    savedMs: numberOf(stored['savedMs']),
    // A page that was left while it wrote can write no more.
    state: state === 'ended' || state === 'failed' ? state : 'stopped',
    finish: typeof stored['finish'] === 'string' ? stored['finish'] : null,
    failure: textOf(stored['failure']),
  }
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const numberOf = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

function isCall(value: unknown): value is Call {
  return isFields(value) && ['id', 'name', 'arguments'].every((name) => typeof value[name] === 'string')
}

/** Has the counts that the page draws. */
function isUsage(value: unknown): value is Usage {
  const own = isFields(value) ? value['attentionstore'] : null
  if (!isFields(value) || !isFields(own) || !isFields(own['reused_tokens'])) return false
  const counts = [value['prompt_tokens'], own['computed_tokens'], own['outside_view_tokens'], ...Object.values(own['reused_tokens'])]
  return counts.every((count) => numberOf(count) !== null)
}
