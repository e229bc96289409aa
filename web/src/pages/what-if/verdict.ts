// The gain from more capacity, in words: a gain is only told as one where the estimate can tell it from nothing.

import { formatNumber } from '../../format.js'

export interface Verdict {
  /** `nothing`: no difference that could be shown; `unsure`: one that is smaller than the estimate's error. */
  readonly kind: 'nothing' | 'unsure' | 'gain'
  readonly from: string
  readonly to: string
  /** How far it would rise, and the half width of the estimate's interval, in percentage points. */
  readonly points: string
  readonly error: string
}

/** Less than this cannot be seen in the figures that are shown. */
const SHOWN_POINTS = 0.1

export function verdictOf({ from, to, error }: { readonly from: number; readonly to: number; readonly error: number }): Verdict {
  const gained = 100 * (to - from)
  const kind = gained < SHOWN_POINTS / 2 ? 'nothing' : gained <= 100 * error ? 'unsure' : 'gain'
  return { kind, from: percent(from), to: percent(to), points: formatNumber(gained, 1), error: errorOf(100 * error) }
}

export const percent = (share: number): string => `${formatNumber(share * 100, 1)} %`

function errorOf(points: number): string {
  return points < SHOWN_POINTS / 2 ? `less than ${SHOWN_POINTS}` : formatNumber(points, 1)
}
