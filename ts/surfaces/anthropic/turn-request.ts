// From a validated body to the neutral turn.

import type { EngineInfo } from '../../engine/types.js'
import { ApiError } from '../../protocol/errors.js'
import type { ToolChoice, ToolDefinition, TurnRequest, TurnTools } from '../../service/types.js'
import { effortArguments } from '../reasoning-effort.js'
import { turnTools } from '../tool-fields.js'
import { samplingParams, wellFormed } from '../turn-fields.js'
import { turnMessages } from './messages.js'
import { cacheWish } from './retention.js'
import type { CountTokensRequest, MessagesRequest } from './schemas/messages.js'

export interface Sender {
  readonly requestId: string
  readonly tenant: string
  /** From the header; the body's field wins. */
  readonly conversation: string | null
}

/** Of a request that only counts, the fields of the answer are absent. */
export function turnRequest(fields: CountTokensRequest & Partial<MessagesRequest>, info: EngineInfo, sender: Sender): TurnRequest {
  const tools = toolsOf(fields)
  const schema = (fields.output_config?.format ?? fields.output_format)?.schema
  const templateArguments = { ...effortArguments(fields.output_config?.effort), ...thinkingArguments(fields.thinking) }
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: fields.conversation ?? sender.conversation,
    conversationHint: null,
    retention: cacheWish(fields).retention,
    prompt: { kind: 'chat', messages: turnMessages(fields) },
    sampling: samplingParams({ temperature: fields.temperature, topK: fields.top_k, topP: fields.top_p, seed: fields.seed }, info),
    stop: (fields.stop_sequences ?? []).map(wellFormed),
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_tokens ?? null,
    truncation: 'disabled',
    ...(tools === undefined ? {} : { tools }),
    ...(schema === undefined ? {} : { constraint: { kind: 'json_schema', schema } }),
    ...(Object.keys(templateArguments).length === 0 ? {} : { templateArguments }),
  }
}

/** An effort alone asks for thinking; that a request says otherwise goes first. */
function thinkingArguments(thinking: CountTokensRequest['thinking']): Readonly<Record<string, unknown>> {
  return thinking ? { enable_thinking: thinking.type !== 'disabled' } : {}
}

function toolsOf({ tools, tool_choice: choice, output_config, output_format }: CountTokensRequest): TurnTools | undefined {
  const definitions = (tools ?? []).map(
    ({ name, description, input_schema, strict }): ToolDefinition => ({
      name,
      ...(description ? { description: wellFormed(description) } : {}),
      parameters: input_schema,
      strict: strict ?? false,
    }),
  )
  const wished = choiceOf(choice)
  const isForced = wished === 'required' || typeof wished === 'object'
  if (isForced && (output_config?.format ?? output_format)) {
    throw new ApiError('invalid_value', 'tool_choice: an answer that must be a call cannot hold to a format of output_config too.', 'tool_choice')
  }
  const parallel = !(choice && choice.type !== 'none' && choice.disable_parallel_tool_use)
  return turnTools({ definitions, choice: wished, parallel })
}

function choiceOf(choice: CountTokensRequest['tool_choice']): ToolChoice {
  switch (choice?.type) {
    case 'any':
      return 'required'
    case 'tool':
      return { name: choice.name }
    case 'none':
      return 'none'
    default:
      return 'auto'
  }
}
