// What the sender of a turn wishes for the blocks that it uses.

/** `day`: whoever sent the turn expects to come back within one. */
export type Retention = 'none' | 'day'
