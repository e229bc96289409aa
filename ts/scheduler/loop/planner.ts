// The work of the next step: decode rows first, then chunks of prefill, within the row budget and the time that the pace
// leaves. Where the view of a sequence moves on, its rows are cut: all rows of one step see the same blocks.

import { BLOCK_TOKENS, type PlanRow, type PlanSave, type StepPlan, type TableUpdate } from '../../engine/types.js'
import { nextEdge } from '../../engine/view.js'
import type { Core } from '../core/core.js'
import type { Pacer } from './pacer.js'
import type { Room } from '../moves/room.js'
import type { PlannedSave, Saver } from '../moves/saver.js'
import type { Sequence } from '../sequence/sequence.js'

/** A plan, and what its reply is judged by. */
export interface Draft {
  readonly plan: StepPlan
  readonly saves: readonly PlannedSave[]
  readonly rowCount: number
}

export class Planner {
  readonly #core: Core
  readonly #room: Room
  readonly #saver: Saver
  readonly #pacer: Pacer
  #nextStep = 0

  constructor(core: Core, room: Room, saver: Saver, pacer: Pacer) {
    this.#core = core
    this.#room = room
    this.#saver = saver
    this.#pacer = pacer
  }

  /**
   * The next plan over `running`, oldest first; null: nothing can run. `starved` is told of a sequence that found no hbm
   * slot for its next row.
   */
  draft(running: readonly Sequence[], starved: (sequence: Sequence) => void): Draft | null {
    const draft = new DraftBuilder(this.#nextStep)
    const pace = this.#pacer.begin()
    const ready = running.filter(sequence => sequence.leaving === null && !sequence.loading.hasFailed && sequence.plannableRows > 0)
    const decode = ready.filter(sequence => sequence.plannableRows === 1)
    const prefill = ready.filter(sequence => sequence.plannableRows > 1)
    for (const sequence of [...decode, ...pace.order(prefill)]) {
      const budget = this.#core.options.maxBatchTokens - draft.rowCount
      if (budget === 0) break
      if (sequence.leaving !== null) continue
      const { planned } = sequence.progress
      const toEdge = nextEdge(sequence.spec.view, planned) - planned
      const wished = Math.min(sequence.plannableRows, budget, toEdge)
      const granted = wished === 1 ? 1 : pace.rowsFor(sequence, wished)
      sequence.standing.standBack(granted === 0)
      if (granted === 0) continue
      const count = this.#findSlots(sequence, granted)
      if (count === 0) {
        starved(sequence)
        continue
      }
      pace.planned(sequence, count)
      this.#addRows(draft, sequence, count)
    }
    if (draft.rowCount === 0) return null
    this.#nextStep++
    return draft.finish()
  }

  /** Gives the sequence slots for its next `count` rows; answers for how many there are slots. */
  #findSlots(sequence: Sequence, count: number): number {
    const from = sequence.progress.planned
    for (let index = Math.floor(from / BLOCK_TOKENS); index * BLOCK_TOKENS < from + count; index++) {
      if (sequence.table.at(index)) continue
      const own = this.#room.take('hbm')
      if (!own) return Math.max(0, index * BLOCK_TOKENS - from)
      sequence.table.own(index, own)
    }
    return count
  }

  #addRows(draft: DraftBuilder, sequence: Sequence, count: number): void {
    const { progress } = sequence
    const from = progress.planned
    draft.announce(sequence, Math.ceil((from + count) / BLOCK_TOKENS))
    const sample = from + count === progress.expectedLength
    draft.addRow({ sequence: sequence.id, from, count, sample })
    // A row that turns out late is computed again, and its block must not be on its way to dram then: such blocks are saved
    // in the background.
    const mayBeLate = sample && sequence.spec.constraint !== undefined
    if (this.#core.tiers.saves && !mayBeLate) this.#addSaves(draft, sequence, from, from + count)
    progress.plan(draft.step, count, sample)
  }

  /** The blocks that these rows fill are saved beside the step. */
  #addSaves(draft: DraftBuilder, sequence: Sequence, from: number, to: number): void {
    for (let index = Math.floor(from / BLOCK_TOKENS); (index + 1) * BLOCK_TOKENS <= to; index++) {
      const entry = sequence.table.at(index)
      const planned = entry && this.#saver.plan(sequence.id, index, entry.slot)
      if (planned) draft.addSave(planned.save, planned.record)
    }
  }
}

class DraftBuilder {
  rowCount = 0
  readonly #resets: number[] = []
  readonly #tables: TableUpdate[] = []
  readonly #rows: PlanRow[] = []
  readonly #saves: PlanSave[] = []
  readonly #records: PlannedSave[] = []

  constructor(readonly step: number) {}

  /**
   * The news of the first `blocks` entries of the sequence's block table for the engine. No more: what lies behind
   * the rows may still change, and a step waits for the loads of every slot it knows.
   */
  announce(sequence: Sequence, blocks: number): void {
    const { id, table } = sequence
    if (!table.hasNews(blocks)) return
    table.tell(blocks, {
      reset: () => this.#resets.push(id),
      entry: (index, slot) => this.#tables.push({ sequence: id, index, slot }),
    })
  }

  addRow(row: PlanRow): void {
    this.#rows.push(row)
    this.rowCount += row.count
  }

  addSave(save: PlanSave, record: PlannedSave): void {
    this.#saves.push(save)
    this.#records.push(record)
  }

  finish(): Draft {
    const { step, rowCount } = this
    const plan = { step, resets: this.#resets, tables: this.#tables, rows: this.#rows, saves: this.#saves }
    return { plan, saves: this.#records, rowCount }
  }
}
