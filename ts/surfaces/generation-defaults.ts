// The defaults of sampling: of requests that leave fields out, and of chats with people; each value with its source.

import type { EngineInfo } from '../engine/types.js'
import { CHAT_MAX_TOKENS, type GenerationChoice, type GenerationSource } from '../protocol/generation-defaults.js'

type Own = EngineInfo['defaults']
type Name = keyof Own

export interface Sourced {
  readonly value: number
  readonly source: GenerationSource
}

export type SamplingDefaults = Readonly<Record<Name, Sourced>>

export interface KnownSampling {
  readonly sampling: Own
  readonly chat: Own
}

export interface GenerationDefaults {
  /** Of requests that leave the field out. */
  readonly api: SamplingDefaults
  /** Sent by `chat` and the playground. */
  readonly chat: SamplingDefaults
  /** Of `chat` and the playground: tokens of the longest answer. */
  readonly chatMaxTokens: Sourced
}

const OPENAI: Readonly<Record<Name, number>> = { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 }

/** For chats with a model that says nothing: at temperature 1 small models leave the subject, and without a penalty they loop. */
const CHAT: Readonly<Record<Name, number>> = { temperature: 0.7, topP: 0.9, topK: 0, minP: 0.05, repetitionPenalty: 1.05 }

const NAMES = Object.keys(OPENAI) as Name[]

/**
 * @param own of the model's files.
 * @param known of a model whose files say nothing: for chats, its publisher's advice, and the server's own choices.
 */
export function generationDefaults(choice: GenerationChoice, own: Own, known: KnownSampling | null, modelContext: number): GenerationDefaults {
  const chat = chatDefaults(own, known)
  const openai = table({}, OPENAI, 'openai')
  const api = { model: table(own, OPENAI, 'openai'), openai, chat }[choice]
  return { api, chat, chatMaxTokens: { value: Math.min(CHAT_MAX_TOKENS, modelContext), source: 'server' } }
}

/** A model with a temperature has been tuned with what it says as a whole: nothing is mixed into it. */
function chatDefaults(own: Own, known: KnownSampling | null): SamplingDefaults {
  if (own.temperature !== undefined) return table(own, OPENAI, 'openai')
  return table({ ...known?.sampling, ...own }, { ...CHAT, ...known?.chat }, 'server')
}

function table(own: Own, rest: Readonly<Record<Name, number>>, source: GenerationSource): SamplingDefaults {
  const rows = NAMES.map((name): [Name, Sourced] => {
    const value = own[name]
    return [name, value === undefined ? { value: rest[name], source } : { value, source: 'model' }]
  })
  return Object.fromEntries(rows) as SamplingDefaults
}

/** The values alone, as requests are filled in with them. */
export function samplingValues(defaults: SamplingDefaults): Own {
  return Object.fromEntries(NAMES.map((name) => [name, defaults[name].value]))
}
