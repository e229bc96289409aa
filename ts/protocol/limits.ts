// Bounds of requests that more than one part holds to.

/** Most tokens of a prompt that may be longer than the context, and most messages of one. */
export const MAX_TRUNCATED = 131_072
