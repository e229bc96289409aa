// The look of tiers and lanes.

import { LANES, type StreamName, type TierName } from 'attentionstore/protocol'

/** Names the colour of a lane: that of the tier it comes from, which only one other lane may have. */
export function streamColour(name: StreamName): TierName | 'computed' {
  return name === 'write' ? 'computed' : LANES[name].from
}
