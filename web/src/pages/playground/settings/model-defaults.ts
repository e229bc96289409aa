// The numbers that apply where the user chose none: those that the server names for chats, or else the model's own, or the
// playground's for a model that brings none.

import type { ModelRow } from 'attentionstore/protocol'
import { NUMBER_FIELDS, type NumberName, type Numbers } from './chat-settings.js'

/** A server that names the numbers of chats says of each where it comes from. */
type Sourced = Readonly<Record<string, { readonly value: number; readonly source: string }>>
export type DescribedModel = ModelRow & { readonly generation_defaults?: { readonly chat: Sourced } }

/** For a model without defaults of its own: calmer than the API's temperature of 1, which small models do not bear. */
const CALM: Numbers = { temperature: 0.7, top_p: 0.9, min_p: 0.05, repetition_penalty: 1.05 }
/** An answer of the playground ends here at the latest, with any model. */
const BOUND: Numbers = { max_tokens: 1024 }
/** The API's own defaults, which choose nothing. */
const NEUTRAL: Numbers = { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 }
const SAMPLING = Object.keys(NEUTRAL) as NumberName[]

export interface ModelDefaults {
  /** Sent where the user chose nothing. */
  readonly sent: Numbers
  /** The numbers that then apply, as far as they are known: `sent`, and the server's own. */
  readonly shown: Numbers
  /** Whether the model brings no sampling of its own, so that `sent` has a calm set in its place. */
  readonly isCalm: boolean
}

/** @param model null: the server has not said yet; nothing but the bound is sent. */
export function defaultsOf(model: DescribedModel | null): ModelDefaults {
  if (model === null) return { sent: BOUND, shown: BOUND, isCalm: false }
  return model.generation_defaults ? namedDefaults(model.generation_defaults.chat) : guessedDefaults(model.default_sampling)
}

function namedDefaults(chat: Sourced): ModelDefaults {
  const named = NUMBER_FIELDS.flatMap(({ name }) => (chat[name] === undefined ? [] : [[name, chat[name].value] as const]))
  const sent: Numbers = { ...BOUND, ...Object.fromEntries(named) }
  return { sent, shown: sent, isCalm: SAMPLING.some((name) => chat[name]?.source === 'server') }
}

function guessedDefaults(own: Numbers): ModelDefaults {
  const isCalm = SAMPLING.every((name) => own[name] === undefined || own[name] === NEUTRAL[name])
  const known = Object.fromEntries(SAMPLING.flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]])))
  const sent = isCalm ? { ...CALM, ...BOUND } : BOUND
  return { sent, shown: { ...known, ...sent }, isCalm }
}
