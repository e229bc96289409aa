// How often others went before a sequence, so that it is not passed over for ever.

export class Standing {
  #overtaken = 0
  #overtakenAt = 0
  #stoodBack = 0
  #refusedAt = -1

  /** Younger requests that were admitted before it. */
  get overtaken(): number {
    return this.#overtaken
  }

  /** When the first of them was, in milliseconds. */
  get overtakenAt(): number {
    return this.#overtakenAt
  }

  /** Plans in a row in which its prompt stood back behind shorter ones. */
  get stoodBack(): number {
    return this.#stoodBack
  }

  /** A younger request is admitted. */
  overtake(now: number): void {
    if (this.#overtaken++ === 0) this.#overtakenAt = now
  }

  /** Its prompt stands back in a plan, or is in it. */
  standBack(isBack: boolean): void {
    this.#stoodBack = isBack ? this.#stoodBack + 1 : 0
  }

  /** There is no room for it, as the directory is at `version`. */
  refuse(version: number): void {
    this.#refusedAt = version
  }

  wasRefused(version: number): boolean {
    return this.#refusedAt === version
  }

  /** It may be tried again, whether the directory has changed or not. */
  retry(): void {
    this.#refusedAt = -1
  }
}
