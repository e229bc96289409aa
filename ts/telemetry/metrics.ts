// A sample as Prometheus metrics: names with units, one table. Labels are fixed words, never a user's text.

import { Counter, Gauge, type Registry } from 'prom-client'
import { DISK_STATES } from '../protocol/disk.js'
import type { Sample, ServerInfo, TransferSample } from '../protocol/events.js'
import { STREAM_NAMES } from '../protocol/lanes.js'

interface Point {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Metric {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  readonly read: (sample: Sample) => number | readonly Point[]
}

const SECONDS = 1000

/** One point a key of `values`, labelled `label`. */
function by(label: string, values: Readonly<Record<string, number>>): Point[] {
  return Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }))
}

function tiers(of: (tier: Sample['tiers'][number]) => number): (sample: Sample) => Point[] {
  return (sample) => sample.tiers.map((tier) => ({ labels: { tier: tier.name }, value: of(tier) }))
}

function transfers(of: (transfer: TransferSample) => number): (sample: Sample) => Point[] {
  return (sample) => STREAM_NAMES.map((kind) => ({ labels: { kind }, value: of(sample.transfers[kind]) }))
}

const counter = (name: string, help: string, read: Metric['read']): Metric => ({ name, help, kind: 'counter', read })
const gauge = (name: string, help: string, read: Metric['read']): Metric => ({ name, help, kind: 'gauge', read })

const METRICS: readonly Metric[] = [
  counter('requests_total', 'Requests that ended, by outcome', ({ requests: { ok, cancelled, failed, rejected } }) =>
    by('outcome', { ok, cancelled, failed, rejected }),
  ),
  gauge('requests', 'Requests now, by state', ({ requests: { queued, preparing, running } }) =>
    by('state', { queued, preparing, running }),
  ),
  counter('prompt_tokens_total', 'Tokens of prompts', ({ tokens }) => tokens.prompt),
  counter('completion_tokens_total', 'Tokens of answers', ({ tokens }) => tokens.completion),
  counter('computed_tokens_total', 'Prompt tokens that were computed', ({ tokens }) => tokens.computed),
  counter('recomputed_tokens_total', 'Tokens computed again after a preemption', ({ tokens }) => tokens.recomputed),
  counter('reused_tokens_total', 'Prompt tokens that were not computed, by tier', ({ tokens }) => by('tier', tokens.reused)),
  counter('missed_tokens_total', 'Prompt tokens that were not reused, by reason', ({ tokens: { miss } }) =>
    by('reason', {
      never_seen: miss.neverSeen,
      reasoning_dropped: miss.reasoningDropped,
      prompt_scored: miss.promptScored,
      evicted: miss.evicted,
      damaged: miss.damaged,
      outside_view: miss.outsideView,
      unknown: miss.unknown,
    }),
  ),
  counter('saved_compute_seconds_total', 'Computation that reuse saved, estimated from the measured speed of prompts', ({ saved }) =>
    saved.ms / SECONDS,
  ),
  gauge('prefill_tokens_per_second', 'Measured speed of computing a prompt of 1024 tokens; 0 before it is measured', ({ prefillTokensPerS }) =>
    prefillTokensPerS ?? 0,
  ),
  counter('followed_requests_total', 'Requests that waited for a prompt in flight which begins like theirs', ({ followed }) => followed.requests),
  counter('followed_tokens_total', 'Prompt tokens in flight that requests waited for, each once a request', ({ followed }) => followed.tokens),
  counter('shared_key_requests_total', 'Requests whose prompt_cache_key stands for many unlike histories and named no conversation', ({ sharedKeyRequests }) => sharedKeyRequests),
  counter('preemptions_total', 'Requests put back to the queue', ({ preemptions }) => preemptions),
  counter('blocks_moved_total', 'Blocks copied between tiers', ({ blocks: { saved, loaded, promoted, demoted } }) =>
    by('move', { saved, loaded, promoted, demoted }),
  ),
  counter('prefetched_blocks_total', 'Blocks brought nearer before they were needed, by outcome', ({ prefetches }) =>
    by('outcome', prefetches),
  ),
  counter('history_choices_total', 'Requests that found history on disk, by the way chosen', ({ history }) => by('choice', history)),
  counter('blocks_dropped_total', 'Blocks given up, by cause', ({ blocks }) => by('cause', blocks.dropped)),
  counter('abandoned_blocks_total', 'Blocks whose save or write failed three times and is not tried again', ({ blocks }) =>
    by('kind', blocks.abandoned),
  ),
  counter('damaged_reads_total', 'Blocks read from disk that were not the blocks asked for', ({ damagedReads }) => damagedReads),
  counter('dram_checked_total', 'Blocks in dram that were compared with their checksum', ({ dramChecked }) => dramChecked),
  counter('dram_damaged_total', 'Blocks in dram that were not what had been put there', ({ dramDamaged }) => dramDamaged),
  counter('failed_transfers_total', 'Transfers that failed, by kind and code', ({ failedTransfers }) =>
    failedTransfers.map(({ kind, code, count }) => ({ labels: { kind, code }, value: count })),
  ),
  gauge('disk_state', 'A place that the server writes to is in this state: 1, else 0', ({ disks }) =>
    disks.flatMap(({ place, state }) => DISK_STATES.map((other) => ({ labels: { place, state: other }, value: Number(other === state) }))),
  ),
  counter('log_lines_dropped_total', 'Lines of a log that were dropped because its disk or reader had no room', ({ disks }) =>
    disks.flatMap(({ place, lostLines }) => (lostLines === undefined ? [] : [{ labels: { log: place }, value: lostLines }])),
  ),
  counter('transfer_bytes_total', 'Bytes moved', transfers(({ bytes }) => bytes)),
  counter('transfer_seconds_total', 'Time in which bytes were moved', transfers(({ ms }) => ms / SECONDS)),
  gauge('transfer_queue_depth', 'Transfers that wait or run', transfers(({ queueDepth }) => queueDepth)),
  gauge('transfer_limit_bytes_per_second', 'Fastest rate at which bytes have moved, or may move', ({ transfers }) =>
    Object.entries(transfers).flatMap(([kind, { limit }]) => (limit ? [{ labels: { kind }, value: limit.bytesPerS }] : [])),
  ),
  counter('constraint_sources_total', 'Grammars, schemas, patterns and choices that answers were to be held to, by what came of them', ({ constraints }) =>
    by('outcome', constraints.sources),
  ),
  counter('masks_total', 'Masks made for constrained answers', ({ constraints }) => constraints.masks),
  counter('mask_seconds_total', 'Time in which masks were made', ({ constraints }) => constraints.maskMs / SECONDS),
  counter('late_rows_total', 'Rows that were not sampled because their mask was not ready', ({ constraints }) => constraints.lateRows),
  counter('steps_total', 'Steps of the engine', ({ steps }) => steps.count),
  counter('compute_seconds_total', 'Time of steps', ({ steps }) => steps.computeMs / SECONDS),
  counter('load_stall_seconds_total', 'Time in which steps waited for loads', ({ steps }) => steps.loadStallMs / SECONDS),
  counter('stalled_layers_total', 'Layers that waited for a load', ({ steps }) => steps.stalledLayers),
  gauge('schedule_seconds', "The scheduler's own time a step", ({ steps }) => percentiles(steps.scheduleMs)),
  gauge('tier_capacity_bytes', 'Bound of a tier', tiers(({ capacityBytes }) => capacityBytes)),
  gauge('tier_committed_bytes', 'Bytes of a tier that were taken from the system', tiers(({ committedBytes }) => committedBytes)),
  gauge('tier_used_bytes', 'Bytes used in a tier', tiers(({ usedBytes }) => usedBytes)),
  gauge('tier_capacity_blocks', 'Slots of a tier', tiers(({ capacityBlocks }) => capacityBlocks)),
  gauge('tier_running_blocks', 'Blocks that running requests refer to', tiers(({ blocks }) => blocks.running)),
  gauge('tier_waiting_blocks', 'Blocks that queued requests want', tiers(({ blocks }) => blocks.waiting)),
  gauge('tier_cached_blocks', 'Blocks kept for later', tiers(({ blocks }) => blocks.cached)),
  gauge('event_loop_delay_seconds', 'Delay of the event loop in the last half second', ({ eventLoopDelayMs }) =>
    percentiles(eventLoopDelayMs),
  ),
  gauge('resident_memory_bytes', 'Resident memory of the process', ({ residentBytes }) => residentBytes),
  gauge('uptime_seconds', 'Time since the start', ({ uptimeMs }) => uptimeMs / SECONDS),
]

