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
