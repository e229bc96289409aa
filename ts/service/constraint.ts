// The constraint of a request, compiled; what the engine refuses is told to the client.

import type { CompiledConstraint, ConstraintSource, EngineText, ToolDefinition } from '../engine/types.js'
import { ApiError, EngineError } from '../protocol/errors.js'
import type { Constraint, TurnRequest, TurnTools } from './types.js'

/** The fields of the wire format that ask for a constraint, where the surface names no other. */
const FIELDS: Readonly<Record<Constraint['kind'], string>> = {
  json_object: 'response_format',
  json_schema: 'response_format',
  regex: 'structured_outputs.regex',
  choice: 'structured_outputs.choice',
  grammar: 'structured_outputs.grammar',
}

/** @throws ApiError `invalid_value` where the engine cannot hold an answer to it, with the engine's reason. */
export async function compileConstraint(text: EngineText, { constraint, constraintField, tools }: TurnRequest): Promise<CompiledConstraint | undefined> {
  const source = constraint ?? callsOf(tools)
  if (source === undefined) return undefined
  try {
    return await text.compile(source)
  } catch (error) {
    throw refusal(error, constraint === undefined ? 'tools' : (constraintField ?? FIELDS[constraint.kind]))
  }
}

/** The tools that the answer may call. */
export function callableTools({ definitions, allowed }: TurnTools): readonly ToolDefinition[] {
  return allowed === undefined ? definitions : definitions.filter(({ name }) => allowed.includes(name))
}

/** Calls that an answer is held to: where one is forced, some tools are not allowed, or a tool's arguments must satisfy its schema. */
function callsOf(tools: TurnTools | undefined): ConstraintSource | undefined {
  if (tools === undefined || tools.choice === 'none') return undefined
  const callable = callableTools(tools)
  const isFree = callable.length === tools.definitions.length && !callable.some(({ strict }) => strict)
  if (tools.choice === 'auto' && isFree) return undefined
  // A tool that the client names is called once, as OpenAI's API does.
  return { kind: 'calls', tools: callable, choice: tools.choice, parallel: tools.parallel && typeof tools.choice !== 'object' }
}

function refusal(error: unknown, field: string): unknown {
  if (!(error instanceof EngineError) || !error.code.startsWith('grammar')) return error
  const { code, message, context } = error
  if (code === 'grammars_busy') return new ApiError('queue_full', message, null, context, { cause: error })
  return new ApiError('invalid_value', `${field}: ${message}`, field, { ...context, reason: code }, { cause: error })
}
