// What a model thinks of a given text, seen through a view: for evaluation only.

import type { ViewParameters } from '../types.js'
import { loadAddon } from './addon.js'
import type { BindingOpenOptions } from './addon.generated.js'
import { engineError, startError } from './errors.js'

/**
 * What happens where the view moves on. `recompute`: what stays is computed anew as the sequence that it then is.
 * `decoupled`: it is used as it is, as a server does. `coupled`: it is used, and keeps the positions it was computed at.
 */
export type Truncation = 'recompute' | 'decoupled' | 'coupled'

/** One of the ways to go on beyond the window. */
export interface Way {
  /** Its head may be empty here. */
  readonly view: ViewParameters
  readonly truncation: Truncation
}

/** Of each token that was asked for, in order. */
export interface Scores {
  /** −ln of its probability, given what the token before it sees. */
  readonly nll: Float32Array
  /** The likeliest token in its place. */
  readonly best: Uint32Array
}

export interface Scorer {
  /**
   * Scores of the tokens from `first` ≥ 1 on, in each of `ways`, all of one window. Within the window all ways are the
   * same, and computed once. Calls run one after another.
   */
  score(tokens: Uint32Array, first: number, ways: readonly Way[]): Promise<Scores[]>
}

/**
 * Loads the model alone; `hbmBytes` holds the longest window twice.
 * @throws ExitError with exit code 2 for a wrong model or configuration.
 */
export async function openScorer(options: Readonly<BindingOpenOptions>): Promise<Scorer> {
  try {
    const binding = await loadAddon().openScorer(options)
    return {
      score: (tokens, first, ways) =>
        binding.score(tokens, first, [...ways]).catch((thrown: unknown) => {
          throw engineError(thrown)
        }),
    }
  } catch (thrown) {
    throw startError(thrown)
  }
}
