// Which request asks for a block next: what Belady knows of all requests, and the look-ahead of the next few.

import type { TraceRequest } from '../traces/trace.js'

const NEVER = 0x7fffffff

export class Future {
  /** Of every access of every request, in order: the next request that asks for the block. */
  readonly #next: Int32Array
  readonly #starts: Int32Array

  constructor(requests: readonly TraceRequest[], uniqueBlocks: number) {
    this.#starts = new Int32Array(requests.length)
    let accesses = 0
    requests.forEach(({ blocks }, i) => {
      this.#starts[i] = accesses
      accesses += blocks.length
    })
    this.#next = new Int32Array(accesses)
    const soonest = new Int32Array(uniqueBlocks).fill(NEVER)
    for (let i = requests.length - 1; i >= 0; i--) this.#note(i, requests[i] as TraceRequest, soonest)
  }

  /** After request `request`: the request that asks next for the block at `place` of its chain; Infinity: none. */
  after(request: number, place: number): number {
    const next = this.#next[(this.#starts[request] ?? 0) + place] ?? NEVER
    return next === NEVER ? Infinity : next
  }

  #note(request: number, { blocks, promptBlocks }: TraceRequest, soonest: Int32Array): void {
    const start = this.#starts[request] ?? 0
    for (let place = 0; place < blocks.length; place++) {
      const id = blocks[place] ?? 0
      this.#next[start + place] = soonest[id] ?? NEVER
      if (place < promptBlocks) soonest[id] = request
    }
  }
}
