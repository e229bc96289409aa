// The settings of a chat, and the fields of a request that they become.

import type { ChatRequest } from 'attentionstore/protocol'
import { parseTools } from './tools.js'

export type NumberName = 'temperature' | 'top_p' | 'min_p' | 'top_k' | 'repetition_penalty' | 'max_tokens' | 'seed'
export type Effort = NonNullable<ChatRequest['reasoning_effort']>

export type Numbers = Readonly<Partial<Record<NumberName, number>>>

export interface ChatSettings {
  readonly system: string
  /** Only the numbers that the user chose; the others are the defaults'. */
  readonly numbers: Numbers
  /** null: as the model does by itself. */
  readonly thinking: boolean | null
  readonly effort: Effort | null
  /** JSON text of the tools that the model may call; blank: none. */
  readonly tools: string
}

export interface NumberField {
  readonly name: NumberName
  readonly label: string
  readonly hint: string
  readonly min: number
  readonly max?: number
  readonly step: number
  /** Shown where no number applies. @default the server's default */
  readonly none?: string
}

export const NUMBER_FIELDS: readonly NumberField[] = [
  { name: 'temperature', label: 'Temperature', hint: '0: always the likeliest token', min: 0, max: 2, step: 0.1 },
  { name: 'top_p', label: 'Top p', hint: 'the likeliest tokens of this share together', min: 0.01, max: 1, step: 0.01 },
  { name: 'min_p', label: 'Min p', hint: 'a share of the likeliest token’s chance', min: 0, max: 1, step: 0.01 },
  { name: 'top_k', label: 'Top k', hint: 'the likeliest k tokens; 0: all', min: 0, step: 1 },
  { name: 'repetition_penalty', label: 'Repetition penalty', hint: '1: none', min: 0.5, max: 2, step: 0.01 },
  { name: 'max_tokens', label: 'Longest answer', hint: 'in tokens', min: 1, step: 1 },
  { name: 'seed', label: 'Seed', hint: 'the same seed gives the same answer', min: 0, step: 1, none: 'random' },
]

export const EFFORTS: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']

export const NEW_SETTINGS: ChatSettings = { system: '', numbers: {}, thinking: null, effort: null, tools: '' }

/**
 * The fields of a request beside its messages.
 * @param fallback Numbers for the fields that the user left empty; a field in neither is left to the server.
 * @throws Error if the tools are none, in words for the user.
 */
export function requestFields(settings: ChatSettings, fallback: Numbers): Omit<ChatRequest, 'messages'> {
  const tools = parseTools(settings.tools)
  if (!tools.ok) throw new Error(`Tools: ${tools.message}`)
  return {
    ...fallback,
    ...settings.numbers,
    ...(settings.thinking === null ? {} : { enable_thinking: settings.thinking }),
    ...(settings.effort === null ? {} : { reasoning_effort: settings.effort }),
    ...(tools.tools.length === 0 ? {} : { tools: tools.tools }),
  }
}

/** Settings out of storage: fields that are not what they should be are those of a new chat. */
export function readSettings(stored: unknown): ChatSettings {
  if (typeof stored !== 'object' || stored === null) return NEW_SETTINGS
  const { system, numbers, thinking, effort, tools } = stored as Readonly<Record<string, unknown>>
  const given = typeof numbers === 'object' && numbers !== null ? (numbers as Readonly<Record<string, unknown>>) : {}
  const chosen = NUMBER_FIELDS.flatMap(({ name }) => {
    const value = given[name]
    return typeof value === 'number' && Number.isFinite(value) ? [[name, value] as const] : []
  })
  return {
    system: typeof system === 'string' ? system : '',
    numbers: Object.fromEntries(chosen),
    thinking: typeof thinking === 'boolean' ? thinking : null,
    effort: EFFORTS.find((word) => word === effort) ?? null,
    tools: typeof tools === 'string' ? tools : '',
  }
}
