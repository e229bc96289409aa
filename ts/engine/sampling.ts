// Greedy sampling: always the likeliest token, nothing penalised, no log probabilities.

import type { SamplingParams } from './types.js'

export const GREEDY: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0n,
  logprobs: null,
}
