// Parts of a turn that all surfaces make alike: defaults of sampling, and checks against the model.

import { randomBytes } from 'node:crypto'
import type { EngineInfo, SamplingParams } from '../engine/types.js'
import { ApiError } from '../protocol/errors.js'

/** How a client wants to sample. A field that is left out or null gets the model's default, or else OpenAI's. */
export type SamplingWishes = {
  readonly [Field in Exclude<keyof SamplingParams, 'seed' | 'logprobs' | 'logitBias'>]?: number | null | undefined
} & {
  readonly logitBias?: SamplingParams['logitBias']
  /** A safe integer; negative ones are seeds too. Left out or null: a random one. */
  readonly seed?: number | null | undefined
  readonly logprobs?: number | null
}

export function samplingParams(wishes: SamplingWishes, { defaults }: Pick<EngineInfo, 'defaults'>): SamplingParams {
  return {
    temperature: wishes.temperature ?? defaults.temperature ?? 1,
    topK: Math.max(0, wishes.topK ?? defaults.topK ?? 0),
    topP: wishes.topP ?? defaults.topP ?? 1,
    minP: wishes.minP ?? defaults.minP ?? 0,
    repetitionPenalty: wishes.repetitionPenalty ?? defaults.repetitionPenalty ?? 1,
    presencePenalty: wishes.presencePenalty ?? 0,
    frequencyPenalty: wishes.frequencyPenalty ?? 0,
    logitBias: wishes.logitBias ?? [],
    seed: wishes.seed === undefined || wishes.seed === null ? randomBytes(8).readBigUInt64LE() : BigInt.asUintN(64, BigInt(wishes.seed)),
    logprobs: wishes.logprobs ?? null,
  }
}

/** @throws ApiError `invalid_value` if an id is not one of the model's tokens. */
export function inVocabulary(tokens: readonly number[], info: EngineInfo, param: string): readonly number[] {
  const wrong = tokens.find((token) => token >= info.vocabSize)
  if (wrong === undefined) return tokens
  throw new ApiError('invalid_value', `${param}: Token ${wrong} is not below the vocabulary size ${info.vocabSize}.`, param)
}

/** @throws ApiError `invalid_value` if the model cannot render messages, which are in `field`. */
export function checkTemplate({ hasChatTemplate, templateError }: Pick<EngineInfo, 'hasChatTemplate' | 'templateError'>, field = 'messages'): void {
  if (hasChatTemplate) return
  const why = templateError === undefined ? 'The model has no chat template.' : `The model's chat template cannot be used: ${templateError}.`
  throw new ApiError('invalid_value', `${field}: ${why} Use /v1/completions.`, field)
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
