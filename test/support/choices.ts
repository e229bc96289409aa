// Several answers to one request, of a service.

import type { Answer } from './simulated-service.js'
import { readTurn } from './simulated-service.js'
import { choicesOf, seedOfChoice } from '../../ts/surfaces/choices.js'
import type { InferenceService, Turn, TurnRequest } from '../../ts/service/types.js'

export function startChoices(service: InferenceService, request: TurnRequest, n: number): Promise<readonly Turn[]> {
  return service.startChoices(request, choicesOf(request, n, 0))
}

/** Reads all of them to their ends. */
export async function askChoices(service: InferenceService, request: TurnRequest, n: number): Promise<Answer[]> {
  const turns = await startChoices(service, request, n)
  const answers = await Promise.all(turns.map(readTurn))
  return answers.map((answer) => {
    if (!answer) throw new Error('a choice was cancelled')
    return answer
  })
}

/** The requests with one answer each that say the same as one with `n`. */
export function singles(request: TurnRequest, n: number): TurnRequest[] {
  const { sampling } = request
  return Array.from({ length: n }, (_, choice) => ({ ...request, sampling: { ...sampling, seed: seedOfChoice(sampling.seed, choice) } }))
}
