// From a validated body to the neutral turn.

import type { EngineInfo } from '../../engine/types.js'
import { ApiError } from '../../protocol/errors.js'
import { CONVERSATION_ID } from '../../protocol/schemas/conversations.js'
import type { ToolChoice, ToolDefinition, TurnRequest, TurnTools } from '../../service/types.js'
import { jsonObjectConstraint, onlyConstraint, schemaConstraint } from '../constraints.js'
import { templateArguments } from '../template-arguments.js'
import { checkNamed, isForced, toolDefinitions, turnTools } from '../tools.js'
import { samplingParams } from '../turn-fields.js'
import { customParameters } from './custom-tools.js'
import { turnMessages } from './messages.js'
import type { ContentItem } from './schemas/items.js'
import { LOGPROBS, type ResponseRequest } from './schemas/request.js'

export interface Sender {
  readonly requestId: string
  readonly tenant: string
  /** From the header. */
  readonly conversation: string | null
  /** Of the response that the request goes on from. */
  readonly earlierConversation: string | null
}

/** @param items of the whole conversation, the request's own last. */
export function turnRequest(fields: ResponseRequest, items: readonly ContentItem[], info: EngineInfo, sender: Sender): TurnRequest {
  const messages = turnMessages(fields.instructions, items)
  if (messages.length === 0) throw new ApiError('invalid_value', 'input: The request has neither input nor instructions.', 'input')
  const tools = toolsOf(fields)
  const variables = templateArguments({ effort: fields.reasoning?.effort }, 'reasoning')
  const key = fields.prompt_cache_key ?? ''
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: sender.conversation,
    conversationHint: sender.earlierConversation ?? (CONVERSATION_ID.test(key) ? key : null),
    retention: fields.prompt_cache_retention === '24h' ? 'day' : 'none',
    prompt: { kind: 'chat', messages },
    messagesField: 'input',
    sampling: samplingParams(wishes(fields), info),
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_output_tokens ?? null,
    truncation: fields.truncation ?? 'disabled',
    ...(tools === undefined ? {} : { tools }),
    ...constraintOf(fields, tools),
    ...(variables === undefined ? {} : { templateArguments: variables }),
  }
}

function wishes(fields: ResponseRequest): Parameters<typeof samplingParams>[0] {
  return {
    temperature: fields.temperature,
    topP: fields.top_p,
    topK: fields.top_k,
    minP: fields.min_p,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    seed: fields.seed,
    logprobs: fields.include?.includes(LOGPROBS) ? (fields.top_logprobs ?? 0) : null,
  }
}

function constraintOf({ text }: ResponseRequest, tools: TurnTools | undefined): Pick<TurnRequest, 'constraint' | 'constraintField'> {
  const format = text?.format
  if (!format || format.type === 'text') return {}
  const asked = format.type === 'json_object' ? jsonObjectConstraint('text.format') : schemaConstraint(format.schema, 'text.format.schema')
  const constraint = onlyConstraint([asked], tools, 'tool_choice')
  return constraint ? { constraint, constraintField: asked.param } : {}
}

function toolsOf({ tools, tool_choice: asked, parallel_tool_calls: parallel }: ResponseRequest): TurnTools | undefined {
  const choice = choiceOf(asked)
  if (!tools?.length) {
    if (isForced(choice)) throw new ApiError('invalid_value', 'tool_choice: The request has no tools to choose from.', 'tool_choice')
    return undefined
  }
  const definitions = toolDefinitions(
    tools.map((tool, index) => {
      const param = `tools.${index}`
      const head = { param, name: tool.name, description: tool.description }
      if (tool.type === 'function') return { ...head, parameters: tool.parameters, strict: tool.strict }
      const definition = `${param}.format.definition`
      return { ...head, parameters: customParameters(tool.format, definition), parametersParam: definition, strict: true }
    }),
  )
  const allowed = allowedOf(definitions, asked)
  return { ...turnTools(definitions, choice, parallel ?? true, 'tool_choice.name'), ...(allowed ? { allowed } : {}) }
}

/** The prompt names all, so that requests which allow others of them share it; a grammar keeps the answer to these. */
function allowedOf(definitions: readonly ToolDefinition[], choice: ResponseRequest['tool_choice']): readonly string[] | undefined {
  if (typeof choice !== 'object' || choice?.type !== 'allowed_tools') return undefined
  for (const [index, { name }] of choice.tools.entries()) checkNamed(name, definitions, `tool_choice.tools.${index}.name`)
  return choice.tools.map(({ name }) => name)
}

function choiceOf(choice: ResponseRequest['tool_choice']): ToolChoice {
  if (typeof choice !== 'object' || choice === null) return choice ?? 'auto'
  return choice.type === 'allowed_tools' ? choice.mode : { name: choice.name }
}
