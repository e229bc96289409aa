// Tools as all surfaces take them: bounds of definitions, and a choice that the definitions allow.

import { ApiError } from '../protocol/errors.js'
import type { ToolChoice, ToolDefinition, TurnTools } from '../service/types.js'
import { boundedJson, isObject, SCHEMA_BOUNDS } from './json-bounds.js'
import { wellFormed } from './turn-fields.js'

/** A tool as a surface found it in a body. */
export interface ToolWish {
  /** Path of the tool in the body, for errors: `tools.3`. */
  readonly param: string
  readonly name: string
  readonly description?: string | null | undefined
  /** JSON Schema of the arguments. */
  readonly parameters?: unknown
  /** Path of the schema in the body. @default `${param}.parameters` */
  readonly parametersParam?: string
  readonly strict?: boolean | null | undefined
}

/**
 * @throws ApiError `invalid_value` where there are too many, two have one name, or a schema is no object or over its bounds.
 */
export function toolDefinitions(wishes: readonly ToolWish[]): ToolDefinition[] {
  const names = new Set<string>()
  return wishes.map((wish) => {
    if (names.has(wish.name)) throw new ApiError('invalid_value', `${wish.param}: Two tools have one name; each needs its own.`, wish.param)
    names.add(wish.name)
    return {
      name: wish.name,
      ...(wish.description ? { description: wellFormed(wish.description) } : {}),
      parameters: parametersOf(wish),
      strict: wish.strict ?? false,
    }
  })
}

function parametersOf({ param, parameters, parametersParam = `${param}.parameters` }: ToolWish): ToolDefinition['parameters'] {
  if (parameters === undefined || parameters === null) return null
  const schema = boundedJson(parameters, SCHEMA_BOUNDS, parametersParam)
  if (isObject(schema)) return schema
  throw new ApiError('invalid_value', `${parametersParam}: The schema of a tool's arguments is a JSON object.`, parametersParam)
}

/**
 * @param definitions at least one.
 * @param choiceParam path of the choice in the body, for errors.
 * @throws ApiError `invalid_value` where the choice names a tool that is not there.
 */
export function turnTools(
  definitions: readonly ToolDefinition[],
  choice: ToolChoice,
  parallel: boolean,
  choiceParam: string,
): TurnTools {
  if (typeof choice === 'object') checkNamed(choice.name, definitions, choiceParam)
  return { definitions, choice, parallel }
}

/** @throws ApiError `invalid_value` where no definition has the name. */
export function checkNamed(name: string, definitions: readonly ToolDefinition[], choiceParam: string): void {
  if (definitions.some((definition) => definition.name === name)) return
  throw new ApiError('invalid_value', `${choiceParam}: The request has no tool of this name.`, choiceParam)
}

/** Must the answer call a tool? */
export function isForced(choice: ToolChoice | undefined): boolean {
  return choice === 'required' || typeof choice === 'object'
}
