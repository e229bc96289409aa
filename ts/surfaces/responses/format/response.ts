// The response object, from its beginning to its end.

import { TIER_NAMES } from '../../../protocol/tiers.js'
import type { TurnRequest, TurnUsage } from '../../../service/types.js'
import type { DoneEvent } from '../../turns.js'
import type { ResponseRequest } from '../schemas/request.js'
import type { OutputItem, ResponseBody } from '../schemas/response.js'

export interface ResponseHead {
  readonly id: string
  readonly model: string
  /** Seconds since the Unix epoch. */
  readonly createdAt: number
}

/** As it begins: every field of the request that shaped it, and no output yet. */
export function openedResponse({ id, model, createdAt }: ResponseHead, fields: ResponseRequest, request: TurnRequest): ResponseBody {
  return {
    id,
    object: 'response',
    created_at: createdAt,
    completed_at: null,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    model,
    instructions: fields.instructions ?? null,
    previous_response_id: fields.previous_response_id ?? null,
    output: [],
    tools: (fields.tools ?? []).map(toolBody),
    tool_choice: fields.tool_choice ?? 'auto',
    parallel_tool_calls: fields.parallel_tool_calls ?? true,
    text: { format: fields.text?.format ?? { type: 'text' }, ...(fields.text?.verbosity ? { verbosity: fields.text.verbosity } : {}) },
    reasoning: { effort: fields.reasoning?.effort ?? null, summary: fields.reasoning?.summary ?? null },
    max_output_tokens: fields.max_output_tokens ?? null,
    max_tool_calls: fields.max_tool_calls ?? null,
    temperature: request.sampling.temperature,
    top_p: request.sampling.topP,
    top_logprobs: fields.top_logprobs ?? 0,
    presence_penalty: request.sampling.presencePenalty,
    frequency_penalty: request.sampling.frequencyPenalty,
    truncation: request.truncation,
    store: fields.store ?? true,
    background: false,
    service_tier: 'default',
    metadata: fields.metadata ?? {},
    user: fields.user ?? null,
    safety_identifier: fields.safety_identifier ?? null,
    prompt_cache_key: fields.prompt_cache_key ?? null,
    prompt_cache_retention: fields.prompt_cache_retention ?? null,
    usage: null,
  }
}

/** A tool as its request described it, with what was left out. */
function toolBody(tool: NonNullable<ResponseRequest['tools']>[number]): unknown {
  const { type, name } = tool
  const description = tool.description ?? null
  if (tool.type === 'custom') return { type, name, description, format: tool.format ?? { type: 'text' } }
  return { type, name, description, parameters: tool.parameters ?? null, strict: tool.strict ?? false }
}

export function isCutOff({ finish }: DoneEvent): boolean {
  return finish === 'length'
}

export function endedResponse(opened: ResponseBody, output: readonly OutputItem[], done: DoneEvent, nowS: number): ResponseBody {
  const cutOff = isCutOff(done)
  return {
    ...opened,
    status: cutOff ? 'incomplete' : 'completed',
    completed_at: cutOff ? null : nowS,
    incomplete_details: cutOff ? { reason: 'max_output_tokens' } : null,
    output: [...output],
    usage: usageBody(done.usage),
  }
}

export function failedResponse(opened: ResponseBody, output: readonly OutputItem[], error: NonNullable<ResponseBody['error']>): ResponseBody {
  return { ...opened, status: 'failed', error, output: [...output] }
}

function usageBody(usage: TurnUsage): NonNullable<ResponseBody['usage']> {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: TIER_NAMES.reduce((total, tier) => total + usage.reusedTokens[tier], 0) },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens ?? 0 },
    total_tokens: usage.promptTokens + usage.completionTokens,
  }
}
