// The script: what the model says to what it was told last. Every family says the same in its own form.

import type { ChatMessageText, ChatText } from '../../../ts/engine/types.js'
import type { Said, Writer } from './output.js'

const OSLO = '{"city": "Oslo", "days": 2}'
const BERGEN = '{"city": "Bergen", "days": 1, "hours": [6, 12.5], "why": "a \\"walk\\""}'
const ADA = '{"name": "Ada", "age": 36}'
const LONG = Array.from({ length: 40 }, (_, i) => `Line ${i + 1} of a long answer.`).join('\n')

function weather(...cities: readonly string[]): Said {
  return { calls: cities.map((text) => ({ name: 'get_weather', arguments: text })) }
}

/** A person: as a call where there is a tool to take it, else as the JSON that was asked for. */
function person(tools: ChatText['tools'] = []): Said {
  const [tool] = tools
  return tool === undefined ? { content: ADA } : { calls: [{ name: tool.name, arguments: ADA }] }
}

const ANSWERS: Readonly<Record<string, (chat: ChatText) => Said>> = {
  'Say hello.': () => ({ content: 'Hello from the model: naïve, 東京, 🏳️‍🌈.' }),
  'Think first.': () => ({ reasoning: 'Let me think.\nTwo and two are four.', content: 'Four.' }),
  'What is the weather in Oslo?': () => weather(OSLO),
  'What is the weather in Oslo and in Bergen?': () => weather(OSLO, BERGEN),
  'Think, then call.': () => ({ reasoning: 'I need the weather.', ...weather(OSLO) }),
  'Who is Ada?': ({ tools }) => person(tools),
  'Say it as Markdown: who is Ada?': () => ({ content: `Here she is:\n\n\`\`\`json\n${ADA}\n\`\`\`\n` }),
  'Say what you do, then call.': () => ({ content: 'I will look it up.', ...weather(OSLO) }),
  'Keep talking.': () => ({ content: LONG }),
}

/** Clients put instructions of their own in front of what was asked, or behind it. */
function scripted(text: string, chat: ChatText): Said | undefined {
  const question = Object.keys(ANSWERS).find((question) => text.includes(question))
  return question === undefined ? undefined : ANSWERS[question]?.(chat)
}

function said(last: ChatMessageText | undefined, chat: ChatText): Said {
  if (last?.role === 'tool') return { content: `I was told: ${last.content.trim()}` }
  return scripted(last?.content ?? '', chat) ?? { content: `The script has no answer to: ${last?.content ?? 'nothing'}` }
}

function answerTo(chat: ChatText): Said {
  return said(chat.messages.findLast(({ role }) => role === 'user' || role === 'tool'), chat)
}

/**
 * What the model writes: of a message that the client began, what follows. Where that is reasoning, the script begins behind its
 * end, as every grammar does.
 */
export function writtenTo(chat: ChatText, write: Writer): string {
  const answer = answerTo(chat)
  const whole = write(answer)
  const last = chat.messages.at(-1)
  if (chat.ending !== 'open' || last === undefined) return whole
  if (last.content === '') return answer.content ?? ''
  const at = whole.lastIndexOf(last.content)
  return at < 0 ? `The script has no answer that begins: ${last.content}` : whole.slice(at + last.content.length)
}

/** What follows a raw prompt; undefined: the script does not know it. */
export function answerToText(prompt: string): string | undefined {
  return scripted(prompt, { messages: [] })?.content
}
