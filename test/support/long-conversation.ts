// One conversation of many windows on a real server: long questions of random words, short greedy answers.

import { ask, type Answer, type Message } from './conversation.js'
import { Random } from './random.js'
import type { TestServer } from './server.js'

const WORDS = ['river', 'letter', 'garden', 'clock', 'market', 'bridge', 'winter', 'music', 'window', 'stone', 'teacher', 'harbour']
const SEED = 5
const WORDS_A_QUESTION = 180
const ANSWER_TOKENS = 16

/** Turns until the conversation has `tokens` tokens; the same questions every time. */
export async function converse(server: TestServer, tokens: number): Promise<Answer[]> {
  const random = new Random(SEED)
  const messages: Message[] = []
  const answers: Answer[] = []
  while ((answers.at(-1)?.usage.prompt_tokens ?? 0) < tokens) {
    const words = Array.from({ length: WORDS_A_QUESTION }, () => random.pick(WORDS)).join(' ')
    messages.push({ role: 'user', content: `${answers.length}: ${words}` })
    const answer = await ask(server, messages, { temperature: 0, max_tokens: ANSWER_TOKENS, truncation: 'auto' })
    messages.push({ role: 'assistant', content: answer.text })
    answers.push(answer)
  }
  return answers
}
