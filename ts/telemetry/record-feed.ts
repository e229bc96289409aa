// New request records for their followers, in bounded batches. Each follower has its own place: one that reads slowly
// gets fewer and larger batches, and is told how many records a batch left out.

import type { Clock } from '../engine/clock.js'
import type { RequestBatch } from '../protocol/events.js'
import type { InferenceService } from '../service/types.js'
import { Feed } from './feed.js'

const INTERVAL_MS = 250
/** Records of a batch: more than 500 requests a second bring in an interval. */
const MOST_RECORDS = 250

export interface RecordFollower {
  /** It can take a batch now. */
  isReady(): boolean
  take(batch: RequestBatch): void
}

export class RecordFeed {
  readonly #records: InferenceService['records']
  readonly #ticks: Feed<void>

  constructor(clock: Clock, records: InferenceService['records']) {
    this.#records = records
    this.#ticks = new Feed(clock, INTERVAL_MS, () => {})
  }

  /** Sends the records that are added or changed from now on; the returned function ends that. */
  follow(follower: RecordFollower): () => void {
    let { mark } = this.#records
    return this.#ticks.listen(() => {
      if (mark === this.#records.mark || !follower.isReady()) return
      const { records, skipped, mark: reached } = this.#records.changedSince(mark, MOST_RECORDS)
      mark = reached
      follower.take({ records, skipped })
    })
  }

  close(): void {
    this.#ticks.close()
  }
}
