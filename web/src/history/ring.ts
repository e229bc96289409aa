// Columns of numbers over time, in fixed memory and outside Vue's reactivity.

/** The last `capacity` rows of named columns; the oldest row is overwritten. A missing value is NaN. */
export class RingTable<Column extends string> {
  private readonly columns: ReadonlyMap<Column, Float64Array>
  private next = 0
  private filled = 0

  constructor(
    names: readonly Column[],
    readonly capacity: number,
  ) {
    this.columns = new Map(names.map((name) => [name, new Float64Array(capacity)]))
  }

  get length(): number {
    return this.filled
  }

  push(row: Readonly<Record<Column, number>>): void {
    for (const [name, values] of this.columns) values[this.next] = row[name]
    this.next = (this.next + 1) % this.capacity
    this.filled = Math.min(this.filled + 1, this.capacity)
  }

  clear(): void {
    this.next = 0
    this.filled = 0
  }

  /** A column's values, oldest first; null where there is none. */
  read(name: Column): (number | null)[] {
    const values = this.columns.get(name)
    if (!values) return []
    const start = (this.next - this.filled + this.capacity) % this.capacity
    return Array.from({ length: this.filled }, (_, index) => {
      const value = values[(start + index) % this.capacity]
      return value === undefined || Number.isNaN(value) ? null : value
    })
  }
}
