// Several turns read as one: their events as they come.

import type { Turn, TurnEvent } from '../service/types.js'

/** How a read of a turn ended. */
type Read = { readonly index: number } & ({ readonly result: IteratorResult<TurnEvent, unknown> } | { readonly error: unknown })

/**
 * Events of all turns in the order in which they come, each with the index of its turn. An event costs the same, however many
 * turns there are. A turn is asked for its next event when its last one was taken, so a slow reader has one event of each
 * turn waiting, and the turns merge what comes after. The error of one turn is thrown behind the events that came before it.
 * Leaving early cancels all.
 */
export async function* mergeTurns(turns: readonly Turn[]): AsyncGenerator<readonly [index: number, event: TurnEvent]> {
  const reads = new Reads(turns)
  try {
    for (let open = turns.length; open > 0; ) {
      const read = await reads.next()
      if ('error' in read) throw read.error
      if (read.result.done) {
        open--
        continue
      }
      yield [read.index, read.result.value]
      reads.begin(read.index)
    }
  } finally {
    turns.forEach((turn) => turn.cancel())
  }
}

/** One read of each turn, in one queue as they end. */
class Reads {
  readonly #iterators: ReadonlyArray<AsyncIterator<TurnEvent>>
  #ended: Read[] = []
  /** Reads that ended, from the end of the list: the next one is the last. */
  #taken: Read[] = []
  #wake: (() => void) | null = null

  constructor(turns: readonly Turn[]) {
    this.#iterators = turns.map((turn) => turn[Symbol.asyncIterator]())
    for (const index of turns.keys()) this.begin(index)
  }

  begin(index: number): void {
    this.#iterators[index]?.next().then(
      (result) => this.#end({ index, result }),
      (error: unknown) => this.#end({ index, error }),
    )
  }

  async next(): Promise<Read> {
    for (;;) {
      const read = this.#taken.pop()
      if (read) return read
      if (this.#ended.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#taken = this.#ended.reverse()
      this.#ended = []
    }
  }

  #end(read: Read): void {
    this.#ended.push(read)
    this.#wake?.()
    this.#wake = null
  }
}
