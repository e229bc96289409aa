// Plays a script against a server, turn by turn, and keeps what came back.

import type OpenAI from 'openai'
import type { TierName, Usage } from '../../ts/protocol/index.js'
import { insideOf, type Inside } from './inside.js'
import type { Script } from './scripts.js'
import type { TestServer } from './server.js'

export type Message = OpenAI.Chat.ChatCompletionMessageParam

/** The fields of a request beside its messages. */
export type TurnOptions = Omit<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming, 'model' | 'messages'> &
  Readonly<Record<string, unknown>>

/** One answer, with what its successor must find again. */
export interface Answer {
  /** The question: the conversation up to this answer. */
  readonly messages: readonly Message[]
  readonly text: string
  readonly finish: string
  readonly usage: Usage
  /** Bytes of each answer token, in order. */
  readonly tokens: readonly Uint8Array[]
  /** The candidates in each token's place, likeliest first. */
  readonly likeliest: ReadonlyArray<readonly Choice[]>
  /** The answer's tokens that lie wholly inside `text`. */
  readonly inside: Inside
}

/** A token that could have come. */
export interface Choice {
  readonly bytes: Uint8Array
  readonly logprob: number
}

/** The likeliest tokens that are asked for with each answer: as many as the API gives. */
const ALTERNATIVES = 20

function bytesOf({ token, bytes }: { readonly token: string; readonly bytes: number[] | null }): Uint8Array {
  return Uint8Array.from(bytes ?? Buffer.from(token))
}

/** Asks for one answer; logprobs are always on, because they say where the tokens end and how sure the model was. */
export async function ask(server: TestServer, messages: readonly Message[], options: TurnOptions): Promise<Answer> {
  const body = { model: await modelName(server), messages: [...messages], logprobs: true, top_logprobs: ALTERNATIVES, ...options }
  const response = await server.explained(() => server.client.chat.completions.create({ ...body, stream: false }))
  const choice = response.choices[0]
  if (!choice) throw new Error('the response has no choice')
  const text = choice.message.content ?? ''
  const content = choice.logprobs?.content ?? []
  const tokens = content.map(bytesOf)
  const likeliest = content.map(({ top_logprobs: top }) => top.map((one) => ({ bytes: bytesOf(one), logprob: one.logprob })))
  const usage = response.usage as unknown as Usage
  const inside = insideOf(tokens, text)
  return { messages: [...messages], text, finish: choice.finish_reason, usage, tokens, likeliest, inside }
}

const names = new WeakMap<TestServer, Promise<string>>()

async function fetchModelName(server: TestServer): Promise<string> {
  const models = await server.client.models.list()
  const name = models.data[0]?.id
  if (name === undefined) throw new Error('the server lists no model')
  return name
}

/** The first name under which the server serves its model. */
export function modelName(server: TestServer): Promise<string> {
  const known = names.get(server) ?? fetchModelName(server)
  names.set(server, known)
  return known
}

export class Conversation {
  readonly messages: Message[]
  readonly answers: Answer[] = []

  constructor(private readonly script: Script) {
    this.messages = [{ role: 'system', content: script.system }]
  }

  get last(): Answer | undefined {
    return this.answers.at(-1)
  }

  /** The next question, the whole history before it. */
  async next(server: TestServer, options: TurnOptions): Promise<Answer> {
    const question = this.script.questions[this.answers.length]
    if (question === undefined) throw new Error('the script has no more questions')
    this.messages.push({ role: 'user', content: question })
    const answer = await ask(server, this.messages, options)
    this.messages.push({ role: 'assistant', content: answer.text })
    this.answers.push(answer)
    return answer
  }
}

/** Tokens of a prompt that came from a tier, and from all. */
export function reusedFrom(answer: Answer, tier?: TierName): number {
  const { reused_tokens: reused } = answer.usage.attentionstore
  return tier ? reused[tier] : reused.hbm + reused.dram + reused.ssd
}

/** Least tokens that the turn after `previous` must reuse: its prompt and its answer, but for the last two. */
export function reuseBound(previous: Answer): number {
  return previous.usage.prompt_tokens + previous.inside.tokens - 2
}
