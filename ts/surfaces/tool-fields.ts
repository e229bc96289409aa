// Tools as clients describe them: bounds that hold in every wire format, and the neutral form.

import { z } from 'zod'
import { ApiError } from '../protocol/errors.js'
import type { ToolChoice, ToolDefinition, TurnTools } from '../service/types.js'

/** Most tools of a request, and most levels of a JSON value inside a request. */
export const MAX_TOOLS = 512
export const MAX_JSON_DEPTH = 64

export const toolName = z.string().regex(/^[\w.:-]{1,128}$/, '1 to 128 of A-Z a-z 0-9 _ . : -')
export const toolDescription = z.string().max(65_536)
export const callId = z.string().min(1).max(256)

/** An object whose values stay as they came: a JSON Schema, or the arguments of a call. */
export const jsonObject = z
  .custom<Readonly<Record<string, unknown>>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'an object')
  .refine((value) => isShallow(value, MAX_JSON_DEPTH), `at most ${MAX_JSON_DEPTH} levels deep`)
  .meta({ type: 'object' })

/** Level by level, because a deep value would end a recursion before it ends. */
function isShallow(value: unknown, most: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return false
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return true
}

export interface ToolWishes {
  readonly definitions: readonly ToolDefinition[]
  readonly choice: ToolChoice
  readonly parallel: boolean
}

/**
 * Undefined: no tools, so the prompt names none.
 * @throws ApiError `invalid_value` for a name that two tools have, or a choice that no tool meets.
 */
export function turnTools({ definitions, choice, parallel }: ToolWishes): TurnTools | undefined {
  const names = new Set<string>()
  for (const [index, { name }] of definitions.entries()) {
    const param = `tools.${index}.name`
    if (names.has(name)) throw new ApiError('invalid_value', `${param}: an earlier tool has this name.`, param)
    names.add(name)
  }
  if (typeof choice === 'object' && !names.has(choice.name)) {
    throw new ApiError('invalid_value', 'tool_choice: no tool of the request has this name.', 'tool_choice')
  }
  if (definitions.length > 0) return { definitions, choice, parallel }
  if (choice === 'required') throw new ApiError('invalid_value', 'tool_choice: the request has no tools, so none can be called.', 'tool_choice')
  return undefined
}
