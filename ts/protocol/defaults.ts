// Defaults of options that the command line, the service and the simulator share.

export const DEFAULTS = {
  /** Which blocks are given up first. */
  policy: 'adaptive',
  /** Share of window without head that is left out at a time. */
  truncationRatio: 0.5,
  /** Most requests that wait. */
  maxQueue: 256,
  /** What is done about history on ssd. */
  history: 'auto',
  /** Bytes of host memory a second that are compared with their checksums in the background. */
  scrubRate: 16e6,
  /** Bytes of responses that clients may name again, and milliseconds since their last use. */
  maxResponseBytes: 64 * 2 ** 20,
  responseTtlMs: 24 * 60 * 60 * 1000,
} as const
