// Loads, saves, reads and writes: a stream each, one transfer after another at the profile's rate.

import { perStream, type StreamName } from '../../protocol/lanes.js'
import { perSlotTier } from '../../protocol/tiers.js'
import { BLOCK_TOKENS, type PlanSave, type SlotTierName, type Transfer, type TransferDone } from '../types.js'
import { SlotContent } from './content.js'
import { SlotUse } from './hazards.js'
import type { SimulatedOptions } from './options.js'

/** A stream that is busy until some moment. */
class Stream {
  busyUntil = 0
  ms = 0
  bytes = 0
  depth = 0
}

/** The content of a dram slot. */
export interface HostSlot {
  readonly rows: Uint32Array
  readonly valid: number
}

/** What a transfer's end says of an error. */
export function failureOf(error: string | undefined): Pick<TransferDone, 'error' | 'detail'> {
  return error === undefined ? {} : { error, detail: `simulated: ${error}` }
}

export class Transfers {
  readonly hbm: readonly SlotContent[]
  readonly streams: Readonly<Record<StreamName, Stream>> = perStream(() => new Stream())
  damagedReads = 0
  dramChecked = 0
  dramDamaged = 0
  /** Moment at which the load into an hbm slot ends, and slots whose load failed. */
  readonly loadEnds = new Map<number, number>()
  readonly failedLoads = new Set<number>()
  readonly #dram: HostSlot[]
  readonly #use: Readonly<Record<SlotTierName, SlotUse>>
  readonly #options: SimulatedOptions
  readonly #emit: (done: TransferDone) => void
  readonly #bytes: number

  constructor(options: SimulatedOptions, bytes: number, emit: (done: TransferDone) => void) {
    const { slots } = options
    this.#options = options
    this.#bytes = bytes
    this.#emit = emit
    this.hbm = Array.from({ length: slots.hbm }, (_, slot) => new SlotContent(slot + 1))
    this.#dram = Array.from({ length: slots.dram }, (_, slot) => ({ rows: new SlotContent(-slot - 1).rows, valid: 0 }))
    this.#use = perSlotTier(tier => new SlotUse(tier, slots[tier]))
  }

  /** Who reads and who writes the slots of hbm. */
  get hbmUse(): SlotUse {
    return this.#use.hbm
  }

