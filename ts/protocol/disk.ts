// The places that a server writes to, and how each fares.

/** ssd: the slot files. store: the data directory's tables. log: standard error. request_log: the file of `--request-log`. */
export const DISK_PLACES = ['ssd', 'store', 'log', 'request_log'] as const
export type DiskPlace = (typeof DISK_PLACES)[number]

/** From the best to the worst. `slow`: a call takes longer than 10 s, or has not ended for so long. */
export const DISK_STATES = ['ok', 'slow', 'full', 'read_only', 'failing', 'gone'] as const
export type DiskState = (typeof DISK_STATES)[number]

/** What a part of the server tells of a place that it writes to, whenever that changes. */
export interface DiskReport {
  readonly place: DiskPlace
  /** The part that tells it, where a place has several: the worst report of all parts is the state of the place. @default '' */
  readonly part?: string
  readonly state: DiskState
  /** A sentence for operators, which may name a path; null where all is well. */
  readonly reason: string | null
}

export interface DiskCondition {
  readonly place: DiskPlace
  readonly state: DiskState
  readonly reason: string | null
  /** Milliseconds since the Unix epoch. */
  readonly since: number
  /** Lines that found no room and were dropped so far; of logs alone. */
  readonly lostLines?: number
}

const STATE_BY_CODE: Readonly<Record<string, DiskState>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'read_only',
  ENOENT: 'gone',
  ENODEV: 'gone',
  ENXIO: 'gone',
  ESTALE: 'gone',
  ENOTDIR: 'gone',
  EBADF: 'gone',
  EPIPE: 'gone',
  ECONNRESET: 'gone',
}

/** The state that an error of the system tells, by its code: `ENOSPC`. */
export function diskStateOf(code: string | undefined): DiskState {
  return STATE_BY_CODE[code ?? ''] ?? 'failing'
}

const NAMES: Readonly<Record<DiskPlace, string>> = {
  ssd: 'the disk of the ssd tier',
  store: 'the disk of the store',
  log: 'the log',
  request_log: 'the request log',
}

const FARES: Readonly<Record<DiskState, string>> = {
  ok: 'works again',
  slow: 'is slow',
  full: 'has no room',
  read_only: 'is read-only',
  failing: 'reports errors',
  gone: 'is gone',
}

/** `the disk of the ssd tier has no room` */
export function diskSentence({ place, state }: Pick<DiskCondition, 'place' | 'state'>): string {
  return `${NAMES[place]} ${FARES[state]}`
}
