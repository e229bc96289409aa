// What must not happen at the same time: the contract that the scheduler's bookkeeping of slots has to keep.

export class ContractViolation extends Error {
  override readonly name = 'ContractViolation'
}

/** One more; answers what takes it back. */
function count(counts: Uint16Array, slot: number): () => void {
  counts[slot] = (counts[slot] ?? 0) + 1
  return () => {
    counts[slot] = (counts[slot] ?? 0) - 1
  }
}

/** Who reads and who writes each slot of a tier right now. */
export class SlotUse {
  readonly #tier: string
  readonly #readers: Uint16Array
  readonly #writers: Uint16Array
  readonly #names: Uint16Array

  constructor(tier: string, slots: number) {
    this.#tier = tier
    this.#readers = new Uint16Array(slots)
    this.#writers = new Uint16Array(slots)
    this.#names = new Uint16Array(slots)
  }

  /** Begins to read; answers what ends it. Nobody may be writing. */
  read(slot: number, what: string): () => void {
    this.#check(slot, what)
    if (this.#writers[slot]) throw new ContractViolation(`${what}: ${this.#tier} slot ${slot} is being written`)
    return count(this.#readers, slot)
  }

  /** Begins to write; answers what ends it. Nobody may be reading or writing. */
  write(slot: number, what: string): () => void {
    this.#check(slot, what)
    if (this.#writers[slot] || this.#readers[slot] || this.#names[slot]) throw new ContractViolation(`${what}: ${this.#tier} slot ${slot} is in use`)
    return count(this.#writers, slot)
  }

  /** A step names the slot: nothing but that step may write it. Loads that began before are waited for. */
  name(slot: number): () => void {
    this.#check(slot, 'step')
    return count(this.#names, slot)
  }

  #check(slot: number, what: string): void {
    if (!(slot >= 0 && slot < this.#readers.length)) throw new ContractViolation(`${what}: there is no ${this.#tier} slot ${slot}`)
  }
}