  /** A dram slot for a tier beside the engine that reads it; it stays as it is until `end`. */
  readHost(dramSlot: number): HostSlot & { readonly end: () => void } {
    const end = this.#use.dram.read(dramSlot, 'put')
    return { ...(this.#dram[dramSlot] as HostSlot), end }
  }

  /** A dram slot for a tier beside the engine that fills it; it has no content until `end` brings it. */
  writeHost(dramSlot: number): { readonly end: (content?: HostSlot) => void } {
    const end = this.#use.dram.write(dramSlot, 'get')
    return {
      end: content => {
        end()
        this.#dram[dramSlot] = content ?? { rows: new SlotContent(-dramSlot - 1).rows, valid: 0 }
      },
    }
  }

  get isIdle(): boolean {
    return Object.values(this.streams).every(stream => stream.depth === 0)
  }

  start(transfer: Exclude<Transfer, { kind: 'copy' }>): void {
    switch (transfer.kind) {
      case 'load':
        return this.#load(transfer)
      case 'save':
        return this.save(transfer, transfer.hbmSlot, transfer.dramSlot, transfer.valid)
      case 'read':
        return this.#read(transfer)
      case 'write':
        return this.#write(transfer)
      case 'erase':
        return this.#erase(transfer)
      case 'flush':
        return this.#flush(transfer)
      case 'check':
        return this.#check(transfer)
    }
  }

  /** hbm → dram; a plan's save begins when its step has ended. */
  save(save: Transfer | PlanSave, hbmSlot: number, dramSlot: number, valid: number): void {
    const ends = [this.#use.hbm.read(hbmSlot, 'save'), this.#use.dram.write(dramSlot, 'save')]
    const { profile } = this.#options
    this.#run('save', 'kind' in save ? save : { ...save, kind: 'plan save' }, this.#bytes, this.#bytes / profile.saveRate, error => {
      for (const end of ends) end()
      if (error !== undefined) return error
      const rows = new Uint32Array(BLOCK_TOKENS)
      rows.set((this.hbm[hbmSlot] as SlotContent).rows.subarray(0, valid))
      this.#dram[dramSlot] = { rows, valid }
      return undefined
    })
  }

  #load(transfer: Extract<Transfer, { kind: 'load' }>): void {
    const { dramSlot, hbmSlot } = transfer
    const ends = [this.#use.dram.read(dramSlot, 'load'), this.#use.hbm.write(hbmSlot, 'load')]
    this.failedLoads.delete(hbmSlot)
    this.#run('load', transfer, this.#bytes, this.#bytes / this.#options.profile.loadRate, error => {
      for (const end of ends) end()
      this.loadEnds.delete(hbmSlot)
      const source = this.#dram[dramSlot] as HostSlot
      if (error === undefined) (this.hbm[hbmSlot] as SlotContent).fill(source.rows, source.valid)
      else this.failedLoads.add(hbmSlot)
      return error
    })
    this.loadEnds.set(hbmSlot, this.streams.load.busyUntil)
  }

  #read(transfer: Extract<Transfer, { kind: 'read' }>): void {
    const { ssdSlot, dramSlot, key, valid } = transfer
    const ends = [this.#use.ssd.read(ssdSlot, 'read'), this.#use.dram.write(dramSlot, 'read')]
    const { readRate, diskLatencyMs } = this.#options.profile
    this.#run('read', transfer, this.#bytes, diskLatencyMs + this.#bytes / readRate, error => {
      for (const end of ends) end()
      const extent = this.#options.disk.extents.get(ssdSlot)
      const isRight = extent?.key === key && extent.valid === valid
      if (error === undefined && isRight) this.#dram[dramSlot] = { rows: extent.rows.slice(), valid }
      else this.damagedReads++
      return error ?? (isRight ? undefined : 'kv_damaged')
    })
  }

  #write(transfer: Extract<Transfer, { kind: 'write' }>): void {
    const { ssdSlot, dramSlot, block } = transfer
    const { key, tokens } = block
    const ends = [this.#use.dram.read(dramSlot, 'write'), this.#use.ssd.write(ssdSlot, 'write')]
    const { writeRate, diskLatencyMs } = this.#options.profile
    this.#run('write', transfer, this.#bytes, diskLatencyMs + this.#bytes / writeRate, error => {
      for (const end of ends) end()
      const source = this.#dram[dramSlot] as HostSlot
      if (error === undefined) this.#options.disk.write(ssdSlot, { key, valid: tokens.length, rows: source.rows.slice() })
      return error
    })
  }

  #erase(transfer: Extract<Transfer, { kind: 'erase' }>): void {
    const end = this.#use.ssd.write(transfer.ssdSlot, 'erase')
    const { writeRate, diskLatencyMs } = this.#options.profile
    this.#run('write', transfer, this.#bytes, diskLatencyMs + this.#bytes / writeRate, error => {
      end()
      if (error === undefined) this.#options.disk.write(transfer.ssdSlot, undefined)
      return error
    })
  }

  /** The stream is in order: what was written before it is on the disk when it ends. */
  #flush(transfer: Extract<Transfer, { kind: 'flush' }>): void {
    this.#run('write', transfer, 0, this.#options.profile.flushMs, error => {
      this.#options.disk.flushed(error !== undefined)
      return error
    })
  }

  /** Nothing flips here but what a test injects. */
  #check(transfer: Extract<Transfer, { kind: 'check' }>): void {
    const end = this.#use.dram.read(transfer.dramSlot, 'check')
    const { clock, faults } = this.#options
    clock.after(0, () => {
      end()
      const error = faults.fails?.(transfer)
      this.dramChecked++
      if (error === 'dram_damaged') this.dramDamaged++
      this.#emit({ kind: 'transfer', id: transfer.id, bytes: this.#bytes, ms: 0, ...failureOf(error) })
    })
  }

  /** Enqueues on a stream; `apply` runs at the end, told of an injected fault, and answers the error to report. */
  #run(
    name: StreamName,
    transfer: Transfer | (PlanSave & { readonly kind: 'plan save' }),
    bytes: number,
    ms: number,
    apply: (error: string | undefined) => string | undefined,
  ): void {
    const { clock, faults } = this.#options
    const stream = this.streams[name]
    const factor = transfer.kind === 'plan save' ? 1 : (faults.slowdown?.(transfer.kind) ?? 1)
    const taken = ms * factor
    stream.busyUntil = Math.max(clock.now(), stream.busyUntil) + taken
    stream.depth++
    clock.after(stream.busyUntil - clock.now(), () => {
      stream.depth--
      stream.ms += taken
      stream.bytes += bytes
      const error = apply(faults.fails?.(transfer))
      this.#emit({ kind: 'transfer', id: transfer.id, bytes, ms: taken, ...failureOf(error) })
    })
  }
}
