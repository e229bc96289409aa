// What survives an engine: the contents of the ssd tier.

export interface DiskExtent {
  readonly key: string
  readonly valid: number
  readonly rows: Uint32Array
}

/** A slot that was written and not flushed. */
interface Unflushed {
  /** What the slot holds after a crash; undefined: nothing. */
  readonly before: DiskExtent | undefined
  /** A flush of it failed: no later one makes these bytes durable, as with a file whose dirty pages were dropped. */
  isForsaken: boolean
}

/** Hand the same disk to a second engine to simulate a restart; after a crash, hand it what the crash has left. */
export class SimulatedDisk {
  /** What a read finds, by slot. */
  readonly extents = new Map<number, DiskExtent>()
  readonly #unflushed = new Map<number, Unflushed>()

  constructor(readonly id: string) {}

  /** The slot holds these bytes from now on; undefined: zeros. */
  write(slot: number, extent: DiskExtent | undefined): void {
    const before = this.#unflushed.has(slot) ? this.#unflushed.get(slot)?.before : this.extents.get(slot)
    this.#unflushed.set(slot, { before, isForsaken: false })
    if (extent) this.extents.set(slot, extent)
    else this.extents.delete(slot)
  }

  /** A flush has ended: what was written before outlives a crash, unless the flush failed. */
  flushed(hasFailed: boolean): void {
    for (const [slot, write] of this.#unflushed) {
      if (hasFailed) write.isForsaken = true
      else if (!write.isForsaken) this.#unflushed.delete(slot)
    }
  }

  /** A disk with what a server that is killed now leaves: everything that was written. */
  afterKill(): SimulatedDisk {
    const disk = new SimulatedDisk(this.id)
    for (const [slot, extent] of this.extents) disk.extents.set(slot, extent)
    return disk
  }

  /** A disk with what is left when the power goes now: a slot that was written and not flushed holds what it held before. */
  afterPowerLoss(): SimulatedDisk {
    const disk = this.afterKill()
    for (const [slot, { before }] of this.#unflushed) {
      if (before) disk.extents.set(slot, before)
      else disk.extents.delete(slot)
    }
    return disk
  }
}
