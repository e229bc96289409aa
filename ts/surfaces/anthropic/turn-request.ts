// From a validated body to the neutral turn.

import type { EngineInfo } from '../../engine/types.js'
import { ApiError } from '../../protocol/errors.js'
import type { ToolChoice, TurnRequest, TurnTools } from '../../service/types.js'
import { onlyConstraint, schemaConstraint } from '../constraints.js'
import { templateArguments } from '../template-arguments.js'
import { isForced, toolDefinitions, turnTools } from '../tools.js'
import { samplingParams, wellFormed } from '../turn-fields.js'
import { endedMessages } from './prefill.js'
import { cacheWish } from './retention.js'
import type { CountTokensRequest, MessagesRequest } from './schemas/messages.js'

type AskedConstraint = Pick<TurnRequest, 'constraint' | 'constraintField'>

export interface Sender {
  readonly requestId: string
  readonly tenant: string
  /** From the header; the body's field wins. */
  readonly conversation: string | null
}

/** Of a request that only counts, the fields of the answer are absent. */
export function turnRequest(fields: CountTokensRequest & Partial<MessagesRequest>, info: EngineInfo, sender: Sender): TurnRequest {
  const tools = toolsOf(fields)
  const thinking = fields.thinking ? fields.thinking.type !== 'disabled' : null
  const variables = templateArguments({ effort: fields.output_config?.effort, thinking }, 'thinking')
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: fields.conversation ?? sender.conversation,
    conversationHint: null,
    retention: cacheWish(fields).retention,
    prompt: { kind: 'chat', ...endedMessages(fields) },
    sampling: samplingParams({ temperature: fields.temperature, topK: fields.top_k, topP: fields.top_p, seed: fields.seed }, info),
    stop: (fields.stop_sequences ?? []).map(wellFormed),
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_tokens ?? null,
    truncation: 'disabled',
    ...(tools === undefined ? {} : { tools }),
    ...constraintOf(fields, tools),
    ...(variables === undefined ? {} : { templateArguments: variables }),
  }
}

function constraintOf({ output_config: config, output_format: format }: CountTokensRequest, tools: TurnTools | undefined): AskedConstraint {
  const asked = [
    ...(config?.format ? [schemaConstraint(config.format.schema, 'output_config.format.schema')] : []),
    ...(format ? [schemaConstraint(format.schema, 'output_format.schema')] : []),
  ]
  const constraint = onlyConstraint(asked, tools, 'tool_choice')
  return constraint && asked[0] ? { constraint, constraintField: asked[0].param } : {}
}

function toolsOf({ tools, tool_choice: asked }: CountTokensRequest): TurnTools | undefined {
  const choice = choiceOf(asked)
  if (!tools?.length) {
    if (isForced(choice)) throw new ApiError('invalid_value', 'tool_choice: The request has no tools to choose from.', 'tool_choice')
    return undefined
  }
  const definitions = toolDefinitions(
    tools.map(({ name, description, input_schema: parameters, strict }, index) => {
      const param = `tools.${index}`
      return { param, name, description, parameters, parametersParam: `${param}.input_schema`, strict }
    }),
  )
  const parallel = !(asked && asked.type !== 'none' && asked.disable_parallel_tool_use)
  return turnTools(definitions, choice, parallel, 'tool_choice.name')
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
