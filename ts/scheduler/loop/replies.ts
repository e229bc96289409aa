// The changes by a step's reply: computed tokens, filled blocks, sampled tokens, the ends of answers.

import { attendedBy } from '../../engine/step-costs.js'
import { BLOCK_TOKENS, type PlanRow, type RowResult, type StepReply } from '../../engine/types.js'
import { leftOut, viewBlocks } from '../../engine/view.js'
import type { Core } from '../core/core.js'
import type { Draft } from './planner.js'
import { countComputed } from '../sequence/prompt-split.js'
import type { PlannedSave, Saver } from '../moves/saver.js'
import type { Sequence } from '../sequence/sequence.js'

export interface ReplyListener {
  /** The engine ended the answer. */
  finished(sequence: Sequence, row: RowResult): void
}

export class ReplyReader {
  readonly #core: Core
  readonly #saver: Saver
  readonly #listener: ReplyListener

  constructor(core: Core, saver: Saver, listener: ReplyListener) {
    this.#core = core
    this.#saver = saver
    this.#listener = listener
  }

  read(reply: StepReply, draft: Draft, living: ReadonlyMap<number, Sequence>): void {
    this.#core.directory.pools.hbm.answered(reply.step)
    this.#learnCosts(reply, draft, living)
    reply.rows.forEach((row, i) => {
      const sequence = living.get(row.sequence)
      const planned = draft.plan.rows[i]
      if (!sequence || planned?.sequence !== row.sequence) return
      if (row.status === 'ok') this.#computed(sequence, row, planned, reply.stepMs)
      else if (row.status === 'void') sequence.leave('void')
      else if (row.status === 'late') this.#late(sequence, planned)
    })
    const rows = new Map(reply.rows.map(row => [row.sequence, row]))
    for (const save of draft.saves) this.#answerSave(save, rows.get(save.sequence))
    for (const row of reply.rows) this.#progressed(row, living.get(row.sequence))
  }

  #learnCosts(reply: StepReply, draft: Draft, living: ReadonlyMap<number, Sequence>): void {
    // A row that is late may have waited, or not have been computed at all; rows that are scored take longer than others.
    if (reply.rows.some(row => row.status === 'late' || row.scored !== undefined)) return
    let attended = 0
    let promptRows = 0
    let promptAttended = 0
    for (const { sequence: id, from, count } of draft.plan.rows) {
      const sequence = living.get(id)
      const seen = attendedBy(from - leftOut(sequence?.spec.view ?? null, from), count)
      attended += seen
      if (from >= (sequence?.promptLength ?? 0)) continue
      promptRows += count
      promptAttended += seen
    }
    this.#core.costs.stepTook({ rows: draft.rowCount, attended, promptRows, promptAttended, ms: reply.stepMs - reply.loadStallMs })
  }

  /** Key and slot of what these rows filled enter the directory: from now on others may use it. */
  #computed(sequence: Sequence, row: RowResult, { from, count }: PlanRow, stepMs: number): void {
    const now = this.#core.clock.now()
    sequence.trail.add(from < sequence.promptLength ? 'prefill' : 'decode', now - stepMs, now)
    const to = from + count
    if (row.scored !== undefined) sequence.turn.scored(from, row.scored)
    countComputed(this.#core.directory, sequence, from, to)
    sequence.progress.advance(from, to)
    sequence.serving.settle()
    for (const { index, key } of row.filled) {
      sequence.named(index, key)
      if (this.#core.tiers.keeps) this.#register(sequence, index)
    }
    if (row.token !== undefined) sequence.tokens.push(row.token)
  }

  /**
   * The mask of its constraint was not ready. Rows that a plan sent ahead had behind it are late too, and are not
   * to be planned before it.
   */
  #late(sequence: Sequence, { from, count }: PlanRow): void {
    const known = sequence.tokens.length
    if (from + count > known) return
    sequence.progress.planAgain(from, known)
    const { table } = sequence
    const { view } = sequence.spec
    // Behind an edge of the view, blocks that the row sees may have been given up already.
    const isThere = viewBlocks(view, from, Math.floor(from / BLOCK_TOKENS)).every(index => table.at(index) !== undefined)
    if (!isThere) sequence.leave('preempted')
  }

  #register(sequence: Sequence, index: number): void {
    const { directory, journal } = this.#core
    const entry = sequence.table.at(index)
    if (!entry?.own) return
    const tokens = sequence.tokens.copy(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS)
    const block = directory.obtain(sequence.keys[index] as string, sequence.parentKey(index), index, tokens, sequence.spec.view)
    if (sequence.turnUse) directory.use(block, sequence.turnUse)
    // Computed twice at the same time: the second one stays the sequence's own, and goes with it.
    if (block.copies.hbm.state !== 'absent') return
    entry.own.become(block, 'present')
    journal.filled(sequence.trail, block)
    directory.ref(block)
    sequence.table.share(index, block)
  }

  #answerSave(save: PlannedSave, row: RowResult | undefined): void {
    const filled = row?.status === 'ok' ? row.filled.find(({ index }) => index === save.index) : undefined
    this.#saver.answered(save, filled ? (this.#core.directory.blocks.get(filled.key) ?? null) : null)
  }

  #progressed(row: RowResult, sequence: Sequence | undefined): void {
    if (!sequence || row.status !== 'ok') return
    for (const { index } of row.filled) {
      const block = sequence.table.at(index)?.block
      if (block) this.#saver.want(block)
    }
    for (const part of row.parts) sequence.answer?.part(part)
    if (row.parts.length > 0 || row.token !== undefined) {
      sequence.times.answer(this.#core.clock.now())
      sequence.turn.delta(row.parts, row.token, row.logprob)
    }
    if (row.finish === undefined) return
    // A token was sampled that is not in the answer.
    if (row.token === undefined && row.finish !== 'none_allowed') sequence.endedByToken()
    this.#listener.finished(sequence, row)
  }
}
