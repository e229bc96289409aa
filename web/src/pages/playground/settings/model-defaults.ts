// The numbers that apply where the user chose none: the model's own, or the playground's for a model that brings none.

import type { ModelRow } from 'attentionstore/protocol'
import type { NumberName, Numbers } from './chat-settings.js'

/** For a model without defaults of its own: calmer than the API's temperature of 1, which small models do not bear. */
const PLAYGROUND_SAMPLING: Numbers = { temperature: 0.7, top_p: 0.9, min_p: 0.05, repetition_penalty: 1.05 }
/** An answer of the playground ends here at the latest, with any model. */
const BOUND: Numbers = { max_tokens: 2048 }
/** The API's own defaults, which choose nothing. */
const NEUTRAL: Numbers = { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 }
const SAMPLING = Object.keys(NEUTRAL) as NumberName[]

export interface ModelDefaults {
  /** Sent where the user chose nothing. */
  readonly sent: Numbers
  /** What then applies, as far as it is known: `sent`, and the server's own. */
  readonly shown: Numbers
  /** Whether `sent` has the playground's sampling because the model brings none. */
  readonly isOurs: boolean
}

/** @param model null: the server has not said yet; nothing but the bound is sent. */
export function defaultsOf(model: ModelRow | null): ModelDefaults {
  if (model === null) return { sent: BOUND, shown: BOUND, isOurs: false }
  const own: Numbers = model.default_sampling
  const isOurs = SAMPLING.every((name) => own[name] === undefined || own[name] === NEUTRAL[name])
  const known = Object.fromEntries(SAMPLING.flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]])))
  const sent = isOurs ? { ...PLAYGROUND_SAMPLING, ...BOUND } : BOUND
  return { sent, shown: { ...known, ...sent }, isOurs }
}
