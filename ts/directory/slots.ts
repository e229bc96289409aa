// The slots of one tier: free, used, or cooling (given back while something in flight still names them).

const FREE = 0
const USED = 1
const COOLING = 2
const RETIRED = 3

/**
 * A slot's way: free → take → used → give → (cooling until nothing in flight names it) → free, or retired for good where
 * its memory has changed what was put there. What is in flight is
 * counted two ways: `pin`/`unpin` for transfers, `nameInStep` for steps (a step number that must be answered first).
 */
export class SlotPool {
  /** Slots that the tier has where there is memory for all. */
  readonly most: number
  #committed = 0
  #isShort = false
  /** Grows whenever a slot may have become available. */
  version = 0
  readonly #state: Uint8Array
  readonly #pins: Uint16Array
  readonly #lastStep: Int32Array
  #free: number[] = []
  readonly #cooling = new Set<number>()
  /** Slots that are never handed out again; those of them that are still used or cooling are so first. */
  readonly #retiring = new Set<number>()
  #retired = 0
  #answered = -1

  /** @param committed Slots from the first on whose memory is there. Only these are handed out. */
  constructor(most: number, committed = most) {
    this.most = most
    this.#state = new Uint8Array(most)
    this.#pins = new Uint16Array(most)
    this.#lastStep = new Int32Array(most).fill(-1)
    this.commit(committed)
  }

  /** Slots that the tier has, also those whose memory comes only when it is needed. */
  get total(): number {
    return this.#isShort ? this.#committed : this.most
  }

  /** Of these, the slots whose memory is there. */
  get committed(): number {
    return this.#committed
  }

  /** The system has no memory for more slots than are committed: the tier has only these. */
  get isShort(): boolean {
    return this.#isShort
  }

  set isShort(isShort: boolean) {
    if (isShort !== this.#isShort) this.version++
    this.#isShort = isShort
  }

  /** The memory of the first `slots` is there. Slots that were there before are used before them. */
  commit(slots: number): void {
    const to = Math.min(slots, this.most)
    if (to <= this.#committed) return
    const more = Array.from({ length: to - this.#committed }, (_, i) => to - 1 - i)
    this.#free = more.concat(this.#free)
    this.#committed = to
    this.version++
  }

  get free(): number {
    return this.#free.length
  }

  get cooling(): number {
    return this.#cooling.size
  }

  /** Slots that are handed out no more. */
  get retired(): number {
    return this.#retired
  }

  get used(): number {
    return this.#committed - this.free - this.cooling - this.#retired
  }

  /** A free slot, or -1. */
  take(): number {
    const slot = this.#free.pop()
    if (slot === undefined) return -1
    this.#state[slot] = USED
    return slot
  }

  /** Takes those of the slots that are free, and answers which these are. */
  takeFree(slots: ReadonlySet<number>): number[] {
    const taken = this.#free.filter(slot => slots.has(slot))
    if (taken.length === 0) return taken
    for (const slot of taken) this.#state[slot] = USED
    this.#free = this.#free.filter(slot => !slots.has(slot))
    return taken
  }

  /** Gives a used slot back. It is handed out again only when nothing in flight names it. */
  give(slot: number): void {
    if (this.#state[slot] !== USED) throw new Error(`slot ${slot} is given back but not in use`)
    if (this.isIdle(slot)) {
      this.#release(slot)
    } else {
      this.#state[slot] = COOLING
      this.#cooling.add(slot)
    }
  }

  /** Its memory cannot be trusted: a used slot is not handed out again once it was given back. */
  retire(slot: number): void {
    if (this.#state[slot] === FREE) throw new Error(`slot ${slot} is retired while it is free`)
    this.#retiring.add(slot)
  }

  /** A transfer names the slot. */
  pin(slot: number): void {
    this.#pins[slot] = (this.#pins[slot] ?? 0) + 1
  }

  unpin(slot: number): void {
    const pins = this.#pins[slot] ?? 0
    if (pins === 0) throw new Error(`slot ${slot} is unpinned but not pinned`)
    this.#pins[slot] = pins - 1
    this.version++
    if (this.#state[slot] === COOLING && this.isIdle(slot)) this.#release(slot)
  }

  isPinned(slot: number): boolean {
    return (this.#pins[slot] ?? 0) > 0
  }

  /** Step `step` names the slot. */
  nameInStep(slot: number, step: number): void {
    if (step > (this.#lastStep[slot] ?? -1)) this.#lastStep[slot] = step
  }

  /** Steps up to `step` are answered. */
  answered(step: number): void {
    this.#answered = step
    this.version++
    for (const slot of this.#cooling) if (this.isIdle(slot)) this.#release(slot)
  }

  /** Nothing in flight names the slot. */
  isIdle(slot: number): boolean {
    return this.#pins[slot] === 0 && (this.#lastStep[slot] ?? -1) <= this.#answered
  }

  isFree(slot: number): boolean {
    return this.#state[slot] === FREE
  }

  isUsed(slot: number): boolean {
    return this.#state[slot] === USED
  }

  #release(slot: number): void {
    this.#cooling.delete(slot)
    this.version++
    if (this.#retiring.delete(slot)) {
      this.#state[slot] = RETIRED
      this.#retired++
      return
    }
    this.#state[slot] = FREE
    this.#free.push(slot)
  }
}
