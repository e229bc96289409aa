// Sampling parameters that several suites share.

import type { SamplingParams } from '../../ts/engine/types.js'

export const greedy: SamplingParams = {
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
