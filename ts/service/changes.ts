// Waiting for something to end, whatever it is: a step, a transfer, a request.

export class Changes {
  #waiting: Array<() => void> = []

  /** Resolves when something ends. */
  next(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Something ended. */
  announce(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
