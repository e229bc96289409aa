// The wish of a turn's sender for the blocks that it uses.

/** `day`: the sender of the turn expects to come back within one. */
export type Retention = 'none' | 'day'