/** `quantile` is the name that Prometheus keeps for summaries, which these are not. */
function percentiles({ p50, p99 }: { readonly p50: number; readonly p99: number }): Point[] {
  return by('percentile', { '50': p50 / SECONDS, '99': p99 / SECONDS })
}

/** Registers every metric; each reads the current sample when it is scraped. */
export function registerMetrics(registry: Registry, info: ServerInfo, current: () => Sample): void {
  for (const metric of METRICS) register(registry, metric, current)
  const labelNames = ['version', 'model', 'device', 'io_engine', 'policy'] as const
  const { version, device, ioEngine, policy, models } = info
  new Gauge({ name: 'attentionstore_info', help: 'The running server: version, model, device, disk engine, policy', labelNames, registers: [registry] })
    .labels({ version, model: models[0] ?? '', device, io_engine: ioEngine, policy })
    .set(1)
}

/** Label names must be known at registration. */
const LABEL_NAMES = ['outcome', 'state', 'tier', 'move', 'cause', 'kind', 'percentile', 'reason', 'choice', 'code', 'place', 'log']

function register(registry: Registry, metric: Metric, current: () => Sample): void {
  const common = { name: `attentionstore_${metric.name}`, help: metric.help, labelNames: LABEL_NAMES, registers: [registry] }
  const points = (): readonly Point[] => {
    const read = metric.read(current())
    return typeof read === 'number' ? [{ labels: {}, value: read }] : read
  }
  if (metric.kind === 'gauge') {
    new Gauge({
      ...common,
      collect() {
        this.reset()
        for (const { labels, value } of points()) this.set(labels, value)
      },
    })
    return
  }
  new Counter({
    ...common,
    collect() {
      this.reset()
      for (const { labels, value } of points()) this.inc(labels, value)
    },
  })
}
