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

/** The files of one model. */
interface Owned {
  readonly extents: Map<number, DiskExtent>
  /** Slots from the first on that are allocated. */
  committed: number
}

/** Hand the same disk to a second engine to simulate a restart; after a crash, hand it what the crash has left. */
export class SimulatedDisk {
  /** The one that served last comes last. */
  readonly #owners: Map<string, Owned>
  readonly #unflushed = new Map<number, Unflushed>()

  /** @param id Of the model whose slots these are. */
  constructor(readonly id: string, owners = new Map<string, Owned>()) {
    this.#owners = owners
    if (!owners.has(id)) owners.set(id, { extents: new Map(), committed: 0 })
  }

  /** The same disk, with the slots of another model. */
  of(id: string): SimulatedDisk {
    return new SimulatedDisk(id, this.#owners)
  }

  /** What a read finds, by slot. */
  get extents(): Map<number, DiskExtent> {
    return this.#own.extents
  }

  get committed(): number {
    return this.#own.committed
  }

  /** Other models that have slots, the one that served longest ago first. */
  get foreign(): ReadonlyArray<{ readonly owner: string; readonly slots: number }> {
    return [...this.#owners].filter(([id, { committed }]) => id !== this.id && committed > 0).map(([owner, { committed }]) => ({ owner, slots: committed }))
  }

  /** The model begins to serve. */
  served(): void {
    const own = this.#own
    this.#owners.delete(this.id)
    this.#owners.set(this.id, own)
  }

  /**
   * Takes room for the first `slots`, under a bound of `most` slots for all models: other models give up as many as are
   * lacking. Answers what those have left, in order.
   */
  commit(slots: number, most: number): Array<{ readonly owner: string; readonly slotsLeft: number }> {
    this.#own.committed = Math.max(this.#own.committed, slots)
    const givenUp = []
    for (;;) {
      const taken = [...this.#owners.values()].reduce((sum, { committed }) => sum + committed, 0)
      const [oldest] = this.foreign
      const owned = oldest && this.#owners.get(oldest.owner)
      if (taken <= most || !owned) return givenUp
      owned.committed = Math.max(0, owned.committed - (taken - most))
      for (const slot of [...owned.extents.keys()]) if (slot >= owned.committed) owned.extents.delete(slot)
      givenUp.push({ owner: oldest.owner, slotsLeft: owned.committed })
    }
  }

  eraseForeign(owner: string, slot: number): void {
    this.#owners.get(owner)?.extents.delete(slot)
  }

  /** The slot holds these bytes from now on; undefined: zeros. */
  write(slot: number, extent: DiskExtent | undefined): void {
    const before = this.#unflushed.has(slot) ? this.#unflushed.get(slot)?.before : this.extents.get(slot)
    this.#unflushed.set(slot, { before, isForsaken: false })
    if (extent) this.#own.extents.set(slot, extent)
    else this.#own.extents.delete(slot)
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
    return new SimulatedDisk(this.id, new Map(Array.from(this.#owners, ([id, { extents, committed }]) => [id, { extents: new Map(extents), committed }])))
  }

  /** A disk with what is left when the power goes now: a slot that was written and not flushed holds what it held before. */
  afterPowerLoss(): SimulatedDisk {
    const disk = this.afterKill()
    for (const [slot, { before }] of this.#unflushed) {
      if (before) disk.#own.extents.set(slot, before)
      else disk.#own.extents.delete(slot)
    }
    return disk
  }

  get #own(): Owned {
    return this.#owners.get(this.id) as Owned
  }
}
