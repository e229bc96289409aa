// Token ids compared as words are in a dictionary: token by token, and what begins with all of another comes after it.

/** Leading tokens that `tokens` and `block` have in common. */
export function commonTokens(block: Uint32Array, tokens: Uint32Array): number {
  const most = Math.min(block.length, tokens.length)
  let same = 0
  while (same < most && block[same] === tokens[same]) same++
  return same
}

/** Negative: `a` comes first; 0: they are equal. */
export function compareTokens(a: Uint32Array, b: Uint32Array): number {
  const same = commonTokens(a, b)
  if (same === a.length || same === b.length) return a.length - b.length
  return (a[same] as number) - (b[same] as number)
}

/** Where `block` stands beside everything that begins with `tokens[0..rows)`: before (negative), among (0) or behind it. */
export function besidePrefix(block: Uint32Array, tokens: Uint32Array, rows: number): number {
  const most = Math.min(block.length, rows)
  let same = 0
  while (same < most && block[same] === tokens[same]) same++
  if (same === rows) return 0
  return same === block.length ? -1 : (block[same] as number) - (tokens[same] as number)
}
