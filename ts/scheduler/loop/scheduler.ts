// The step loop: admit, join, plan one step ahead, read the reply.

import type { EngineEvent, RowResult, StepReply } from '../../engine/types.js'
import { AttentionStoreError } from '../../protocol/errors.js'
import { LOWER_TIERS } from '../../protocol/tiers.js'
import type { BlockStore } from '../../directory/store.js'
import { Samples } from '../accounts/counters.js'
import type { Core } from '../core/core.js'
import { LookAhead } from '../costs/look-ahead.js'
import { Traffic } from '../costs/traffic.js'
import { Moves } from '../moves/moves.js'
import type { LeaveReason, Sequence } from '../sequence/sequence.js'
import { Admission } from './admission.js'
import { Followers } from './followers.js'
import { Joiner } from './joiner.js'
import { Pacer } from './pacer.js'
import { Planner, type Draft } from './planner.js'
import { WaitingQueue } from './queue.js'
import { Releaser, type ReleaseListener } from './release.js'
import { ReplyReader } from './replies.js'
import { Roster } from './roster.js'

/**
 * Slots left free when a request is admitted beside others. More would keep the batch small for growth that mostly does
 * not come; a sequence that is preempted because of it loses little, since its blocks are saved.
 */
const GROWTH_SLOTS = 1

export interface SchedulerListener extends ReleaseListener {
  /** The answer is complete, and the sequence's blocks are released. */
  finished(sequence: Sequence, row: RowResult): void
  /** The engine can do no more, refused a call, or a round broke off, which `cause` explains. Maybe more than once. */
  failed(code: string, message: string, cause?: unknown): void
  /** There is no memory for the sequence's blocks, and none will become free. It is to be cancelled. */
  outOfMemory(sequence: Sequence): void
  /** Something ended: a step, a transfer, a sequence. */
  settled(): void
}

export class Scheduler {
  readonly waiting = new WaitingQueue()
  readonly moves: Moves
  readonly admission: Admission
  /** Milliseconds of this code a step. */
  readonly stepCost = new Samples(1024)
  readonly #core: Core
  readonly #listener: SchedulerListener
  readonly #roster: Roster
  readonly #lookAhead = new LookAhead()
  readonly #traffic: Traffic
  readonly #followers: Followers
  readonly #joiner: Joiner
  readonly #pacer: Pacer
  readonly #planner: Planner
  readonly #replies: ReplyReader
  readonly #releaser: Releaser
  /** Submitted and not answered, by step. */
  readonly #drafts = new Map<number, Draft>()
  #isPumping = false
  #isStopped = false

  constructor(core: Core, store: BlockStore | null, listener: SchedulerListener) {
    this.#core = core
    this.#listener = listener
    this.#roster = new Roster(core.engine)
    this.#traffic = new Traffic(core.clock, () => this.#present)
    const moves = new Moves(core, store, this.#traffic, this.#lookAhead)
    this.moves = moves
    this.#followers = new Followers(core, moves, () => this.active)
    this.admission = new Admission(this.waiting, moves, this.#followers, core.clock)
    this.#joiner = new Joiner(core)
    this.#pacer = new Pacer(this.#traffic, core.costs, () => this.waiting.length)
    this.#planner = new Planner(core, moves.room, moves.saver, this.#pacer)
    this.#replies = new ReplyReader(core, moves.saver, { finished: (sequence, row) => this.#finish(sequence, row) })
    this.#releaser = new Releaser(core, moves.saver, listener)
    core.events.on('frontWaited', () => this.pump())
    core.events.on('keyedNews', handle => this.#onKeyedNews(handle))
    core.events.on('followerWaited', () => this.pump())
    core.events.on('engineRefused', thrown => this.#broke(thrown))
    core.events.on('brokeOff', thrown => this.#broke(thrown))
    core.engine.onEvents = events => this.#guard(() => this.#onEvents(events))
  }

  get active(): readonly Sequence[] {
    return this.#roster.active
  }

  /** How many requests wait, prepare or run. */
  get #present(): number {
    return this.waiting.length + this.active.length
  }

  /** Nothing waits, runs or moves. */
  get isIdle(): boolean {
    const hasWork = this.#present > 0 || this.#drafts.size > 0
    return !hasWork && this.moves.isIdle
  }

  /** A step or a transfer is under way: something will be reported. */
  get isMoving(): boolean {
    return this.#drafts.size > 0 || this.moves.inFlight > 0 || this.#core.growth.isGrowing
  }

  /** Nothing is planned or read any more. */
  stop(): void {
    this.#isStopped = true
    this.moves.close()
    this.#followers.close()
  }

  /** The sequences of one request: they arrive together. */
  enqueue(sequences: readonly Sequence[]): void {
    this.#guard(() => {
      this.#traffic.arrives()
      for (const sequence of sequences) {
        this.moves.noteWants(sequence)
        this.moves.seek(sequence)
        this.#lookAhead.queued(sequence.wants.blocks.length)
        this.waiting.add(sequence)
      }
      this.pump()
    })
  }

  /** The client gave the answer up: no plan after the next unsent one names the sequence. */
  cancel(sequence: Sequence): void {
    if (sequence.state === 'ended') return
    this.#guard(() => {
      if (sequence.state === 'waiting') {
        this.waiting.remove(sequence)
        this.#followers.forget(sequence)
        sequence.unwant()
        this.#end(sequence)
      } else {
        sequence.leave('cancelled')
      }
      this.pump()
    })
  }

