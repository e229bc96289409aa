// Policies on the real traces in one tier, and the simulator's speed. Traces lie beside the repository; the benchmark says
// which it did not find.

import { policyNames } from '../../ts/placement/registry.js'
import type { PolicyName } from '../../ts/placement/types.js'
import type { SimulatedPolicy } from '../../ts/simulator/capacity/policies.js'
import { replayCapacity } from '../../ts/simulator/capacity/replay.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace } from '../../ts/simulator/traces/trace.js'
import { traceFile } from '../../test/support/corpus.js'
import type { Bench, BenchContext, Plot, Report, Table } from '../support/bench.js'
import { show } from '../support/figures.js'
import { directoryCost, type DirectoryCost } from './directory-cost.js'

const TRACES = ['mooncake_conversation_trace.jsonl.xz', 'sharegpt8k_sessions.jsonl.xz', 'agent_coding_sessions.tar.xz'] as const
const POLICIES: readonly SimulatedPolicy[] = ['fifo', 'lru', 'adaptive', 'belady']
const SHARES = [1, 2, 5, 10, 20] as const
/** Capacities that fit into a run of everything. */
const FEW_SHARES = [2, 10] as const
/** Block accesses a second on one core. */
const BOUNDS: Readonly<Partial<Record<SimulatedPolicy, number>>> = { lru: 500_000, adaptive: 150_000 }

/** Requests to come that the policy is shown. */
const LOOK_AHEADS = [0, 4, 16, 64] as const
const LOOKING: readonly PolicyName[] = ['scheduler-aware', 'adaptive']
/** Microseconds a request in the live directory. */
const COST_BOUND_US = 50

interface Row {
  readonly trace: string
  readonly policy: SimulatedPolicy
  /** Percent of prompt blocks, by SHARES. */
  readonly hits: readonly number[]
  readonly accessesPerSecond: number
}

function runPolicy(name: string, trace: Trace, policy: SimulatedPolicy, shares: readonly number[]): Row {
  const accesses = trace.requests.reduce((sum, { blocks }) => sum + blocks.length, 0)
  const start = performance.now()
  const hits = shares.map((share) => {
    const capacityBlocks = Math.round((trace.uniqueBlocks * share) / 100)
    const { hitBlocks, promptBlocks } = replayCapacity(trace, { policy, capacityBlocks, lookAhead: 0 })
    return (100 * hitBlocks) / promptBlocks
  })
  const seconds = (performance.now() - start) / 1000
  return { trace: name, policy, hits, accessesPerSecond: (accesses * shares.length) / seconds }
}

/** Hits in % of both policies with each look-ahead. */
function lookAheadRows(name: string, trace: Trace): string[][] {
  return LOOK_AHEADS.flatMap(lookAhead => LOOKING.map(policy => {
    const hits = SHARES.map(share => {
      const capacityBlocks = Math.round((trace.uniqueBlocks * share) / 100)
      const { hitBlocks, promptBlocks } = replayCapacity(trace, { policy, capacityBlocks, lookAhead })
      return ((100 * hitBlocks) / promptBlocks).toFixed(1)
    })
    return [name, `${lookAhead}`, policy, ...hits]
  }))
}

function costTable(costs: readonly DirectoryCost[]): Table {
  return {
    title: 'µs a request (24 blocks used, 8 filled, 8 that go) in a directory of 100,000 blocks',
    columns: ['policy', 'policy: order, uses, victims', 'with slots and maps'],
    rows: costs.map(({ policy, policyUs, wholeUs }) => [policy, show(policyUs), show(wholeUs)]),
  }
}

function costNote(costs: readonly DirectoryCost[]): string {
  const most = Math.max(...costs.map(({ policyUs }) => policyUs))
  return `policy ≤ ${COST_BOUND_US} µs a request at 100,000 blocks: ${most <= COST_BOUND_US ? 'met' : 'not met'}`
}

function tableOf(rows: readonly Row[], shares: readonly number[]): Table {
  return {
    title: 'Prompt blocks hit, %, by share of the unique blocks; thousands of block accesses a second',
    columns: ['trace', 'policy', ...shares.map((share) => `${share} %`), 'k/s'],
    rows: rows.map(({ trace, policy, hits, accessesPerSecond }) => [trace, policy, ...hits.map((hit) => hit.toFixed(1)), show(accessesPerSecond / 1000)]),
  }
}

/** One simulation is one figure: the same every time, so without a spread. */
function plotOf(rows: readonly Row[], shares: readonly number[]): Plot {
  const bars = rows.map(({ trace, policy, hits }) => {
    const value = hits.at(-1) ?? NaN
    return { label: `${trace}, ${policy}`, value, low: value, high: value, limit: null }
  })
  return { title: `Prompt blocks hit with room for ${shares.at(-1)} % of the unique blocks`, unit: '%', bars }
}

/** The share of the distance from lru to belady that adaptive closes, a capacity each. */
function closedNote(name: string, rows: readonly Row[], shares: readonly number[]): string {
  const of = (policy: SimulatedPolicy): readonly number[] => rows.find((row) => row.trace === name && row.policy === policy)?.hits ?? []
  const [low, own, high] = [of('lru'), of('adaptive'), of('belady')]
  const closed = shares.map((_, i) => ((own[i] ?? 0) - (low[i] ?? 0)) / ((high[i] ?? 0) - (low[i] ?? 0)))
  return `${name}: adaptive closes ${closed.map((share) => (100 * share).toFixed(0)).join(' / ')} % of the distance from lru to belady`
}

function speedNotes(rows: readonly Row[]): string[] {
  return Object.entries(BOUNDS).map(([policy, bound]) => {
    const slowest = Math.min(...rows.filter((row) => row.policy === policy).map((row) => row.accessesPerSecond))
    return `${policy} ≥ ${bound / 1000}k block accesses a second: ${slowest >= bound ? 'met' : 'not met'}`
  })
}

async function run({ quick, alone, progress }: BenchContext): Promise<Report> {
  const shares = alone && !quick ? SHARES : FEW_SHARES
  const rows: Row[] = []
  const notes: string[] = []
  const lookAhead: string[][] = []
  for (const file of TRACES) {
    const path = traceFile(file)
    const name = file.split('_')[0] ?? file
    if (path === null) {
      notes.push(`${file} is not there: skipped`)
      continue
    }
    progress(`reading ${file}`)
    const trace = await readTrace(path)
    for (const policy of POLICIES) {
      progress(`${name}, ${policy}`)
      rows.push(runPolicy(name, trace, policy, shares))
    }
    notes.push(closedNote(name, rows, shares))
    if (shares === SHARES) lookAhead.push(...lookAheadRows(name, trace))
  }
  progress('the live directory')
  const costs = policyNames.map(policy => directoryCost(policy, quick ? 2000 : 10_000))
  const lookTable = { title: 'Hits, %, of policies that see the next K requests', columns: ['trace', 'K', 'policy', ...SHARES.map(share => `${share} %`)], rows: lookAhead }
  return {
    tables: [...(rows.length === 0 ? [] : [tableOf(rows, shares)]), ...(lookAhead.length === 0 ? [] : [lookTable]), costTable(costs)],
    plots: rows.length === 0 ? [] : [plotOf(rows, shares)],
    notes: [...notes, ...(rows.length === 0 ? [] : speedNotes(rows)), costNote(costs)],
    data: { rows, lookAhead, costs },
  }
}

export const placement: Bench = { name: 'placement', about: 'policies on recorded traffic, one tier', run }
