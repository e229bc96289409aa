// The simulated engine: the Engine contract without a model. Its tokens depend on what really lies in the slots that the
// plans name, and it throws a ContractViolation where a plan or transfer breaks the step protocol.

import {
  BLOCK_TOKENS,
  type Engine,
  type EngineEvent,
  type EngineFailed,
  type EngineInfo,
  type EngineStats,
  type MemoryTierName,
  type PlanRow,
  type RowResult,
  type SequenceSpec,
  type StepPlan,
  type Transfer,
} from '../types.js'
import { EngineError } from '../../protocol/errors.js'
import type { AnswerEnd } from './answer.js'
import { bannedNow } from './bans.js'
import { computeRows, type SlotContent } from './content.js'
import { ContractViolation } from './hazards.js'
import { committedAtStart, TierMemory } from './memory.js'
import { simulatedOptions, type SimulatedOptions } from './options.js'
import { logprobOf, sampleToken, scoresOf } from './sampler.js'
import { SimulatedSequence } from './sequence.js'
import { blockSizes } from './slots.js'
import { SimulatedText } from './text.js'
import { failureOf, Transfers } from './transfers.js'
import { TURN_END } from './vocabulary.js'
import { attendedBy, stepMs } from '../step-costs.js'
import { leftOut, nextEdge } from '../view.js'

type Copy = Extract<Transfer, { kind: 'copy' }>
/** In order on the compute stream. */
type Work = { readonly copy: Copy; readonly ends: ReadonlyArray<() => void> } | { readonly plan: StepPlan; readonly ends: ReadonlyArray<() => void> }

const COPY_MS = 0.02

export class SimulatedEngine implements Engine {
  readonly info: EngineInfo
  readonly text: SimulatedText
  #listener: ((events: readonly EngineEvent[]) => void) | null = null
  readonly #options: SimulatedOptions
  readonly #transfers: Transfers
  readonly #memory: TierMemory
  readonly #sequences = new Map<number, SimulatedSequence>()
  readonly #work: Work[] = []
  #isComputing = false
  #unanswered = 0
  #lastStep = -1
  #isClosed = false
  #failure: EngineFailed | null = null
  #onIdle: Array<() => void> = []
  readonly #totals = { steps: 0, computeMs: 0, loadStallMs: 0, stalledLayers: 0, masks: 0, lateRows: 0 }

