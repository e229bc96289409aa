// Several answers to one request: which request each of them is, and which seed it has.

import { createHash } from 'node:crypto'
import type { Choice, TurnRequest } from '../service/types.js'

/**
 * The seed of one of several answers, so that a request with that seed alone gives the same answer. The first answer has
 * the seed as it was given; answer i has the number of the first 12 hexadecimal digits of SHA-256 over the text `SEED/i`,
 * where SEED is the seed in decimal, as an integer of 64 bits without a sign. It is a safe integer, which JSON can carry.
 */
export function seedOfChoice(seed: bigint, choice: number): bigint {
  if (choice === 0) return seed
  const digits = createHash('sha256').update(`${seed}/${choice}`).digest('hex').slice(0, 12)
  return BigInt(`0x${digits}`)
}

/** @param from Number of the first one among all answers to the request of the client; null: there is no other one. */
export function choicesOf({ requestId, sampling }: TurnRequest, count: number, from: number | null): Choice[] {
  return Array.from({ length: count }, (_, choice) => ({
    requestId: from === null ? requestId : `${requestId}-${from + choice}`,
    seed: seedOfChoice(sampling.seed, choice),
  }))
}
