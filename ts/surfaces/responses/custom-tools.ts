// Custom tools take a text, free or of a grammar. To the model they are functions with one argument.

import { ApiError } from '../../protocol/errors.js'
import type { ToolDefinition } from '../../service/types.js'
import { MAX_PATTERN } from '../limits.js'
import { wellFormed } from '../turn-fields.js'
import { LarkError } from './grammar/errors.js'
import { patternOf } from './grammar/pattern.js'
import type { CustomTool } from './schemas/request.js'

const ARGUMENT = 'input'

type Grammar = Extract<NonNullable<CustomTool['format']>, { type: 'grammar' }>

/**
 * The schema of the one argument.
 * @param param path of the grammar in the body, for errors.
 * @throws ApiError `invalid_value` where the text is no grammar, or none that an input can be held to.
 */
export function customParameters(format: CustomTool['format'], param: string): NonNullable<ToolDefinition['parameters']> {
  const argument = format?.type === 'grammar' ? heldArgument(format, param) : { type: 'string' }
  return { type: 'object', properties: { [ARGUMENT]: argument }, required: [ARGUMENT], additionalProperties: false }
}

/** A model that only meets the grammar as it writes would write badly: it reads it first, in its own notation. */
function heldArgument({ syntax, definition }: Grammar, param: string): Readonly<Record<string, unknown>> {
  if (syntax === 'regex') return { type: 'string', pattern: `^(?:${regexOf(definition, param)})$` }
  return {
    type: 'string',
    description: `A text of this grammar, in Lark's notation:\n${wellFormed(definition).trim()}`,
    pattern: `^(?:${larkPattern(definition, param)})$`,
  }
}

function larkPattern(definition: string, param: string): string {
  try {
    return wellFormed(patternOf(definition))
  } catch (thrown) {
    if (thrown instanceof LarkError) throw new ApiError('invalid_value', `${param}: ${thrown.message}`, param)
    throw thrown
  }
}

/** The whole input matches, so anchors at its ends say nothing. */
function regexOf(definition: string, param: string): string {
  if (definition.length > MAX_PATTERN) {
    throw new ApiError('invalid_value', `${param}: The pattern has ${definition.length} characters; the limit is ${MAX_PATTERN}.`, param)
  }
  return wellFormed(definition).replace(/^(?:\^|\\A)/, '').replace(/(?<=(?:^|[^\\])(?:\\\\)*)(?:\$|\\z)$/, '')
}

/** The JSON text of the arguments that stand for this input. */
export function customArguments(input: string): string {
  return JSON.stringify({ [ARGUMENT]: input })
}

/** The input that a call's arguments stand for; arguments of another form are the input themselves. */
export function customInput(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, ARGUMENT)) {
      const input: unknown = (value as Record<string, unknown>)[ARGUMENT]
      if (typeof input === 'string') return input
    }
  } catch {
    // The answer was cut off, or the model wrote no JSON.
  }
  return text
}
