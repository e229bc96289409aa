// The meaning of a cell's colour, and its legend.

import { NO_AGE, type CacheMap, type Owner } from 'attentionstore/protocol'
import type { Cells } from './cells.js'

export type ColourBy = 'state' | 'age' | 'conversation' | 'tenant'

export const COLOUR_CHOICES: ReadonlyArray<{ readonly value: ColourBy; readonly label: string }> = [
  { value: 'state', label: 'Use' },
  { value: 'age', label: 'Age' },
  { value: 'conversation', label: 'Conversation' },
  { value: 'tenant', label: 'Tenant' },
]

/** A colour by name of a class, `is-…`, and what it means. */
export interface LegendEntry {
  readonly kind: string
  readonly meaning: string
}

const STATE_KINDS = ['free', 'cached', 'waiting', 'moving', 'running'] as const

const STATE_LEGEND: readonly LegendEntry[] = [
  { kind: 'cell-running', meaning: 'a running request uses it' },
  { kind: 'cell-moving', meaning: 'is being moved or written' },
  { kind: 'cell-waiting', meaning: 'a waiting request wants it' },
  { kind: 'cell-cached', meaning: 'kept for later' },
  { kind: 'cell-free', meaning: 'free' },
]

/** Ages are told as powers of two; two of them share a step, and all beyond the last. */
const AGE_LEGEND: readonly LegendEntry[] = [
  { kind: 'age-0', meaning: 'used < 3 s ago' },
  { kind: 'age-1', meaning: '< 15 s' },
  { kind: 'age-2', meaning: '< 1 min' },
  { kind: 'age-3', meaning: '< 4 min' },
  { kind: 'age-4', meaning: '< 17 min' },
  { kind: 'age-5', meaning: '< 1 h' },
  { kind: 'age-6', meaning: 'longer ago' },
  { kind: 'cell-free', meaning: 'free' },
]
const LAST_AGE_STEP = 6

/** Categories have this many colours; with more of them colours come again. */
export const CATEGORY_COLOURS = 8

export function legendOf(by: ColourBy, { owners }: Pick<CacheMap, 'owners'>): readonly LegendEntry[] {
  if (by === 'state') return STATE_LEGEND
  if (by === 'age') return AGE_LEGEND
  const free: LegendEntry = { kind: 'cell-free', meaning: 'free' }
  if (by === 'conversation') return [{ kind: 'category-0', meaning: 'one colour a conversation; colours come again' }, free]
  const tenants = tenantsOf(owners).slice(0, CATEGORY_COLOURS)
  return [...tenants.map((tenant, index) => ({ kind: `category-${index}`, meaning: tenant === '' ? 'no tenant' : tenant })), free]
}

/** Tenants in the order in which their owners are told. */
function tenantsOf(owners: readonly Owner[]): readonly string[] {
  return [...new Set(owners.slice(1).map(({ tenant }) => tenant))]
}

/** For each cell the name of its colour's class. */
export function kindOf(by: ColourBy, cells: Cells, owners: readonly Owner[]): (index: number) => string {
  if (by === 'state') return (index) => `cell-${STATE_KINDS[cells.states[index] ?? 0] ?? 'free'}`
  const tenants = tenantsOf(owners)
  return (index) => {
    const age = cells.ages[index] ?? NO_AGE
    if (age === NO_AGE) return 'cell-free'
    if (by === 'age') return `age-${Math.min(LAST_AGE_STEP, age >> 1)}`
    const owner = cells.owners[index] ?? 0
    // The first owner stands for those that are not known.
    if (owner === 0) return 'cell-cached'
    if (by === 'tenant') return `category-${tenants.indexOf(owners[owner]?.tenant ?? '') % CATEGORY_COLOURS}`
    return `category-${hash(owners[owner]?.conversation ?? '') % CATEGORY_COLOURS}`
  }
}

/** A conversation keeps its colour, wherever it stands in the list. FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  return value >>> 0
}
