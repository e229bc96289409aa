// The wish for more or less reasoning, as the variables that templates look for.

/** Words of the wire formats for the same; templates know the middle three. */
export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
export type Effort = (typeof EFFORTS)[number]

const NEAREST: Readonly<Record<Exclude<Effort, 'none'>, string>> = { minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' }

/** Variables of a template; an absent wish sets none. */
export function effortArguments(effort: Effort | null | undefined): Readonly<Record<string, unknown>> {
  if (effort === null || effort === undefined) return {}
  return effort === 'none' ? { enable_thinking: false } : { enable_thinking: true, reasoning_effort: NEAREST[effort] }
}
