// How long a soak lasts: SOAK_SECONDS, a minute if nothing is said.

/** Returns whether the time is over. */
export function soakTimer(): { readonly seconds: number; isOver(): boolean } {
  const seconds = Number(process.env['SOAK_SECONDS'] ?? 60)
  const end = performance.now() + seconds * 1000
  return { seconds, isOver: () => performance.now() >= end }
}
