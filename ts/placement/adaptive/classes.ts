// Classes of blocks that are expected to be used again alike: how often a block was used × how many new tokens the
// request had that used it last × whether it is a partly filled tail.

const USE_BUCKETS = 4
const TOKEN_BUCKETS = 18

export const CLASSES = USE_BUCKETS * TOKEN_BUCKETS * 2

/** 1, 2, 3–4, 5 and more. */
function useBucket(uses: number): number {
  return uses <= 2 ? Math.max(0, uses - 1) : uses <= 4 ? 2 : 3
}

/** Powers of two: 0, 1, 2–3, 4–7, … */
function tokenBucket(newTokens: number): number {
  return newTokens < 1 ? 0 : Math.min(TOKEN_BUCKETS - 1, 32 - Math.clz32(newTokens))
}

/** @param newTokens prompt tokens that the request did not share with anything before it. */
export function classOf(uses: number, newTokens: number, isPartialTail: boolean): number {
  return (useBucket(uses) * TOKEN_BUCKETS + tokenBucket(newTokens)) * 2 + (isPartialTail ? 1 : 0)
}

/** The classes that a class is shrunk towards: the same use count and tokens, then the same use count, then all. */
export function familiesOf(blockClass: number): readonly [twins: number, uses: number] {
  const twins = blockClass >> 1
  return [twins, Math.floor(twins / TOKEN_BUCKETS)]
}

export const TWIN_FAMILIES = USE_BUCKETS * TOKEN_BUCKETS
export const USE_FAMILIES = USE_BUCKETS
