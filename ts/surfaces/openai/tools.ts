// The tools that a body brings: `tools`, or the `functions` of older clients.

import type { z } from 'zod'
import { ApiError } from '../../protocol/errors.js'
import type { ToolChoice, ToolDefinition, TurnTools } from '../../service/types.js'
import { checkNamed, toolDefinitions, turnTools } from '../tools.js'
import type { toolFields } from './schemas/tools.js'

type Fields = z.output<z.ZodObject<typeof toolFields>>
type Choice = NonNullable<Fields['tool_choice']>
type AllowedTools = Extract<Choice, { type: 'allowed_tools' }>['allowed_tools']

export interface AskedTools {
  /** undefined: the request has none. */
  readonly tools: TurnTools | undefined
  /** The field that says which one to call. */
  readonly choiceField: 'tool_choice' | 'function_call'
  /** Whether calls are answered as `function_call`. */
  readonly asFunctions: boolean
}

/** @throws ApiError `invalid_value` where definitions are over their bounds, or the choice does not fit them. */
export function askedTools(fields: Fields): AskedTools {
  const { tools, functions } = fields
  if (!functions?.length) {
    checkNoChoice('function_call', fields.function_call, 'functions', functions)
    return { tools: ofTools(fields), choiceField: 'tool_choice', asFunctions: false }
  }
  if (tools?.length) throw new ApiError('invalid_value', 'functions: The request has tools already; functions are their older name.', 'functions')
  checkNoChoice('tool_choice', fields.tool_choice, 'tools', tools)
  return { tools: ofFunctions(functions, fields.function_call ?? 'auto'), choiceField: 'function_call', asFunctions: true }
}

function ofTools({ tools, tool_choice: asked, parallel_tool_calls: parallel }: Fields): TurnTools | undefined {
  if (!tools?.length) {
    checkNoChoice('tool_choice', asked, 'tools', tools)
    return undefined
  }
  const definitions = toolDefinitions(tools.map((tool, index) => ({ ...tool.function, param: `tools.${index}.function` })))
  const choice = asked ?? 'auto'
  if (typeof choice === 'object' && choice.type === 'allowed_tools') return allowed(choice.allowed_tools, definitions, parallel ?? true)
  const toolChoice: ToolChoice = typeof choice === 'string' ? choice : { name: choice.function.name }
  return turnTools(definitions, toolChoice, parallel ?? true, 'tool_choice')
}

/** One call an answer: the older form has room for no more. */
function ofFunctions(functions: NonNullable<Fields['functions']>, choice: ToolChoice): TurnTools {
  const definitions = toolDefinitions(functions.map((definition, index) => ({ ...definition, param: `functions.${index}` })))
  return turnTools(definitions, choice, false, 'function_call')
}

/** The prompt names all, so that requests which allow others of them share it; a grammar keeps the answer to these. */
function allowed({ mode, tools }: AllowedTools, definitions: readonly ToolDefinition[], parallel: boolean): TurnTools {
  const names = tools.map((tool) => tool.function.name)
  for (const [index, name] of names.entries()) checkNamed(name, definitions, `tool_choice.allowed_tools.tools.${index}`)
  if (names.length > 0) return { definitions, allowed: names, choice: mode, parallel }
  if (mode === 'auto') return { definitions, choice: 'none', parallel }
  const param = 'tool_choice.allowed_tools.tools'
  throw new ApiError('invalid_value', `${param}: A call is required, and the list allows none.`, param)
}

/** Without tools, `none` asks for nothing; `auto` asks for nothing beside an empty list. */
function checkNoChoice(field: string, choice: unknown, toolsField: string, tools: readonly unknown[] | null | undefined): void {
  if (choice === undefined || choice === null || choice === 'none' || (choice === 'auto' && tools)) return
  throw new ApiError('invalid_value', `${field}: The request has no ${toolsField} to choose from.`, field)
}
