// Constraints as all surfaces take them: each bounded, and at most one a request.

import { ApiError } from '../protocol/errors.js'
import type { Constraint, TurnTools } from '../service/types.js'
import { boundedJson, isObject, SCHEMA_BOUNDS } from './json-bounds.js'
import { MAX_CHOICE, MAX_CHOICES, MAX_GRAMMAR, MAX_PATTERN } from './limits.js'
import { isForced } from './tools.js'
import { wellFormed } from './turn-fields.js'

/** A constraint, and the field of the body that asks for it. */
export interface NamedConstraint {
  readonly param: string
  readonly constraint: Constraint
}

function invalid(param: string, sentence: string): never {
  throw new ApiError('invalid_value', `${param}: ${sentence}`, param)
}

/**
 * @param schema a JSON Schema: an object, `true` or `false`; a string is its JSON text.
 * @throws ApiError `invalid_value`.
 */
export function schemaConstraint(schema: unknown, param: string): NamedConstraint {
  const value = boundedJson(typeof schema === 'string' ? parsed(schema, param) : schema, SCHEMA_BOUNDS, param)
  if (!isObject(value) && typeof value !== 'boolean') invalid(param, 'A JSON Schema is an object.')
  return { param, constraint: { kind: 'json_schema', schema: value } }
}

function parsed(text: string, param: string): unknown {
  // A text that is too long is not parsed.
  if (Buffer.byteLength(text) > SCHEMA_BOUNDS.bytes) invalid(param, `The JSON has ${Buffer.byteLength(text)} bytes; the limit is ${SCHEMA_BOUNDS.bytes}.`)
  try {
    return JSON.parse(text)
  } catch {
    return invalid(param, 'The text is not JSON.')
  }
}

export function jsonObjectConstraint(param: string): NamedConstraint {
  return { param, constraint: { kind: 'json_object' } }
}

/** @throws ApiError `invalid_value`. */
export function regexConstraint(pattern: string, param: string): NamedConstraint {
  if (pattern.length === 0) invalid(param, 'The pattern is empty.')
  if (pattern.length > MAX_PATTERN) invalid(param, `The pattern has ${pattern.length} characters; the limit is ${MAX_PATTERN}.`)
  return { param, constraint: { kind: 'regex', pattern: wellFormed(pattern) } }
}

/** @throws ApiError `invalid_value`. */
export function choiceConstraint(choices: readonly string[], param: string): NamedConstraint {
  if (choices.length === 0) invalid(param, 'The list of choices is empty.')
  if (choices.length > MAX_CHOICES) invalid(param, `The list has ${choices.length} choices; the limit is ${MAX_CHOICES}.`)
  if (choices.some((choice) => choice.length === 0)) invalid(param, 'A choice is empty.')
  const long = choices.find((choice) => choice.length > MAX_CHOICE)
  if (long !== undefined) invalid(param, `A choice has ${long.length} characters; the limit is ${MAX_CHOICE}.`)
  return { param, constraint: { kind: 'choice', choices: [...new Set(choices.map(wellFormed))] } }
}

/** @throws ApiError `invalid_value`. */
export function grammarConstraint(grammar: string, param: string): NamedConstraint {
  if (grammar.trim().length === 0) invalid(param, 'The grammar is empty.')
  if (grammar.length > MAX_GRAMMAR) invalid(param, `The grammar has ${grammar.length} characters; the limit is ${MAX_GRAMMAR}.`)
  return { param, constraint: { kind: 'grammar', grammar: wellFormed(grammar) } }
}

/**
 * @throws ApiError `invalid_value` where two fields ask for a constraint, or one does and the answer must be a call.
 */
export function onlyConstraint(asked: readonly NamedConstraint[], tools: TurnTools | undefined, choiceParam: string): Constraint | undefined {
  const [first, second] = asked
  if (first === undefined) return undefined
  if (second !== undefined) invalid(second.param, `${first.param} constrains the answer already; a request has one constraint.`)
  if (isForced(tools?.choice)) invalid(first.param, `${choiceParam} makes the answer a tool call, so no other form can be asked of it.`)
  return first.constraint
}
