// Rounds of turns: all conversations at once, then something is done to the cache, then the next turn of all.

import { Conversation, reuseBound, reusedFrom, type Answer, type TurnOptions } from '../../support/conversation.js'
import { SCRIPTS, TURNS } from '../../support/scripts.js'
import type { TestServer } from '../../support/server.js'

/** Sampling of a turn: the same for every server, different for every turn. */
export type SamplingOf = (conversation: number, turn: number) => TurnOptions

export const MAX_TOKENS = 16

export const greedy: SamplingOf = () => ({ temperature: 0, max_tokens: MAX_TOKENS })
export const sampled: SamplingOf = (conversation, turn) => ({
  temperature: 1,
  seed: 1000 * conversation + turn,
  max_tokens: MAX_TOKENS,
})

/** Plays all scripts; `before` is awaited before each turn but the first, and may put another server in place. */
export async function playAll(
  start: TestServer,
  samplingOf: SamplingOf,
  before: (server: TestServer, turn: number) => Promise<TestServer> = async (server) => server,
): Promise<{ readonly answers: readonly (readonly Answer[])[]; readonly server: TestServer }> {
  const conversations = SCRIPTS.map((script) => new Conversation(script))
  let server = start
  for (let turn = 0; turn < TURNS; turn += 1) {
    if (turn > 0) server = await before(server, turn)
    const current = server
    await Promise.all(conversations.map((conversation, index) => conversation.next(current, samplingOf(index, turn))))
  }
  return { answers: conversations.map(({ answers }) => answers), server }
}

const where = (conversation: number, turn: number) => `conversation ${conversation}, turn ${turn}`

/** Turns that reused less than what the turn before left, in words. */
export function shortReuses(answers: readonly (readonly Answer[])[]): string[] {
  return answers.flatMap((turns, conversation) =>
    turns.slice(1).flatMap((answer, index) => {
      const previous = turns[index]
      if (!previous || reusedFrom(answer) >= reuseBound(previous)) return []
      const { reused_tokens: reused } = answer.usage.attentionstore
      return [`${where(conversation, index + 1)}: ${JSON.stringify(reused)}, not ${reuseBound(previous)}`]
    }),
  )
}

/** Answers whose usage does not add up, in words. */
export function wrongUsages(answers: readonly (readonly Answer[])[]): string[] {
  return answers.flatMap((turns, conversation) =>
    turns.flatMap((answer, turn) => {
      const { prompt_tokens, completion_tokens, prompt_tokens_details, attentionstore } = answer.usage
      const sum = reusedFrom(answer) + attentionstore.computed_tokens + attentionstore.outside_view_tokens
      const whole = answer.finish === 'length' || answer.finish === 'stop'
      const adds = sum === prompt_tokens && prompt_tokens_details.cached_tokens === reusedFrom(answer)
      const counts = !whole || completion_tokens >= answer.inside.tokens
      return adds && counts ? [] : [`${where(conversation, turn)}: ${JSON.stringify(answer.usage)}`]
    }),
  )
}
