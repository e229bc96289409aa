// The scheduler's parts over an engine whose transfers end when a test says so.

import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { BLOCK_TOKENS, type TierName, type Transfer } from '../../ts/engine/types.js'
import type { Block } from '../../ts/directory/block.js'
import { createCore, type Core } from '../../ts/scheduler/core/core.js'
import { serviceOptions, type ServiceOptions } from '../../ts/scheduler/core/options.js'

const ROOT = 'r'.repeat(32)

class HandDrivenEngine extends SimulatedEngine {
  /** Not ended yet, in the order in which they were sent. */
  readonly sent: Transfer[] = []

  override transfer(transfers: readonly Transfer[]): void {
    this.sent.push(...transfers)
  }
}

export class HandDriven {
  readonly core: Core
  readonly #engine: HandDrivenEngine

  constructor(slots: Readonly<Record<TierName, number>>, given: Partial<ServiceOptions> = {}, dramStagingOnly = false) {
    const clock = new VirtualClock()
    this.#engine = new HandDrivenEngine({ clock, slots, dramStagingOnly })
    this.core = createCore(this.#engine, serviceOptions(this.#engine.info, { clock, ...given }))
    this.#engine.onEvents = events => {
      for (const event of events) if (event.kind === 'transfer') this.core.desk.ended(event)
    }
  }

  /** Kinds of what is under way. */
  get underWay(): readonly Transfer['kind'][] {
    this.core.desk.flush()
    return this.#engine.sent.map(({ kind }) => kind)
  }

  /** The oldest transfer of this kind ends. */
  end(kind: Transfer['kind'], error?: string): void {
    this.core.desk.flush()
    const at = this.#engine.sent.findIndex(transfer => transfer.kind === kind)
    const [transfer] = at < 0 ? [] : this.#engine.sent.splice(at, 1)
    if (!transfer) throw new Error(`no ${kind} is under way`)
    this.#engine.onEvents([{ kind: 'transfer', id: transfer.id, bytes: 1, ms: 1, ...(error === undefined ? {} : { error }) }])
  }

  /** A full block that is in this tier. */
  block(name: string, tier: TierName): Block {
    const { directory } = this.core
    const block = directory.obtain(name.padEnd(32), ROOT, 0, Uint32Array.from({ length: BLOCK_TOKENS }, (_, at) => at + name.charCodeAt(0)))
    directory.reserve(tier)?.become(block, 'present')
    return block
  }
}
