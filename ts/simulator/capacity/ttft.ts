// Time to first token of a request that is alone on the machine: nothing waits, and what is reused is already in place.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { attendedBy, stepMs } from '../../engine/step-costs.js'

/** Tokens that a step computes at most: the default of a server on a CPU. */
const CHUNK_TOKENS = 256

/** Milliseconds of the steps that compute the prompt but its first `reused` tokens; the last token always is. */
export function timeAlone(profile: HardwareProfile, promptTokens: number, reused: number): number {
  let ms = 0
  let from = Math.max(0, Math.min(reused, promptTokens - 1))
  do {
    const rows = Math.min(CHUNK_TOKENS, promptTokens - from)
    ms += stepMs(profile, { rows, history: from, attended: attendedBy(from, rows) })
    from += CHUNK_TOKENS
  } while (from < promptTokens)
  return ms
}
