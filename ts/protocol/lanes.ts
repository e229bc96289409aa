// The lanes on which blocks move between tiers: one table. A transfer's kind is the name of its lane.

import type { SlotTierName } from './tiers.js'

/** One way between two tiers; `up`: to the faster one, `beside`: within one. */
export interface Lane<From extends SlotTierName = SlotTierName, To extends SlotTierName = SlotTierName, Direction extends string = string> {
  readonly from: From
  readonly to: To
  readonly direction: Direction
}

function up<From extends SlotTierName, To extends SlotTierName>(from: From, to: To): Lane<From, To, 'up'> {
  return { from, to, direction: 'up' }
}

function down<From extends SlotTierName, To extends SlotTierName>(from: From, to: To): Lane<From, To, 'down'> {
  return { from, to, direction: 'down' }
}

function beside<Tier extends SlotTierName>(tier: Tier): Lane<Tier, Tier, 'beside'> {
  return { from: tier, to: tier, direction: 'beside' }
}

export const LANES = {
  load: up('dram', 'hbm'),
  save: down('hbm', 'dram'),
  read: up('ssd', 'dram'),
  write: down('dram', 'ssd'),
  copy: beside('hbm'),
} as const

type Table = typeof LANES

export type LaneName = keyof Table

type Towards<Direction> = { [Name in LaneName]: Table[Name]['direction'] extends Direction ? Name : never }[LaneName]

export type UpLane = Towards<'up'>
export type DownLane = Towards<'down'>

/** A lane between two tiers: bytes and times of each are measured. */
export type StreamName = UpLane | DownLane

/** In the order in which they are told. */
export const STREAM_NAMES = (Object.keys(LANES) as readonly LaneName[]).filter((name): name is StreamName => LANES[name].direction !== 'beside')

/** The two tiers of a lane. */
export type EndsOf<Name extends LaneName> = Table[Name]['from'] | Table[Name]['to']

/** `dram → hbm` */
export function wayOf(name: LaneName): string {
  const { from, to } = LANES[name]
  return `${from} → ${to}`
}

/** One value a stream. */
export function perStream<Value>(of: (name: StreamName) => Value): Record<StreamName, Value> {
  const values: Partial<Record<StreamName, Value>> = {}
  for (const name of STREAM_NAMES) values[name] = of(name)
  return values as Record<StreamName, Value>
}
