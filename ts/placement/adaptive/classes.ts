// Classes of blocks that are expected to be used again alike: how often a block was used × how long it had waited for its
// last use × how many new tokens the turn had that used it last × whether it is a partly filled tail.

const USE_BUCKETS = 4
const GAP_BUCKETS = 5
const TOKEN_BUCKETS = 18

/** A class, and the families that it is drawn towards, from the nearest to the widest but that of all. */
export const CLASSES = USE_BUCKETS * GAP_BUCKETS * TOKEN_BUCKETS * 2
export const TWIN_FAMILIES = USE_BUCKETS * GAP_BUCKETS * TOKEN_BUCKETS
export const RHYTHM_FAMILIES = USE_BUCKETS * GAP_BUCKETS

/** Milliseconds: the gap before a use is below the first, the second, … or none of these. */
const GAP_ENDS_MS = [8_000, 32_000, 128_000] as const

/** 1, 2, 3–4, 5 and more. */
function useBucket(uses: number): number {
  return uses <= 2 ? Math.max(0, uses - 1) : uses <= 4 ? 2 : 3
}

/** Powers of two: 0, 1, 2–3, 4–7, … */
function tokenBucket(newTokens: number): number {
  return newTokens < 1 ? 0 : Math.min(TOKEN_BUCKETS - 1, 32 - Math.clz32(newTokens))
}

function gapBucket(gapMs: number | null): number {
  if (gapMs === null) return 0
  const bucket = GAP_ENDS_MS.findIndex(end => gapMs < end)
  return bucket < 0 ? GAP_BUCKETS - 1 : bucket + 1
}

export interface LastUse {
  /** Uses so far, this one included. */
  readonly uses: number
  /** Milliseconds since the use before; null: there was none. */
  readonly gapMs: number | null
  /** Prompt tokens that the turn did not share with anything before it. */
  readonly newTokens: number
  readonly isPartialTail: boolean
}

export function classOf({ uses, gapMs, newTokens, isPartialTail }: LastUse): number {
  const rhythm = useBucket(uses) * GAP_BUCKETS + gapBucket(gapMs)
  return (rhythm * TOKEN_BUCKETS + tokenBucket(newTokens)) * 2 + (isPartialTail ? 1 : 0)
}

/** Both kinds of tail together; then the same uses and gap, whatever the tokens. */
export function familiesOf(blockClass: number): readonly [twins: number, rhythm: number] {
  const twins = blockClass >> 1
  return [twins, Math.floor(twins / TOKEN_BUCKETS)]
}
