// News that parts of the scheduler and the service tell without knowing their listeners.

import type { Block } from '../../directory/block.js'
import type { ExtentGivenUp, Transfer } from '../../engine/types.js'

/** One event a line, and what it carries. */
export interface SchedulerEvents {
  /** A sequence takes the block into its block table. */
  blockTaken: [block: Block]
  /** A load, or those who waited for a read, have let go of the block's dram copy. */
  dramLetGo: [block: Block]
  /** The block's bytes are in dram, and came from hbm. */
  saved: [block: Block]
  /** The block's bytes in dram were damaged, and its slot was given up; it has another copy. */
  dramLost: [block: Block]
  /** A dram slot for a save was refused. */
  dramRefused: []
  /** A flush of all earlier writes begins. */
  flushing: []
  /** An ssd slot holds its block no longer. */
  ssdSlotLeft: [slot: number]
  /** A front has waited in vain for the disk: it may have to begin. */
  frontWaited: []
  /** The end of another owner's extents made room for the engine's own. */
  extentGivenUp: [extent: ExtentGivenUp]
  /** A request has followed another one for as long as it may. */
  followerWaited: []
  /** A transfer failed; its waiter hears of it next. `code` is stable, `detail` a sentence. */
  transferFailed: [kind: Transfer['kind'], code: string, detail: string | undefined]
  /** The key-addressed tier has answered, or a time for it is over; `handle` does what is to be done now. */
  keyedNews: [handle: () => void]
  /** The engine threw when it was handed transfers, by any part. */
  engineRefused: [thrown: unknown]
  /** Work that followed a promise threw: the books may be wrong. */
  brokeOff: [thrown: unknown]
  /** A conversation is known no longer; by its key. */
  conversationForgotten: [key: string]
}

type Listeners = { readonly [Name in keyof SchedulerEvents]: Array<(...args: SchedulerEvents[Name]) => void> }

/** Listeners are called at once, in the order in which they came. */
export class EventBus {
  readonly #listeners: Listeners = {
    blockTaken: [],
    dramLetGo: [],
    saved: [],
    dramLost: [],
    dramRefused: [],
    flushing: [],
    ssdSlotLeft: [],
    extentGivenUp: [],
    frontWaited: [],
    followerWaited: [],
    transferFailed: [],
    keyedNews: [],
    engineRefused: [],
    brokeOff: [],
    conversationForgotten: [],
  }

  on<Name extends keyof SchedulerEvents>(name: Name, listener: (...args: SchedulerEvents[Name]) => void): void {
    this.#listeners[name].push(listener)
  }

  emit<Name extends keyof SchedulerEvents>(name: Name, ...args: SchedulerEvents[Name]): void {
    for (const listener of this.#listeners[name]) listener(...args)
  }
}
