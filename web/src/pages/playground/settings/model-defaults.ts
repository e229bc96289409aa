// The numbers that apply where the user chose none: those that the server names for chats.

import type { ModelRow } from 'attentionstore/protocol'
import { NUMBER_FIELDS, type Numbers } from './chat-settings.js'

/** An answer ends here at the latest while the server has not said yet. */
const BOUND: Numbers = { max_tokens: 1024 }

export interface ModelDefaults {
  /** Sent where the user chose nothing. */
  readonly sent: Numbers
  /** Whether the model brings no sampling of its own, so that `sent` has the server's calm set in its place. */
  readonly isCalm: boolean
}

/** @param model null: the server has not said yet; nothing but the bound is sent. */
export function defaultsOf(model: ModelRow | null): ModelDefaults {
  if (model === null) return { sent: BOUND, isCalm: false }
  const { chat } = model.generation_defaults
  const named: Readonly<Record<string, { readonly value: number; readonly source: string }>> = chat
  const sent = NUMBER_FIELDS.flatMap(({ name }) => (named[name] === undefined ? [] : [[name, named[name].value] as const]))
  return { sent: Object.fromEntries(sent), isCalm: Object.entries(named).some(([name, { source }]) => name !== 'max_tokens' && source === 'server') }
}
