// A store in memory that says what a crash leaves of it.

import type { Condition } from '../../ts/directory/condition.js'
import type { Database, Table } from '../../ts/directory/database.js'

type Values = Map<string, Uint8Array>

/** `at once`: every write is committed when it is made; `when asked`: none is before `flushed` is called. */
export type Commits = 'at once' | 'when asked'

export class MemoryDatabase implements Database {
  readonly isLost = false
  readonly #commits: Commits
  readonly #committed = new Map<string, Values>()
  #uncommitted: Array<() => void> = []

  constructor(commits: Commits = 'at once') {
    this.#commits = commits
  }

  table(name: string): Table {
    const values = this.#valuesOf(name)
    return {
      *entries({ after, before } = {}) {
        for (const [text, value] of [...values]) {
          const key = Buffer.from(text, 'latin1')
          const isIn = (!after || Buffer.compare(key, after) > 0) && (!before || Buffer.compare(key, before) < 0)
          if (isIn) yield { key, value }
        }
      },
      put: (key, value) => {
        const bytes = Uint8Array.from(value)
        this.#write(() => values.set(Buffer.from(key).toString('latin1'), bytes))
      },
      remove: key => this.#write(() => values.delete(Buffer.from(key).toString('latin1'))),
    }
  }

  rewriteFrom(): void {}

  async discardDamaged(): Promise<void> {}

  condition(): Condition {
    return { state: 'ok', reason: null, since: 0 }
  }

  onCondition(): void {}

  /** The writes that were asked for are committed later, not within the call. */
  async flushed(): Promise<void> {
    const writes = this.#uncommitted
    this.#uncommitted = []
    await Promise.resolve()
    for (const write of writes) write()
  }

  async close(): Promise<void> {
    await this.flushed()
  }

  /** A store with what was committed. */
  afterCrash(): MemoryDatabase {
    const database = new MemoryDatabase(this.#commits)
    for (const [name, values] of this.#committed) database.#committed.set(name, new Map(values))
    return database
  }

  #valuesOf(name: string): Values {
    const known = this.#committed.get(name)
    if (known) return known
    const values: Values = new Map()
    this.#committed.set(name, values)
    return values
  }

  #write(write: () => void): void {
    if (this.#commits === 'at once') write()
    else this.#uncommitted.push(write)
  }
}
