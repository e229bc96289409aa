// `simulate`: what a cache would have done with recorded traffic.

import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Command } from 'commander'
import { bytes, invalidOption, list, oneOf, share, wholeNumber, type Parser } from '../../config/units.js'
import { cpu2 } from '../../engine/simulated/profiles/cpu-2.js'
import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { profileNamed, profileNames } from '../../engine/simulated/profiles/registry.js'
import { MIN_WINDOW } from '../../engine/view.js'
import { DEFAULTS } from '../../protocol/defaults.js'
import { ExitError } from '../../protocol/errors.js'
import { perSlotTier } from '../../protocol/tiers.js'
import { SIMULATED_POLICIES, type SimulatedPolicy } from '../../simulator/capacity/policies.js'
import type { Capacity } from '../../simulator/capacity/result.js'
import type { TieredTruncation } from '../../simulator/tiered/replay.js'
import { RECORDED } from '../../simulator/traces/machine.js'
import { readTrace } from '../../simulator/traces/read.js'
import { shortened } from '../../simulator/traces/shortened.js'
import type { Trace } from '../../simulator/traces/trace.js'
import { progressLine } from '../progress.js'
import type { Terminal } from '../terminal.js'
import { simulateCapacities } from './capacities.js'
import type { Found } from './found.js'
import { simulateTiers } from './tiers.js'

interface SimulateValues {
  readonly trace: string
  readonly policy: string
  readonly capacity?: string
  readonly lookAhead?: string
  readonly profile?: string
  readonly hbmBytes?: string
  readonly dramBytes?: string
  readonly ssdBytes?: string
  readonly warmUp?: string
  readonly contextWindow?: string
  readonly truncationRatio?: string
  readonly reuseAfterTruncation?: string
  readonly limit?: string
  readonly json?: string
  readonly report?: string
}

const MOST_LOOK_AHEAD = 1_000_000
const MOST_REQUESTS = 1e9

const HELP = `
With --capacity, one tier: requests are replayed one at a time in order of arrival, from an empty cache, without a warm-up;
times are those of each request alone on the machine. Otherwise all tiers, through the server's own scheduler, at the trace's
times.
A trace is the log of serve --request-log, Mooncake's JSON lines, ShareGPT sessions, agent sessions (a tar of JSON files) or
Azure's CSV; plain or xz. Policies: ${SIMULATED_POLICIES.join(', ')}; belady knows the future: it is the bound for one tier.
Profiles: ${profileNames.join(', ')}; ${RECORDED}: the machine, the model and the tiers of the server that wrote
the request log, as it measured them.
`

export function simulateCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  return new Command('simulate')
    .description('replay a trace through a simulated cache: hit rates, times and costs, a policy and capacity at a time')
    .requiredOption('--trace <file>', 'the trace')
    .option('--policy <name,…>', 'order in which blocks are evicted', 'lru')
    .option('--profile <name>', `the machine and model (default: ${RECORDED} where the trace says it, else ${cpu2.name})`)
    .option('--capacity <size,…>', "one tier: 5% of the trace's unique blocks, or 4GiB")
    .option('--look-ahead <count>', 'with --capacity: requests to come that the policy is shown (default: 0)')
    .option('--hbm-bytes <size>', "all tiers: size of hbm (default: the profile's)")
    .option('--dram-bytes <size>', "all tiers: size of dram, 0 for none (default: the profile's)")
    .option('--ssd-bytes <size>', "all tiers: size of ssd, 0 for none (default: the profile's)")
    .option('--warm-up <count>', 'all tiers: first requests that are served and not counted (default: 0)')
    .option('--context-window <tokens>', 'all tiers: conversations continue beyond it and see at most this many tokens (default: they end with the context)')
    .option('--truncation-ratio <share>', 'share of the window that leaves the window at a time (default: 0.5)')
    .option('--reuse-after-truncation <on|off>', 'off: tokens computed before a truncation are computed again after it (default: on)')
    .option('--limit <count>', 'only the first requests of the trace (default: all)')
    .option('--json <file>', 'write the results there too')
    .option('--report <file>', 'write a page with plots there: HTML that needs nothing else')
    .addHelpText('after', HELP)
    .action(async (values: SimulateValues) => setExitCode(await simulate(values, terminal)))
}

/** `5%` or a size. */
const capacity: Parser<Capacity> = (value, option) => {
  const percent = typeof value === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(value) : null
  if (!percent) return { amount: bytes(0)(value, option), unit: 'bytes' }
  const amount = Number(percent[1])
  if (amount <= 100) return { amount, unit: '%' }
  throw invalidOption(option, `${JSON.stringify(value)} is more than 100%`)
}

