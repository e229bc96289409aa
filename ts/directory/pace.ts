// How much of a long walk over tables is done at a time.

/** About a millisecond of looking. */
const PIECE = 500

export class Pace {
  #looked = 0

  /** Counts an entry that was looked at; true: it was the last of a piece. */
  get isOver(): boolean {
    this.#looked++
    return this.#looked % PIECE === 0
  }
}

/** Walks to the end. */
export function walkAll(pieces: Iterable<void>): void {
  const iterator = pieces[Symbol.iterator]()
  while (iterator.next().done !== true);
}
