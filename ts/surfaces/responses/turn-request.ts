// From a validated body to the neutral turn.

import type { EngineInfo } from '../../engine/types.js'
import { ApiError } from '../../protocol/errors.js'
import { CONVERSATION_ID } from '../../protocol/schemas/conversations.js'
import type { Constraint, ToolChoice, ToolDefinition, TurnRequest, TurnTools } from '../../service/types.js'
import { effortArguments } from '../reasoning-effort.js'
import { turnTools } from '../tool-fields.js'
import { samplingParams, wellFormed } from '../turn-fields.js'
import { CUSTOM_PARAMETERS } from './custom-tools.js'
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
  const constraint = constraintOf(fields)
  const templateArguments = effortArguments(fields.reasoning?.effort)
  const key = fields.prompt_cache_key ?? ''
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: sender.conversation,
    conversationHint: sender.earlierConversation ?? (CONVERSATION_ID.test(key) ? key : null),
    retention: fields.prompt_cache_retention === '24h' ? 'day' : 'none',
    prompt: { kind: 'chat', messages },
    sampling: samplingParams(wishes(fields), info),
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_output_tokens ?? null,
    truncation: fields.truncation ?? 'disabled',
    ...(tools === undefined ? {} : { tools }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(Object.keys(templateArguments).length === 0 ? {} : { templateArguments }),
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

function constraintOf({ text }: ResponseRequest): Constraint | undefined {
  switch (text?.format?.type) {
    case 'json_object':
      return { kind: 'json_object' }
    case 'json_schema':
      return { kind: 'json_schema', schema: text.format.schema }
    default:
      return undefined
  }
}

function toolsOf(fields: ResponseRequest): TurnTools | undefined {
  const choice = choiceOf(fields.tool_choice)
  const isForced = choice === 'required' || typeof choice === 'object'
  if (isForced && constraintOf(fields)) {
    throw new ApiError('invalid_value', 'tool_choice: an answer that must be a call cannot hold to a format of text too.', 'tool_choice')
  }
  return turnTools({ definitions: allowedTools(fields), choice, parallel: fields.parallel_tool_calls ?? true })
}

/** Where only some tools are allowed, the prompt names only those: the model cannot call what it does not know. */
function allowedTools({ tools, tool_choice: choice }: ResponseRequest): ToolDefinition[] {
  const definitions = (tools ?? []).map((tool): ToolDefinition => {
    const { name, description } = tool
    const head = { name, ...(description ? { description: wellFormed(description) } : {}) }
    if (tool.type === 'custom') return { ...head, parameters: CUSTOM_PARAMETERS, strict: true }
    return { ...head, parameters: tool.parameters ?? null, strict: tool.strict ?? false }
  })
  if (typeof choice !== 'object' || choice?.type !== 'allowed_tools') return definitions
  for (const [index, { name }] of choice.tools.entries()) {
    if (definitions.some((tool) => tool.name === name)) continue
    const param = `tool_choice.tools.${index}.name`
    throw new ApiError('invalid_value', `${param}: no tool of the request has this name.`, param)
  }
  const allowed = new Set(choice.tools.map(({ name }) => name))
  return definitions.filter(({ name }) => allowed.has(name))
}

function choiceOf(choice: ResponseRequest['tool_choice']): ToolChoice {
  if (typeof choice !== 'object' || choice === null) return choice ?? 'auto'
  return choice.type === 'allowed_tools' ? choice.mode : { name: choice.name }
}