  /** Everything that can be decided now, is. */
  pump(): void {
    if (this.#isPumping || this.#isStopped) return
    this.#isPumping = true
    this.#guard(() => {
      this.#decide()
      if (this.#isStuck) this.#decideAtLast()
    })
    this.#isPumping = false
  }

  /** A round that breaks off leaves books that nothing may rely on, whether the engine refused a call or we have a bug. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      this.#broke(thrown)
    }
  }

  /** The message of an error that is not ours might hold a user's text. */
  #broke(thrown: unknown): void {
    if (thrown instanceof AttentionStoreError) return this.#listener.failed(thrown.code, thrown.message, thrown)
    const name = thrown instanceof Error ? thrown.name : typeof thrown
    this.#listener.failed('internal', `a round of the scheduler broke off with a ${name}`, thrown)
  }

  #decide(): void {
    this.moves.room.protectUpTo(this.#windowEnd)
    do {
      const isPreempted = this.#settleLeavers()
      this.moves.pumpDown()
      if (!isPreempted) this.#admit()
      for (const sequence of this.active) if (sequence.leaving === null && !sequence.loading.hasFailed) this.moves.advanceFront(sequence)
      this.#join()
      this.moves.pumpUp(this.waiting)
    } while (this.#submitNext())
    this.#core.desk.flush()
    this.#core.growth.keepAhead()
  }

  /** There is work, and nothing will ever be reported: too much is kept for requests that wait. */
  get #isStuck(): boolean {
    return !this.isMoving && this.#present > this.moves.holding
  }

  #decideAtLast(): void {
    for (const { standing } of this.waiting) standing.retry()
    this.moves.room.asLastResort(() => this.#decide())
    const { hbm } = this.#core.directory.pools
    if (this.#isStuck && hbm.isShort) this.#giveUpOne()
  }

  /** A tier for which there is no memory holds too little for what runs and waits. The youngest gives way for good. */
  #giveUpOne(): void {
    const last = this.active.at(-1) ?? this.waiting.at(0)
    if (last) this.#listener.outOfMemory(last)
  }

  /** The eviction window: requests whose conversations fit the tiers below hbm together. */
  get #windowEnd(): number {
    const { tiers, directory } = this.#core
    const slots = LOWER_TIERS.reduce((sum, tier) => sum + (tiers[tier] ? directory.pools[tier].total : 0), 0)
    return this.waiting.at(this.#lookAhead.length(slots) - 1)?.ticket ?? Infinity
  }

  /** Fails everything that waits or runs. */
  failAll(error: AttentionStoreError): void {
    this.stop()
    for (const sequence of [...this.waiting, ...this.active]) sequence.turn.fail(error)
  }

  #onEvents(events: readonly EngineEvent[]): void {
    const start = performance.now()
    let steps = 0
    for (const event of events) {
      // Also of a scheduler that has stopped: the process must not end as if all were well.
      if (event.kind === 'failed') return this.#listener.failed(event.code, event.message)
      if (this.#isStopped) continue
      if (event.kind === 'transfer') this.#core.desk.ended(event)
      else if (event.kind === 'memory') this.#core.growth.told(event)
      else steps += this.#readReply(event)
    }
    if (this.#isStopped) return
    this.pump()
    if (steps > 0) this.stepCost.add((performance.now() - start) / steps)
    this.#listener.settled()
  }

  #onKeyedNews(handle: () => void): void {
    if (this.#isStopped) return
    this.#guard(handle)
    this.pump()
    this.#listener.settled()
  }

  #readReply(reply: StepReply): number {
    const draft = this.#drafts.get(reply.step)
    if (!draft) return 0
    this.#drafts.delete(reply.step)
    this.#roster.answered(reply.step)
    this.#replies.read(reply, draft, this.#roster.living)
    return 1
  }

  /** One plan ahead: at most one is unanswered when the next is sent; none when that is long. */
  #submitNext(): boolean {
    const { options, desk, engine } = this.#core
    if (this.#drafts.size >= (options.overlap ? 2 : 1)) return false
    if (options.syncSave && this.moves.saver.inFlight > 0) return false
    let hasPreempted = false
    const running = this.active.filter(sequence => sequence.state === 'running')
    if (this.#drafts.size > 0 && this.#pacer.isHeavy(running)) return false
    for (const sequence of running) this.#releaser.leaveView(sequence)
    const draft = this.#planner.draft(running, starved => (hasPreempted = this.#makeRoomFor(starved) || hasPreempted))
    if (!draft) return hasPreempted
    desk.flush()
    this.#drafts.set(draft.plan.step, draft)
    engine.submit(draft.plan)
    return true
  }

  /** The youngest goes back to the queue, if anything is younger; one at a time, and only if no slot is on its way. */
  #makeRoomFor(starved: Sequence): boolean {
    const youngest = this.active.at(-1)
    if (!youngest || youngest === starved || this.active.some(sequence => sequence.leaving !== null)) return false
    if (this.moves.room.isHbmOnItsWay) return false
    youngest.leave('preempted')
    this.#core.counters.preemptions++
    return true
  }

  /** Sequences that no unanswered step names any more leave. True: one of them was preempted just now. */
  #settleLeavers(): boolean {
    let isPreempted = false
    for (const sequence of [...this.active]) {
      if (sequence.loading.hasFailed) sequence.leave('void')
      const reason = sequence.leaving
      if (reason === null || this.#roster.isNamed(sequence)) continue
      this.#leave(sequence, reason)
      isPreempted ||= reason === 'preempted'
    }
    return isPreempted
  }

  #leave(sequence: Sequence, reason: LeaveReason): void {
    this.#releaser.release(sequence)
    this.#roster.deactivate(sequence)
    if (reason === 'cancelled') return this.#end(sequence)
    sequence.wait(this.#core.clock.now())
    this.moves.noteWants(sequence)
    this.waiting.add(sequence)
  }

  /** Takes requests from the queue as long as there is room. Requests whose blocks are being fetched or loaded hold up no other. */
  #admit(): void {
    while (this.active.length < this.#core.options.maxRunning) {
      const isIdle = this.active.length === 0
      const next = this.admission.next(isIdle, sequence => this.#acquire(sequence, isIdle ? 0 : GROWTH_SLOTS))
      if (!next) return
      this.admission.admit(next)
      this.#prepare(next)
    }
  }

  /** false: there was no room, and will be none before the directory changes. */
  #acquire(sequence: Sequence, reserve: number): boolean {
    const { directory } = this.#core
    if (sequence.standing.wasRefused(directory.version)) return false
    if (this.moves.acquire(sequence, reserve)) return true
    sequence.standing.refuse(directory.version)
    return false
  }

  #prepare(sequence: Sequence): void {
    const now = this.#core.clock.now()
    sequence.prepare(now)
    sequence.trail.add('queued', sequence.times.queued, now)
    this.#roster.activate(sequence)
    this.#followers.rosterChanged()
  }

  #join(): void {
    for (const sequence of this.active) {
      if (sequence.state !== 'preparing' || sequence.leaving !== null) continue
      if (this.#joiner.mayRun(sequence, this.active, this.#drafts.size > 0)) this.#start(sequence)
    }
  }

  #start(sequence: Sequence): void {
    sequence.run(this.#core.clock.now())
    this.#roster.add(sequence)
  }

  /** A turn that was cancelled while its last step ran has been accounted for already. */
  #finish(sequence: Sequence, row: RowResult): void {
    if (sequence.state === 'ended') return
    const isCancelled = sequence.leaving === 'cancelled'
    sequence.progress.finish(row.computedTokens, row.tailKey ?? null)
    this.#releaser.release(sequence)
    this.#roster.deactivate(sequence)
    this.#end(sequence)
    if (!isCancelled) this.#listener.finished(sequence, row)
  }

  #end(sequence: Sequence): void {
    this.#roster.end(sequence)
    this.#traffic.ended()
  }
}