  constructor(given: Partial<SimulatedOptions> = {}) {
    this.#options = simulatedOptions(given)
    this.info = infoOf(this.#options)
    this.text = new SimulatedText(this.info.fingerprint, this.#options.recorded !== null)
    this.#memory = new TierMemory(this.#options.memory, this.info.slots, this.#options.clock, told => this.#emit(told))
    this.#transfers = new Transfers(this.#options, this.info.blockBytes, done => this.#emit(done))
  }

  /** The dram slots, for a tier beside the engine. */
  get host(): Pick<Transfers, 'readHost' | 'writeHost'> {
    return this.#transfers
  }

  get onEvents(): (events: readonly EngineEvent[]) => void {
    return this.#listener ?? (() => {})
  }

  set onEvents(listener: (events: readonly EngineEvent[]) => void) {
    const failure = this.#listener === null ? this.#failure : null
    this.#listener = listener
    if (failure) queueMicrotask(() => listener([failure]))
  }

  /**
   * Ends the engine as a lost device does: it says so once, reports nothing of what is under way, and every later call
   * throws.
   */
  fail(code: string, message: string): void {
    if (this.#failure) return
    this.#failure = { kind: 'failed', code, message }
    this.#listener?.([this.#failure])
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  addSequence(spec: SequenceSpec): void {
    this.#checkAlive()
    if (this.#sequences.has(spec.sequence)) throw new ContractViolation(`sequence ${spec.sequence} is there already`)
    this.#sequences.set(spec.sequence, new SimulatedSequence(spec, this.text))
  }

  dropSequence(sequence: number): void {
    this.#checkAlive()
    if (this.#sequenceOf(sequence).plans > 0) throw new ContractViolation(`sequence ${sequence} is dropped while a step names it`)
    this.#sequences.delete(sequence)
  }

  submit(plan: StepPlan): void {
    this.#checkAlive()
    if (this.#isClosed) throw new ContractViolation('the engine is closed')
    if (this.#unanswered === 2) throw new ContractViolation('a third plan while two are unanswered')
    if (plan.step <= this.#lastStep) throw new ContractViolation(`step ${plan.step} after step ${this.#lastStep}`)
    const rows = plan.rows.reduce((sum, row) => sum + row.count, 0)
    if (rows === 0 || rows > this.info.maxBatchTokens) throw new ContractViolation(`a plan of ${rows} rows`)
    this.#lastStep = plan.step
    this.#unanswered++
    for (const sequence of plan.resets) this.#sequenceOf(sequence).planReset()
    for (const { sequence, index, slot } of plan.tables) {
      this.#memory.check('hbm', slot)
      this.#sequenceOf(sequence).plannedTable[index] = slot
    }
    for (const { dramSlot } of plan.saves) this.#memory.check('dram', dramSlot)
    const ends = plan.rows.map(row => this.#announce(row))
    this.#work.push({ plan, ends })
    this.#computeNext()
  }

  transfer(transfers: readonly Transfer[]): void {
    this.#checkAlive()
    if (this.#isClosed) throw new ContractViolation('the engine is closed')
    for (const transfer of transfers) {
      this.#memory.checkNamed(transfer)
      if (transfer.kind !== 'copy') {
        this.#transfers.start(transfer)
        continue
      }
      const use = this.#transfers.hbmUse
      this.#work.push({ copy: transfer, ends: [use.read(transfer.fromHbmSlot, 'copy'), use.write(transfer.toHbmSlot, 'copy')] })
    }
    this.#computeNext()
  }

  grow(tier: MemoryTierName, slots: number): void {
    this.#checkAlive()
    this.#memory.grow(tier, slots)
  }

  stats(): EngineStats {
    const { load, save, read, write } = this.#transfers.streams
    return {
      ...this.#totals,
      loadBytes: load.bytes,
      loadMs: load.ms,
      saveBytes: save.bytes,
      saveMs: save.ms,
      readBytes: read.bytes,
      readMs: read.ms,
      writeBytes: write.bytes,
      writeMs: write.ms,
      damagedReads: this.#transfers.damagedReads,
      dramChecked: this.#transfers.dramChecked,
      dramDamaged: this.#transfers.dramDamaged,
      readQueueDepth: read.depth,
      writeQueueDepth: write.depth,
      saveQueueDepth: save.depth,
      loadQueueDepth: load.depth,
      maskMs: 0,
      grammarsCompiled: this.text.compiled,
      grammarsCached: 0,
      grammarsRefused: this.text.refused,
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    while (!this.#isIdle) await new Promise<void>(resolve => this.#onIdle.push(resolve))
  }

  #checkAlive(): void {
    if (this.#failure) throw new EngineError('engine_closed', 'the engine is closed')
  }

  get #isIdle(): boolean {
    return this.#failure !== null || this.#work.length === 0 && !this.#isComputing && this.#transfers.isIdle
  }

  #sequenceOf(id: number): SimulatedSequence {
    const sequence = this.#sequences.get(id)
    if (!sequence) throw new ContractViolation(`there is no sequence ${id}`)
    return sequence
  }

  /** From now until the reply the step names the slots of these rows: it reads some and writes others. */
  #announce(row: PlanRow): () => void {
    const sequence = this.#sequenceOf(row.sequence)
    const use = this.#transfers.hbmUse
    if (row.from + row.count > nextEdge(sequence.spec.view, row.from)) throw new ContractViolation(`sequence ${row.sequence}: rows across an edge of its view`)
    sequence.plans++
    const ends: Array<() => void> = []
    for (const index of sequence.blocksSeenBy(row)) {
      const slot = sequence.plannedTable[index]
      if (slot === undefined) throw new ContractViolation(`sequence ${row.sequence} has no slot for block ${index}`)
      ends.push(use.name(slot))
    }
    return () => {
      sequence.plans--
      for (const end of ends) end()
    }
  }

  #computeNext(): void {
    const work = this.#work[0]
    if (this.#isComputing || !work || this.#failure) return
    this.#isComputing = true
    const { clock } = this.#options
    const { ms, stallMs } = 'copy' in work ? { ms: COPY_MS, stallMs: 0 } : this.#stepTime(work.plan)
    clock.after(ms + stallMs, () => {
      this.#work.shift()
      this.#isComputing = false
      if ('copy' in work) this.#endCopy(work.copy, work.ends)
      else this.#endStep(work.plan, work.ends, ms + stallMs, stallMs)
      this.#computeNext()
    })
  }

  /** Layer l waits for its own load: at worst the last layer is computed after the last load has ended. */
  #stepTime(plan: StepPlan): { ms: number; stallMs: number } {
    const { profile, clock } = this.#options
    let rows = 0
    let history = 0
    let attended = 0
    let lastLoad = 0
    for (const row of plan.rows) {
      const sequence = this.#sequenceOf(row.sequence)
      rows += row.count
      const before = row.from - leftOut(sequence.spec.view, row.from)
      history += before
      attended += attendedBy(before, row.count)
      if (this.#transfers.loadEnds.size === 0) continue
      for (const index of sequence.blocksSeenBy(row)) {
        const slot = sequence.plannedTable[index]
        if (slot !== undefined) lastLoad = Math.max(lastLoad, this.#transfers.loadEnds.get(slot) ?? 0)
      }
    }
    const ms = stepMs(profile, { rows, history, attended })
    const end = Math.max(clock.now() + ms, lastLoad + ms / profile.layers)
    return { ms, stallMs: lastLoad === 0 ? 0 : end - clock.now() - ms }
  }

  #endCopy(copy: Copy, ends: ReadonlyArray<() => void>): void {
    for (const end of ends) end()
    const [from, to] = [this.#transfers.hbm[copy.fromHbmSlot], this.#transfers.hbm[copy.toHbmSlot]]
    const error = this.#options.faults.fails?.(copy)
    if (error === undefined && from && to) to.copyRows(from.rows, copy.valid)
    // A slot that nothing was copied into is as void as one that nothing was loaded into.
    if (error === undefined) this.#transfers.failedLoads.delete(copy.toHbmSlot)
    else this.#transfers.failedLoads.add(copy.toHbmSlot)
    this.#emit({ kind: 'transfer', id: copy.id, bytes: this.info.blockBytes, ms: COPY_MS, ...failureOf(error) })
  }

  #endStep(plan: StepPlan, ends: ReadonlyArray<() => void>, stepMs: number, loadStallMs: number): void {
    for (const id of plan.resets) this.#sequenceOf(id).reset()
    for (const { sequence, index, slot } of plan.tables) this.#sequenceOf(sequence).table[index] = slot
    const rows = plan.rows.map(row => this.#compute(row))
    for (const end of ends) end()
    this.#unanswered--
    const stalledLayers = loadStallMs > 0 ? 1 : 0
    this.#totals.steps++
    this.#totals.computeMs += stepMs - loadStallMs
    this.#totals.loadStallMs += loadStallMs
    this.#totals.stalledLayers += stalledLayers
    this.#startSaves(plan, rows)
    this.#emit({ kind: 'step', step: plan.step, rows, stepMs, loadStallMs, stalledLayers })
  }

  #startSaves(plan: StepPlan, rows: readonly RowResult[]): void {
    for (const save of plan.saves) {
      const isComputed = rows.some(row => row.sequence === save.sequence && row.status === 'ok')
      const slot = this.#sequenceOf(save.sequence).table[save.index]
      if (isComputed && slot !== undefined) this.#transfers.save(save, slot, save.dramSlot, save.valid)
      else this.#options.clock.after(0, () => this.#emit({ kind: 'transfer', id: save.id, bytes: 0, ms: 0, error: 'not_computed' }))
    }
  }

  #compute(row: PlanRow): RowResult {
    const { sequence: id, from, count, sample } = row
    const sequence = this.#sequenceOf(id)
    const to = from + count
    const nothing = { sequence: id, parts: [], filled: [] }
    if (sequence.isFinished) return { ...nothing, status: 'noop' }
    const hidden = leftOut(sequence.spec.view, from)
    const slots = sequence.blocksSeenBy(row).map(index => sequence.table[index])
    // A slot that these rows fill from its first row on no longer holds what failed to load.
    for (const slot of slots.slice(Math.ceil((from - hidden) / BLOCK_TOKENS))) this.#transfers.failedLoads.delete(slot as number)
    sequence.isVoid ||= slots.some(slot => this.#transfers.failedLoads.has(slot as number))
    if (sequence.isVoid) return { ...nothing, status: 'void' }
    if (sequence.isLate && to > sequence.length) return this.#late(sequence, nothing)
    if (to > sequence.length) throw new ContractViolation(`sequence ${id}: row ${to - 1} of ${sequence.length} known tokens`)
    if (sample !== (to === sequence.length)) throw new ContractViolation(`sequence ${id}: sample is ${sample} at ${to} of ${sequence.length}`)
    if (sample && sequence.constraint && this.#options.faults.isLate?.(sequence.spec, to)) return this.#late(sequence, nothing)
    sequence.isLate = false
    const contents = slots.map(slot => this.#transfers.hbm[slot as number] as SlotContent)
    const state = computeRows(contents, from - hidden, to - hidden, position => sequence.tokens[position + hidden] as number)
    const filled = sequence.fill(from, to)
    const scored = scoresOf(sequence.spec, from, to)
    const computed = { ...nothing, status: 'ok', filled, ...(scored.length > 0 ? { scored } : {}) } as const
    return sample ? { ...computed, ...this.#sample(sequence, state, to) } : computed
  }

  #late(sequence: SimulatedSequence, nothing: Omit<RowResult, 'status'>): RowResult {
    sequence.isLate = true
    this.#totals.lateRows++
    return { ...nothing, status: 'late' }
  }

  #sample(sequence: SimulatedSequence, state: number, computed: number): Pick<RowResult, 'parts'> & Partial<RowResult> {
    const { sampling, ignoreEos } = sequence.spec
    const allowed = sequence.constraint?.allowed(sequence.answered)?.filter(token => !ignoreEos || token !== TURN_END) ?? null
    const banned = bannedNow(sequence.spec, () => sequence.answered)
    if (sequence.constraint) this.#totals.masks++
    const recorded = allowed?.length === 0 ? undefined : this.#options.recorded?.(sequence.spec, computed)
    const isTaken = recorded !== undefined && !banned.has(recorded)
    const token = isTaken ? recorded : sampleToken(state, sampling, computed, { ignoreEos, banned, allowed })
    if (token === null) return { parts: [], ...this.#finish(sequence, sequence.answer.endHere('none_allowed'), computed) }
    const { parts, isCounted, end } = sequence.answer.add(token)
    if (isCounted) sequence.tokens.push(token)
    const logprob = sampling.logprobs === null || !isCounted ? {} : { logprob: logprobOf(token, sampling.logprobs) }
    const sampled = isCounted ? { token, ...logprob } : {}
    if (!end) return { parts, ...sampled }
    return { parts, ...sampled, ...this.#finish(sequence, end, computed) }
  }

  #finish(sequence: SimulatedSequence, end: AnswerEnd, computed: number): Partial<RowResult> {
    sequence.isFinished = true
    return { ...end, computedTokens: computed, tailKey: sequence.tailKey(computed) }
  }

  #emit(event: EngineEvent): void {
    if (this.#failure) return
    this.onEvents([event])
    if (!this.#isIdle) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }
}

function infoOf(options: SimulatedOptions): EngineInfo {
  const { profile, slots, disk, vocabSize } = options
  const { blockBytes, hostSlotBytes } = blockSizes(profile)
  return {
    kind: 'simulated',
    device: profile.device,
    modelName: 'simulated',
    layers: profile.layers,
    vocabSize,
    modelContext: options.modelContext,
    sliceBytes: blockBytes / profile.layers,
    blockBytes,
    hostSlotBytes,
    slots,
    dramStagingOnly: options.dramStagingOnly,
    committed: committedAtStart(slots, options.memory),
    ioEngine: slots.ssd > 0 ? 'simulated' : 'none',
    maxBatchTokens: options.maxBatchTokens,
    fingerprint: Buffer.from(`simulated ${disk.id}`).toString('hex'),
    textFingerprint: Buffer.from('simulated chatml').toString('hex'),
    endTokens: [TURN_END],
    defaults: {},
    hasChatTemplate: true,
    outputFormat: 'simulated',
  }
}
