// A prompt with more tokens than its caller asked for.

import { AttentionStoreError } from '../protocol/errors.js'

/** Thrown instead of a prompt; the whole of it was not tokenised. */
export class PromptTooLong extends AttentionStoreError {
  override readonly name = 'PromptTooLong'
  /** @param atLeast The prompt has at least so many tokens, more than `most`. */
  constructor(
    readonly atLeast: number,
    readonly most: number,
  ) {
    super('prompt_too_long', `The prompt has at least ${atLeast} tokens; at most ${most} were asked for.`, { at_least: atLeast, most })
  }
}
