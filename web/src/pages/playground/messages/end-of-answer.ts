// Why an answer ended, in words, where it did not simply come to its end.

import type { Answer } from '../chats/chat.js'

const WORDS: Readonly<Record<string, string>> = {
  stop: '',
  tool_calls: '',
  length: 'The answer reached its longest length.',
}

/** '': it came to its end, calls something, is still written, or its failure is told elsewhere. */
export function endOf({ state, finish }: Pick<Answer, 'state' | 'finish'>): string {
  if (state === 'stopped') return 'Stopped before its end.'
  if (state !== 'ended' || finish === null) return ''
  return WORDS[finish] ?? `The answer ended by “${finish}”.`
}

/** Whether its text is the beginning of a longer one: it was bounded, stopped or broke off after its first word. */
export function canGoOn({ state, finish, text, calls }: Pick<Answer, 'state' | 'finish' | 'text' | 'calls'>): boolean {
  if (text.trim() === '' || calls.length > 0) return false
  return state === 'stopped' || state === 'failed' || (state === 'ended' && finish === 'length')
}
