// One conversation that outgrows its window, on the simulated engine.

import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { ask, chat, type Answer, type SimulatedService } from './simulated-service.js'

export const WINDOW = 512

export const auto = (messages: readonly TurnMessage[], rest: Partial<TurnRequest> = {}): TurnRequest =>
  chat(messages, { truncation: 'auto', ignoreEos: true, maxTokens: 40, ...rest })

/** Turns until the conversation is `windows` windows long; `each` sees the answers as they come. */
export async function converse(
  served: () => SimulatedService,
  windows: number,
  each: (answer: Answer, before: Answer | null) => void | Promise<void> = () => undefined,
  messages: TurnMessage[] = [],
): Promise<TurnMessage[]> {
  let before: Answer | null = null
  for (let turn = 0; before === null || before.usage.promptTokens < windows * WINDOW; turn++) {
    messages.push({ role: 'user', content: `question ${turn} `.repeat(8) })
    const answer: Answer = await ask(served().service, auto(messages))
    await each(answer, before)
    messages.push({ role: 'assistant', content: answer.text })
    before = answer
  }
  return messages
}
