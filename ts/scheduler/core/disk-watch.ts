// How the disk of the ssd tier fares, from the transfers that go to it. A failure counts until the same direction works
// again and none has failed for a while: a disk with some bad sectors does not change its state with every block.

import type { Clock } from '../../engine/clock.js'
import type { Transfer, TransferDone } from '../../engine/types.js'
import { diskStateOf, type DiskReport, type DiskState } from '../../protocol/disk.js'

/** Milliseconds without the end of any transfer, while some are under way, after which the disk is slow. */
const SLOW_MS = 5000
/** Milliseconds after the last sign of trouble from which on a transfer that ends well says that the disk works. */
const QUIET_MS = 10_000

type Direction = 'read' | 'write'

const DIRECTIONS: Readonly<Partial<Record<Transfer['kind'], Direction>>> = {
  read: 'read',
  write: 'write',
  flush: 'write',
  erase: 'write',
  erase_foreign: 'write',
}

/** Errors of Linux that a sentence of the engine names by number. */
const NAMED: Readonly<Record<string, string>> = { 2: 'ENOENT', 6: 'ENXIO', 19: 'ENODEV', 28: 'ENOSPC', 30: 'EROFS', 116: 'ESTALE', 122: 'EDQUOT' }

interface Trouble {
  readonly state: DiskState
  at: number
}

export class DiskWatch {
  readonly #clock: Clock
  readonly #report: ((report: DiskReport) => void) | null
  readonly #troubles = new Map<Direction | 'pace', Trouble>()
  #underWay = 0
  /** When the last transfer ended, or the first one was sent. */
  #lastEnd = 0
  #cancelTimer: (() => void) | null = null

  /** @param report null: nothing is watched. */
  constructor(clock: Clock, report: ((report: DiskReport) => void) | null) {
    this.#clock = clock
    this.#report = report
  }

  /** A transfer was handed to the engine. */
  sent(kind: Transfer['kind']): void {
    if (DIRECTIONS[kind] === undefined || this.#report === null) return
    if (this.#underWay++ === 0) this.#lastEnd = this.#clock.now()
    if (this.#cancelTimer === null) this.#look(SLOW_MS)
  }

  /** One that was handed to it has ended. */
  ended(kind: Transfer['kind'], { error, detail }: Pick<TransferDone, 'error' | 'detail'>): void {
    const direction = DIRECTIONS[kind]
    if (direction === undefined || this.#report === null) return
    this.#underWay--
    this.#lastEnd = this.#clock.now()
    const state = error === undefined ? null : stateOf(error, detail)
    if (state !== null) this.#trouble(direction, state, `a ${kind} failed: ${detail ?? error}`)
    else if (error === undefined) this.#worked(direction)
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  /** One timer for all transfers: it looks again when the next one would be late. */
  #look(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => this.#isTime(), { background: true })
  }

  #isTime(): void {
    this.#cancelTimer = null
    if (this.#underWay === 0) return
    const quiet = this.#clock.now() - this.#lastEnd
    if (quiet >= SLOW_MS) this.#trouble('pace', 'slow', `${this.#underWay} reads and writes are under way, and none has ended for ${SLOW_MS / 1000} s`)
    this.#look(quiet >= SLOW_MS ? SLOW_MS : SLOW_MS - quiet)
  }

  #trouble(part: Direction | 'pace', state: DiskState, reason: string): void {
    const before = this.#troubles.get(part)
    if (before?.state === state) {
      before.at = this.#clock.now()
      return
    }
    this.#troubles.set(part, { state, at: this.#clock.now() })
    this.#report?.({ place: 'ssd', part, state, reason })
  }

  #worked(direction: Direction): void {
    if (this.#troubles.size === 0) return
    for (const part of [direction, 'pace'] as const) {
      const trouble = this.#troubles.get(part)
      if (!trouble || this.#clock.now() - trouble.at < QUIET_MS) continue
      this.#troubles.delete(part)
      this.#report?.({ place: 'ssd', part, state: 'ok', reason: null })
    }
  }
}

/** null: an error that says nothing of the disk. */
export function stateOf(code: string, detail = ''): DiskState | null {
  if (code === 'kv_no_space') return 'full'
  if (code !== 'kv_io') return null
  return diskStateOf(NAMED[/\(os error (\d+)\)/.exec(detail)?.[1] ?? ''])
}
