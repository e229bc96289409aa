// What survives an engine: the contents of the ssd tier.

export interface DiskExtent {
  readonly key: string
  readonly valid: number
  readonly rows: Uint32Array
}

/** Hand the same disk to a second engine to simulate a restart. */
export class SimulatedDisk {
  readonly extents = new Map<number, DiskExtent>()

  constructor(readonly id: string) {}
}
