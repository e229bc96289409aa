// When the phases of a sequence began, in milliseconds, as the clock says. 0: not yet.

export class Timing {
  #queued: number
  #prepared = 0
  #joined = 0
  #firstToken = 0

  constructor(readonly accepted: number) {
    this.#queued = accepted
  }

  /** Since when it has waited for its slots. */
  get queued(): number {
    return this.#queued
  }

  /** When it first got its slots. */
  get prepared(): number {
    return this.#prepared
  }

  /** When it first ran. */
  get joined(): number {
    return this.#joined
  }

  /** When its answer began. */
  get firstToken(): number {
    return this.#firstToken
  }

  queue(now: number): void {
    this.#queued = now
  }

  prepare(now: number): void {
    if (this.#prepared === 0) this.#prepared = now
  }

  join(now: number): void {
    if (this.#joined === 0) this.#joined = now
  }

  answer(now: number): void {
    if (this.#firstToken === 0) this.#firstToken = now
  }
}
