// Variables for the model's chat template: bounded, and never one of those that the server sets itself.

import { ApiError } from '../protocol/errors.js'
import { RESERVED_VARIABLES, VARIABLE_NAME } from '../protocol/template-variables.js'
import { boundedJson, isObject, type JsonBounds, type JsonObject } from './json-bounds.js'

const BOUNDS: JsonBounds = { depth: 16, bytes: 16_384 }
const MAX_ARGUMENTS = 64

/** From the least effort to the most. Templates have names for some of them. */
export const REASONING_EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
export type ReasoningEffort = (typeof REASONING_EFFORTS)[number]

export interface TemplateWishes {
  /** As the client wrote them; they go before the other wishes. */
  readonly given?: unknown
  readonly effort?: ReasoningEffort | null | undefined
  /** Whether the model may reason first. null: as its template does by default, or as the effort says. */
  readonly thinking?: boolean | null | undefined
}

/**
 * `none` and `minimal` effort also turn thinking off, where nothing else says whether to think.
 * @param param path of `given` in the body, for errors.
 * @returns undefined: no variable is set.
 * @throws ApiError `invalid_value`.
 */
export function templateArguments({ given, effort, thinking }: TemplateWishes, param: string): JsonObject | undefined {
  const own = checked(given ?? {}, param)
  const isIdle = effort === 'none' || effort === 'minimal'
  const mayThink = thinking ?? (isIdle ? false : undefined)
  const all = {
    ...(effort ? { reasoning_effort: effort } : {}),
    ...(mayThink === undefined ? {} : { enable_thinking: mayThink }),
    ...own,
  }
  return Object.keys(all).length === 0 ? undefined : all
}

function checked(given: unknown, param: string): JsonObject {
  const invalid = (name: string | null, sentence: string): never => {
    const field = name === null ? param : `${param}.${name}`
    throw new ApiError('invalid_value', `${field}: ${sentence}`, field)
  }
  if (!isObject(given)) return invalid(null, 'The variables are a JSON object.')
  const names = Object.keys(given)
  if (names.length > MAX_ARGUMENTS) invalid(null, `${names.length} variables are set; the limit is ${MAX_ARGUMENTS}.`)
  if (names.some((name) => !VARIABLE_NAME.test(name))) invalid(null, 'A name has 1 to 64 of A-Z a-z 0-9 _, and begins with no digit.')
  const reserved = names.find((name) => RESERVED_VARIABLES.has(name))
  if (reserved !== undefined) invalid(reserved, 'The server sets this variable itself.')
  return boundedJson(given, BOUNDS, param) as JsonObject
}
