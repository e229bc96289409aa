// From a validated body to what the scheduler is asked for: defaults are applied here, and ids held against the
// vocabulary.

import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import type { EngineInfo, SamplingParams } from '../engine/types.js'
import { ApiError } from '../protocol/errors.js'
import { CONVERSATION_ID, type generationFields } from '../protocol/schemas/generation.js'
import type { TurnRequest } from '../service/types.js'

/** The fields that chat completions and completions share. */
export type GenerationFields = z.output<z.ZodObject<typeof generationFields>>

export interface TurnParts {
  readonly requestId: string
  readonly tenant: string
  /** From the header; the body's field wins. */
  readonly conversation: string | null
  readonly prompt: TurnRequest['prompt']
  readonly maxTokens: number | null
  readonly logprobs: number | null
}

export function turnRequest(fields: GenerationFields, info: EngineInfo, parts: TurnParts): TurnRequest {
  const hint = fields.prompt_cache_key ?? ''
  return {
    requestId: parts.requestId,
    tenant: parts.tenant,
    cacheSalt: fields.cache_salt ?? '',
    conversation: fields.conversation ?? parts.conversation,
    conversationHint: CONVERSATION_ID.test(hint) ? hint : null,
    retention: fields.prompt_cache_retention === '24h' ? 'day' : 'none',
    prompt: parts.prompt,
    sampling: samplingParams(fields, info, parts.logprobs),
    stop: stopStrings(fields.stop),
    stopTokens: inVocabulary(fields.stop_token_ids ?? [], info, 'stop_token_ids'),
    ignoreEos: fields.ignore_eos ?? false,
    maxTokens: parts.maxTokens,
    truncation: fields.truncation ?? 'disabled',
  }
}

function samplingParams(fields: GenerationFields, info: EngineInfo, logprobs: number | null): SamplingParams {
  const { defaults } = info
  return {
    temperature: fields.temperature ?? defaults.temperature ?? 1,
    topK: Math.max(0, fields.top_k ?? defaults.topK ?? 0),
    topP: fields.top_p ?? defaults.topP ?? 1,
    minP: fields.min_p ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? 1,
    presencePenalty: fields.presence_penalty ?? 0,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    logitBias: logitBias(fields.logit_bias ?? {}, info),
    seed: fields.seed === undefined || fields.seed === null ? randomBytes(8).readBigUInt64LE() : unsigned(fields.seed),
    logprobs,
  }
}

/** Negative seeds are seeds too. */
function unsigned(seed: number): bigint {
  return BigInt.asUintN(64, BigInt(seed))
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

/** @throws ApiError `invalid_value` if an id is not one of the model's tokens. */
export function inVocabulary(tokens: readonly number[], info: EngineInfo, param: string): readonly number[] {
  const wrong = tokens.find((token) => token >= info.vocabSize)
  if (wrong === undefined) return tokens
  throw new ApiError('invalid_value', `${param}: Token ${wrong} is not below the vocabulary size ${info.vocabSize}.`, param)
}

/** JSON can carry halves of surrogate pairs, which no UTF-8 has: they become U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD')
}

/** @throws ApiError `model_not_found`. */
export function checkModel(model: string | null | undefined, models: readonly string[]): string {
  const name = model ?? models[0] ?? ''
  if (models.includes(name)) return name
  throw new ApiError('model_not_found', `The server has no model of this name. It has ${models.join(', ')}.`, 'model')
}
