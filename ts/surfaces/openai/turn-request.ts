// From a validated body to what the service is asked for: defaults are applied here, and ids held against the vocabulary.

import type { EngineInfo, SamplingParams } from '../../engine/types.js'
import { ApiError } from '../../protocol/errors.js'
import { CONVERSATION_ID } from '../../protocol/schemas/conversations.js'
import type { TurnRequest, TurnTools } from '../../service/types.js'
import { onlyConstraint } from '../constraints.js'
import { inVocabulary, samplingParams, wellFormed, type SamplingWishes } from '../turn-fields.js'
import { answerRules } from './answer-rules.js'
import { askedConstraints } from './structure.js'
import type { GenerationFields } from './schemas/generation.js'

export interface TurnParts {
  readonly requestId: string
  readonly tenant: string
  /** From the header; the body's field wins. */
  readonly conversation: string | null
  readonly prompt: TurnRequest['prompt']
  readonly maxTokens: number | null
  readonly logprobs: number | null
  readonly promptLogprobs?: TurnRequest['promptLogprobs']
  readonly tools?: TurnTools | undefined
  /** The field that says which tool to call. @default tool_choice */
  readonly choiceField?: string
  readonly templateArguments?: TurnRequest['templateArguments'] | undefined
  readonly chatTemplate?: string | undefined
}

export function turnRequest(fields: GenerationFields, info: EngineInfo, parts: TurnParts): TurnRequest {
  const hint = fields.prompt_cache_key ?? ''
  const asked = askedConstraints(fields)
  const constraint = onlyConstraint(asked, parts.tools, parts.choiceField ?? 'tool_choice')
  return {
    requestId: parts.requestId,
    tenant: parts.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: fields.conversation ?? fields.session_id ?? parts.conversation,
    conversationHint: CONVERSATION_ID.test(hint) ? hint : null,
    retention: fields.prompt_cache_retention === '24h' ? 'day' : 'none',
    prompt: parts.prompt,
    sampling: samplingParams(wishes(fields, info, parts.logprobs), info),
    stop: stopStrings(fields.stop),
    stopTokens: inVocabulary(fields.stop_token_ids ?? [], info, 'stop_token_ids'),
    ignoreEos: fields.ignore_eos ?? false,
    ...answerRules(fields, parts.maxTokens),
    maxTokens: parts.maxTokens,
    ...(parts.promptLogprobs ? { promptLogprobs: parts.promptLogprobs } : {}),
    ...shortening(fields),
    ...(parts.tools ? { tools: parts.tools } : {}),
    ...(constraint && asked[0] ? { constraint, constraintField: asked[0].param } : {}),
    ...(parts.templateArguments ? { templateArguments: parts.templateArguments } : {}),
    ...(parts.chatTemplate === undefined ? {} : { chatTemplate: parts.chatTemplate }),
  }
}

/** The way in which a prompt that is too long is shortened. */
function shortening({ truncation, truncate_prompt_tokens: last }: GenerationFields): Pick<TurnRequest, 'truncation' | 'lastTokens'> {
  if (last === undefined || last === null) return { truncation: truncation ?? 'disabled' }
  if (truncation !== 'auto') return { truncation: 'disabled', lastTokens: last === -1 ? 'context' : last }
  const param = 'truncate_prompt_tokens'
  throw new ApiError('invalid_value', `${param}: The field and "truncation": "auto" ask for two ways to shorten the prompt.`, param)
}

function wishes(fields: GenerationFields, info: EngineInfo, logprobs: number | null): SamplingWishes {
  return {
    temperature: fields.temperature,
    topK: fields.top_k,
    topP: fields.top_p,
    minP: fields.min_p,
    repetitionPenalty: fields.repetition_penalty,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    logitBias: logitBias(fields.logit_bias ?? {}, info),
    seed: fields.seed,
    logprobs,
  }
}

function logitBias(biases: Readonly<Record<string, number>>, info: EngineInfo): SamplingParams['logitBias'] {
  const pairs = Object.entries(biases).map(([token, bias]) => [Number(token), bias] as const)
  inVocabulary(pairs.map(([token]) => token), info, 'logit_bias')
  return pairs
}

function stopStrings(stop: GenerationFields['stop']): readonly string[] {
  const strings = typeof stop === 'string' ? [stop] : (stop ?? [])
  return strings.map(wellFormed)
}