async function simulate(values: SimulateValues, terminal: Terminal): Promise<number> {
  const policies = list(oneOf(SIMULATED_POLICIES))(values.policy, '--policy')
  const profileFor = profileChoice(values.profile)
  const found = values.capacity === undefined ? tiersOf(values, policies) : capacitiesOf(values, values.capacity, policies)
  const limit = optional(values.limit, '--limit', wholeNumber(1, MOST_REQUESTS), Number.POSITIVE_INFINITY)
  const trace = shortened(await readTrace(values.trace, { onProgress: progressLine(terminal, 'reading the trace') }), limit)
  const { text, results, page } = await found(trace, profileFor(trace), progressLine(terminal, 'simulating'))
  terminal.out(`${trace.format}: ${trace.requests.length} requests, ${trace.uniqueBlocks} unique blocks of ${trace.blockTokens} tokens\n${text}`)
  if (values.json !== undefined) write('--json', values.json, `${JSON.stringify(results, null, 2)}\n`)
  if (values.report !== undefined) write('--report', values.report, page(basename(values.trace)))
  return 0
}

/** Options that say something only beside --context-window. */
const WITH_A_WINDOW = ['truncationRatio', 'reuseAfterTruncation'] as const

type Simulation = (trace: Trace, profile: HardwareProfile, onProgress: (share: number) => void) => Promise<Found>

/** The profile that was named; else that of the machine that served the trace, where it says so. */
function profileChoice(named: string | undefined): (trace: Trace) => HardwareProfile {
  if (named === undefined) return ({ machine }) => machine ?? cpu2
  const name = oneOf([...profileNames, RECORDED])(named, '--profile')
  return ({ machine }) => {
    const profile = name === RECORDED ? machine : profileNamed(name)
    if (profile) return profile
    throw invalidOption('--profile', 'the trace does not name the machine that served it; only request logs do')
  }
}

function capacitiesOf(values: SimulateValues, sizes: string, policies: readonly SimulatedPolicy[]): Simulation {
  refuse(values, ['hbmBytes', 'dramBytes', 'ssdBytes', 'warmUp', 'contextWindow', ...WITH_A_WINDOW], 'is for all tiers, and --capacity for one')
  const capacities = list(capacity)(sizes, '--capacity')
  const lookAhead = optional(values.lookAhead, '--look-ahead', wholeNumber(0, MOST_LOOK_AHEAD), 0)
  return async (trace, profile, onProgress) => simulateCapacities({ trace, policies, capacities, lookAhead, profile }, onProgress)
}

function tiersOf(values: SimulateValues, policies: readonly SimulatedPolicy[]): Simulation {
  refuse(values, ['lookAhead'], 'is for --capacity; with all tiers, the policy sees the queue')
  const server = policies.filter((policy) => policy !== 'belady')
  if (server.length < policies.length) throw invalidOption('--policy', 'belady is the bound for one tier; give --capacity')
  const sizes = perSlotTier((tier) => optional<number | null>(values[`${tier}Bytes`], `--${tier}-bytes`, bytes(0), null))
  const warmUp = optional(values.warmUp, '--warm-up', wholeNumber(0, MOST_REQUESTS), 0)
  const truncation = truncationOf(values)
  return (trace, profile, onProgress) => {
    const tierBytes = perSlotTier((tier) => sizes[tier] ?? profile.tierBytes[tier])
    return simulateTiers({ trace, policies: server, profile, tierBytes, warmUp, truncation }, onProgress)
  }
}

function truncationOf(values: SimulateValues): TieredTruncation | null {
  if (values.contextWindow === undefined) {
    refuse(values, WITH_A_WINDOW, 'needs --context-window: without it conversations are not truncated')
    return null
  }
  return {
    contextWindow: wholeNumber(MIN_WINDOW, 2 ** 30)(values.contextWindow, '--context-window'),
    truncationRatio: optional(values.truncationRatio, '--truncation-ratio', share, DEFAULTS.truncationRatio),
    reuseAfterTruncation: optional(values.reuseAfterTruncation, '--reuse-after-truncation', oneOf(['on', 'off']), 'on') === 'on',
  }
}

function optional<T>(value: string | undefined, option: string, parse: Parser<T>, otherwise: T): T {
  return value === undefined ? otherwise : parse(value, option)
}

function refuse(values: SimulateValues, keys: ReadonlyArray<keyof SimulateValues>, reason: string): void {
  for (const key of keys) {
    if (values[key] !== undefined) throw invalidOption(`--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, reason)
  }
}

function write(option: string, path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `${option}: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
