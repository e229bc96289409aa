// A sign that the answer is on its way, until its first token.

import type { Clock } from '../../engine/clock.js'
import type { Terminal } from '../terminal.js'

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 100
/** To the first column, and the line away. */
const CLEAR = '\r\u001B[K'

export class Spinner {
  readonly #out: Terminal['out']
  readonly #clock: Clock
  readonly #startedAt: number
  #cancel: () => void = () => {}
  #isShown = false

  /** Turns where a person looks on. */
  constructor({ out, isInteractive }: Pick<Terminal, 'out' | 'isInteractive'>, clock: Clock) {
    this.#out = out
    this.#clock = clock
    this.#startedAt = clock.now()
    if (isInteractive) this.#turn(0)
  }

  /** May be called twice. */
  stop(): void {
    this.#cancel()
    this.#cancel = () => {}
    if (this.#isShown) this.#out(CLEAR)
    this.#isShown = false
  }

  #turn(frame: number): void {
    this.#cancel = this.#clock.after(FRAME_MS, () => {
      const seconds = ((this.#clock.now() - this.#startedAt) / 1000).toFixed(1)
      this.#out(`${CLEAR}${FRAMES[frame % FRAMES.length]} ${seconds} s`)
      this.#isShown = true
      this.#turn(frame + 1)
    })
  }
}
