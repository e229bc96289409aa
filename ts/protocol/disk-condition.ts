/** How a disk that the server writes to is. */
export interface DiskCondition {
  readonly state: 'ok' | 'full' | 'read_only' | 'failing'
  /** The sentence of the system; null: it is well. */
  readonly reason: string | null
  /** Milliseconds since 1970; null: it is well. */
  readonly since: number | null
}

export const DISK_OK: DiskCondition = { state: 'ok', reason: null, since: null }

/** What an error of the disk, by the engine's code and the system's sentence, says of it. */
export function diskCondition(code: string, reason: string, since: number): DiskCondition {
  if (code === 'kv_no_space') return { state: 'full', reason, since }
  return { state: reason.includes('Read-only file system') ? 'read_only' : 'failing', reason, since }
}
