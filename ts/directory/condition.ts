// How a disk that is written to fares, and since when.

import type { Clock } from '../engine/clock.js'
import type { DiskState } from '../protocol/disk.js'

export type ConditionState = Extract<DiskState, 'ok' | 'full' | 'read_only' | 'failing'>

export interface Condition {
  readonly state: ConditionState
  /** A sentence for operators, which may name a path; null where all is well. */
  readonly reason: string | null
  /** Milliseconds since the Unix epoch. */
  readonly since: number
}

export type ConditionListener = (condition: Condition) => void

/** The condition now, and those who are told when its state changes. */
export class ConditionWatch {
  readonly #clock: Pick<Clock, 'now'>
  readonly #listeners: ConditionListener[] = []
  #condition: Condition

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#condition = { state: 'ok', reason: null, since: clock.now() }
  }

  get now(): Condition {
    return this.#condition
  }

  /** Told of each change, and of the condition as it is where that is not well. */
  listen(listener: ConditionListener): void {
    this.#listeners.push(listener)
    if (this.#condition.state !== 'ok') listener(this.#condition)
  }

  set(state: ConditionState, reason: string | null): void {
    const hasChanged = state !== this.#condition.state
    this.#condition = { state, reason, since: hasChanged ? this.#clock.now() : this.#condition.since }
    if (hasChanged) for (const listener of this.#listeners) listener(this.#condition)
  }
}
