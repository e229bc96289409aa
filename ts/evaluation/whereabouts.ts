// Where a difference comes from: how often something had left the view, and which tokens it is made of.

import { mean } from './statistics.js'

/** One token that counts: what a method costs more than the reference, in nats. */
export interface Difference {
  readonly token: number
  readonly epoch: number
  readonly nats: number
}

export interface EpochMean {
  readonly epoch: number
  readonly tokens: number
  readonly mean: number
}

export interface TokenShare {
  /** The token's text. */
  readonly text: string
  readonly times: number
  /** Its part of the mean over all tokens: all parts add up to it. */
  readonly share: number
}

const COSTLIEST = 4

export function byEpoch(differences: readonly Difference[]): EpochMean[] {
  const groups = [...grouped(differences, ({ epoch }) => epoch)].sort(([a], [b]) => a - b)
  return groups.map(([epoch, nats]) => ({ epoch, tokens: nats.length, mean: mean(nats) }))
}

/** The few tokens that add most to the mean, the costliest first. */
export async function costliest(differences: readonly Difference[], decode: (tokens: Uint32Array) => Promise<string>): Promise<TokenShare[]> {
  const shares = [...grouped(differences, ({ token }) => token)].map(([token, nats]) => ({
    token,
    times: nats.length,
    share: (mean(nats) * nats.length) / differences.length,
  }))
  const first = shares.sort((a, b) => b.share - a.share).slice(0, COSTLIEST)
  return Promise.all(first.map(async ({ token, times, share }) => ({ text: await decode(Uint32Array.of(token)), times, share })))
}

function grouped(differences: readonly Difference[], of: (one: Difference) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>()
  for (const one of differences) {
    const group = groups.get(of(one))
    if (group) group.push(one.nats)
    else groups.set(of(one), [one.nats])
  }
  return groups
}
