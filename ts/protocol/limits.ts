// Bounds of requests that more than one part holds to.

/** Most tokens of a prompt that may be longer than the context, and most messages of one. */
export const MAX_TRUNCATED = 131_072

/**
 * Most log probabilities that a request may ask for of its prompts: tokens times one more than the alternatives of each. They
 * are kept until the answer begins, and told at once.
 */
export const MAX_PROMPT_LOGPROBS = 65_536
