// A tier's cells out of a map's message.

import { CELL_STATES, NO_AGE, type CellState, type TierMap } from 'attentionstore/protocol'

/** One number a cell in each column. */
export interface Cells {
  readonly count: number
  readonly states: Uint8Array
  readonly ages: Uint8Array
  readonly owners: Uint16Array
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

/** Little-endian, whatever this machine is. */
function wordsOf(bytes: Uint8Array): Uint16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Uint16Array.from({ length: bytes.length >> 1 }, (_, index) => view.getUint16(index * 2, true))
}

export function cellsOf({ states, ages, owners }: TierMap): Cells {
  const decoded = { states: bytesOf(states), ages: bytesOf(ages), owners: wordsOf(bytesOf(owners)) }
  return { ...decoded, count: Math.min(decoded.states.length, decoded.ages.length, decoded.owners.length) }
}

export function stateOf(cells: Cells, index: number): CellState {
  return CELL_STATES[cells.states[index] ?? 0] ?? 'free'
}

/** Seconds since the last use, from and up to; null: holds nothing. */
export function ageOf(cells: Cells, index: number): { readonly from: number; readonly to: number } | null {
  const age = cells.ages[index] ?? NO_AGE
  return age === NO_AGE ? null : { from: 2 ** age - 1, to: 2 ** (age + 1) - 1 }
}

/** Slots of one cell, first and last. */
export function slotsOf({ slots, slotsPerCell }: Pick<TierMap, 'slots' | 'slotsPerCell'>, index: number): readonly [number, number] {
  const first = index * slotsPerCell
  return [first, Math.min(first + slotsPerCell, slots) - 1]
}

/** How many cells are in each state. */
export function countStates(cells: Cells): Readonly<Record<CellState, number>> {
  const counts = { free: 0, cached: 0, waiting: 0, moving: 0, running: 0 }
  for (let index = 0; index < cells.count; index++) counts[stateOf(cells, index)] += 1
  return counts
}
