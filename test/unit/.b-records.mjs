// ../page-scratch/ava-shim.mjs
import assert from "node:assert/strict";
var tests = [];
var fails = [];
var like = (a, b) => {
  for (const k of Object.keys(b)) {
    if (b[k] && typeof b[k] === "object") like(a?.[k], b[k]);
    else assert.deepEqual(a?.[k], b[k]);
  }
};
var make = (name2) => ({ is: (a, b, m) => assert.ok(Object.is(a, b), m ?? `${a} is not ${b}`), not: (a, b) => assert.ok(!Object.is(a, b)), true: (a, m) => assert.equal(a, true, m), false: (a, m) => assert.equal(a, false, m), truthy: (a, m) => assert.ok(a, m), deepEqual: (a, b, m) => assert.deepEqual(a, b, m), like, regex: (a, r, m) => assert.match(a, r, m), notRegex: (a, r) => assert.doesNotMatch(a, r), throws: (f) => assert.throws(f), throwsAsync: (f) => assert.rejects(f), log: (...a) => console.log("   ", ...a), teardown: (f) => tears.push(f), timeout() {
}, pass() {
}, fail: (m) => assert.fail(m), title: name2 });
var tears = [];
var test = (name2, f) => tests.push([name2, f]);
test.serial = test;
test.skip = () => {
};
test.before = () => {
};
test.after = () => {
};
test.after.always = () => {
};
test.beforeEach = () => {
};
var ava_shim_default = test;
setTimeout(async () => {
  const only = process.env.ONLY;
  for (const [name2, f] of tests) {
    if (only && !new RegExp(only).test(name2)) continue;
    tears = [];
    const c = process.cpuUsage();
    try {
      await f(make(name2));
      console.log("ok", name2, (process.cpuUsage(c).user / 1e6).toFixed(1));
    } catch (e) {
      fails.push(name2);
      console.log("FAIL", name2, e.message?.slice(0, 600));
    }
    for (const g of tears) await g();
  }
  console.log(fails.length ? `${fails.length} failed` : "all passed");
  process.exit(fails.length ? 1 : 0);
}, 0);

// test/unit/records.test.ts
import fc from "fast-check";

// ts/engine/simulated/profiles/cpu-2.ts
var cpu2 = {
  name: "cpu-2",
  device: "simulated (cpu-2)",
  layers: 30,
  kvBytesPerToken: 23040,
  modelContext: 8192,
  maxBatchTokens: 256,
  maxRunning: 256,
  tierBytes: { hbm: 2 ** 30, dram: 4 * 2 ** 30, ssd: 20 * 2 ** 30 },
  stepBaseMs: 6,
  stepPerRowMs: 3.2,
  stepPerHistoryTokenMs: 1e-3,
  loadRate: 9e6,
  saveRate: 9e6,
  readRate: 8e5,
  writeRate: 8e5,
  diskLatencyMs: 0.1,
  flushMs: 8,
  prices: { acceleratorHour: 0.08, dramGibHour: 88e-4, ssdGibHour: 82e-6 }
};
var cpu2Avx512 = {
  ...cpu2,
  name: "cpu-2-avx512",
  device: "simulated (cpu-2-avx512)",
  stepBaseMs: 4.4,
  stepPerRowMs: 0.8,
  stepPerHistoryTokenMs: 38e-5,
  loadRate: 65e5,
  saveRate: 65e5,
  readRate: 16e5,
  writeRate: 22e5
};

// ts/protocol/schemas/requests.ts
import { z as z2 } from "zod";

// ts/protocol/lanes.ts
function up(from, to) {
  return { from, to, direction: "up" };
}
function down(from, to) {
  return { from, to, direction: "down" };
}
function beside(tier) {
  return { from: tier, to: tier, direction: "beside" };
}
var LANES = {
  load: up("dram", "hbm"),
  save: down("hbm", "dram"),
  read: up("ssd", "dram"),
  write: down("dram", "ssd"),
  copy: beside("hbm")
};
var STREAM_NAMES = Object.keys(LANES).filter((name2) => LANES[name2].direction !== "beside");
function wayOf(name2) {
  const { from, to } = LANES[name2];
  return `${from} \u2192 ${to}`;
}
function perStream(of) {
  const values = {};
  for (const name2 of STREAM_NAMES) values[name2] = of(name2);
  return values;
}

// ts/protocol/tiers.ts
var TIERS = {
  hbm: { medium: "device", isDurable: false, address: "slot", blockBytes: "blockBytes", place: "in hbm" },
  dram: { medium: "host memory", isDurable: false, address: "slot", blockBytes: "hostSlotBytes", place: "in dram" },
  ssd: { medium: "disk", isDurable: true, address: "slot", blockBytes: "hostSlotBytes", place: "on ssd" }
};
var TIER_NAMES = Object.keys(TIERS);
var SLOT_TIERS = TIER_NAMES.filter((name2) => TIERS[name2].address === "slot");
var LOWER_TIERS = SLOT_TIERS.slice(1);
function tiersAbove(tier) {
  return SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(tier));
}
function perTier(of) {
  return record(TIER_NAMES, of);
}
function perSlotTier(of) {
  return record(SLOT_TIERS, of);
}
function sumTiers(values) {
  let sum = 0;
  for (const tier of TIER_NAMES) sum += values[tier] ?? 0;
  return sum;
}
function record(names, of) {
  const values = {};
  for (const name2 of names) values[name2] = of(name2);
  return values;
}

// ts/protocol/schemas/miss.ts
import { z } from "zod";
var count = z.int().nonnegative();
var MissReasons = z.object({
  never_seen: count.meta({ description: "new here, or another tenant\u2019s; the token that the answer is sampled from" }),
  reasoning_dropped: count.meta({ description: "an earlier answer without the reasoning that it was generated behind: the client or the template left it out" }),
  evicted: count.meta({ description: "were here and were given up, or dropped on request" }),
  damaged: count.meta({ description: "were here and did not read back as written" }),
  outside_view: count.meta({ description: "not needed: no token that is computed sees them" }),
  unknown: count.meta({ description: "were here, and left longer ago than is remembered" })
}).meta({ id: "MissReasons" });

// ts/protocol/schemas/requests.ts
var MAX_REQUEST_RECORDS = 1e3;
var count2 = z2.int().nonnegative();
var milliseconds = z2.number().nonnegative();
var MOST_SPANS = 16;
var Span = z2.tuple([milliseconds, milliseconds]).meta({ description: "from and to, milliseconds since acceptance" });
var spans = z2.array(Span).max(MOST_SPANS);
var Phases = z2.object({
  queued: spans.meta({ description: "accepted, and not in the batch" }),
  read: spans.meta({ description: wayOf("read") }),
  load: spans.meta({ description: wayOf("load") }),
  prefill: spans.meta({ description: "steps that computed the prompt" }),
  decode: spans.meta({ description: "steps that computed the answer" }),
  save: spans.meta({ description: wayOf("save") }),
  write: spans.meta({ description: wayOf("write") })
}).meta({ id: "Phases" });
var Eviction = z2.object({
  tokens: count2,
  at_ms: z2.number().meta({ description: "when the block left, milliseconds since the Unix epoch" }),
  cause: z2.enum(["evicted", "write_queue_full", "damaged", "reset", "ttl", "foreign"]),
  tier: z2.enum(TIER_NAMES).meta({ description: "the tier it was in last" }),
  policy: z2.string().nullable().meta({ description: "the policy that chose it; null: no policy did" })
}).meta({ id: "Eviction" });
var MOST_EVICTIONS = 4;
var QUEUED_FOR = ["turn", "room", "history", "another"];
var RequestRecord = z2.object({
  seq: count2.meta({ description: "grows from record to record; a record that comes again replaces the one before" }),
  request_id: z2.string().meta({ description: "empty: the conversation was erased" }),
  conversation: z2.string().meta({ description: "empty: it was erased" }),
  tenant: z2.string(),
  status: z2.enum(["ok", "cancelled", "failed"]),
  finish_reason: z2.enum(["stop", "length"]).nullable(),
  error: z2.string().nullable().meta({ description: "the code of a failed one" }),
  accepted_at_ms: z2.number().meta({ description: "milliseconds since the Unix epoch" }),
  queued_for: z2.enum(QUEUED_FOR).nullable().meta({ description: "what it waited for longest in the queue: a place in the batch, blocks of hbm, its own history, or another request that computes the same beginning; null: it did not wait" }),
  duration_ms: milliseconds.meta({ description: "from acceptance to the end of the answer" }),
  prompt_tokens: count2,
  completion_tokens: count2,
  reused_tokens: z2.object(perTier(() => count2)),
  computed_tokens: count2,
  recomputed_tokens: count2,
  outside_view_tokens: count2,
  miss: MissReasons,
  evictions: z2.array(Eviction).max(MOST_EVICTIONS).meta({ description: "the end of the blocks in `evicted` and `damaged`" }),
  ttft_ms: milliseconds.nullable().meta({ description: "null: it ended before its first token" }),
  estimated_ttft_ms: milliseconds.nullable().meta({ description: "estimated: what ttft_ms would have been without reuse; null: no prefill was measured yet" }),
  phases: Phases
}).meta({ id: "RequestRecord" });
var RequestQuery = z2.object({
  cursor: z2.coerce.number().int().nonnegative().optional().meta({ description: "next_cursor of the page before" }),
  limit: z2.coerce.number().int().min(1).max(MAX_REQUEST_RECORDS).default(100)
});
var RequestList = z2.object({
  requests: z2.array(RequestRecord).meta({ description: "newest first" }),
  next_cursor: count2.nullable().meta({ description: "null: there are no older ones" })
}).meta({ id: "RequestList" });

// ts/protocol/errors.ts
var AttentionStoreError = class extends Error {
  constructor(code, message2, context = {}, options) {
    super(message2, options);
    this.code = code;
    this.context = context;
  }
  code;
  context;
  name = "AttentionStoreError";
};
var ApiError = class extends AttentionStoreError {
  constructor(code, message2, param = null, context = {}, options) {
    super(code, message2, context, options);
    this.code = code;
    this.param = param;
  }
  code;
  param;
  name = "ApiError";
};
var ExitError = class extends AttentionStoreError {
  constructor(exitCode, code, message2, context = {}, options) {
    super(code, message2, context, options);
    this.exitCode = exitCode;
  }
  exitCode;
  name = "ExitError";
};
var EngineError = class extends AttentionStoreError {
  constructor(code, message2, context = {}, options) {
    super(code, message2, context, options);
    this.code = code;
  }
  code;
  name = "EngineError";
};

// ts/protocol/cache-map.ts
var CELL_STATES = ["free", "cached", "waiting", "moving", "running"];
var NO_AGE = 255;

// ts/scheduler/accounts/spans.ts
var Spans = class {
  /** Ascending, disjoint. */
  #intervals = [];
  get isEmpty() {
    return this.#intervals.length === 0;
  }
  /** Joins what overlaps or touches. Beyond the bound, the two intervals with the smallest gap become one. */
  add(from, to) {
    if (!(to > from)) return;
    let first = this.#intervals.length;
    while (first > 0 && this.#intervals[first - 1][1] >= from) first--;
    let last = first;
    const joined = [from, to];
    for (let other = this.#intervals[last]; other && other[0] <= to; other = this.#intervals[++last]) {
      joined[0] = Math.min(joined[0], other[0]);
      joined[1] = Math.max(joined[1], other[1]);
    }
    this.#intervals.splice(first, last - first, joined);
    if (this.#intervals.length > MOST_SPANS) this.#joinClosest();
  }
  /** Milliseconds after `start`; what lies before it is cut off. */
  since(start) {
    return this.#intervals.flatMap(([from, to]) => to > start ? [[Math.max(0, from - start), to - start]] : []);
  }
  #joinClosest() {
    let closest = 1;
    for (let i = 2; i < this.#intervals.length; i++) if (this.#gapBefore(i) < this.#gapBefore(closest)) closest = i;
    const [, to] = this.#intervals[closest];
    this.#intervals[closest - 1][1] = to;
    this.#intervals.splice(closest, 1);
  }
  #gapBefore(i) {
    return this.#intervals[i][0] - this.#intervals[i - 1][1];
  }
};

// ts/telemetry/telemetry.ts
import { Counter as Counter2, Registry } from "prom-client";

// ts/engine/clock.ts
var epochMs = Date.now() - performance.now();
var systemClock = {
  now: () => epochMs + performance.now(),
  after(ms, action, options) {
    const timer = setTimeout(action, ms);
    if (options?.background) timer.unref();
    return () => clearTimeout(timer);
  }
};

// ts/telemetry/feed.ts
var Feed = class {
  #clock;
  #intervalMs;
  #compute;
  #listeners = /* @__PURE__ */ new Set();
  #cancel = null;
  constructor(clock, intervalMs, compute) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#compute = compute;
  }
  /** Calls `listener` after every interval; the returned function ends that. */
  listen(listener) {
    this.#listeners.add(listener);
    if (this.#cancel === null) this.#schedule();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }
  /** Calls `listener` at once, and then after every interval. */
  listenFromNow(listener) {
    listener(this.#compute());
    return this.listen(listener);
  }
  close() {
    this.#listeners.clear();
    this.#stop();
  }
  #schedule() {
    this.#cancel = this.#clock.after(this.#intervalMs, () => this.#publish(), { background: true });
  }
  #publish() {
    this.#schedule();
    const value = this.#compute();
    for (const listener of this.#listeners) listener(value);
  }
  #stop() {
    this.#cancel?.();
    this.#cancel = null;
  }
};

// ts/telemetry/history.ts
var MOST_POINTS = 150;
var SampleHistory = class {
  #points = [];
  add({ uptimeMs, tokens, requests, ttft, transfers: transfers2 }) {
    if (this.#points.length === MOST_POINTS) this.#points.shift();
    this.#points.push({ uptimeMs, tokens, requests, ttft, transfers: transfers2 });
  }
  /** Oldest first. */
  get points() {
    return this.#points;
  }
};

// ts/telemetry/limits.ts
var LEAST_MS = 5;
var MS_PER_S = 1e3;
var NOTHING = { bytes: 0, ms: 0 };
function transferred(stats, kind) {
  return { bytes: stats[`${kind}Bytes`], ms: stats[`${kind}Ms`] };
}
var BandwidthLimits = class {
  #configured;
  #best = perStream(() => 0);
  #counted = perStream(() => NOTHING);
  constructor(configured) {
    this.#configured = configured;
  }
  /** Figures since start. Intervals with too little in them run on into the next. */
  observe(stats) {
    for (const kind of STREAM_NAMES) {
      const now = transferred(stats, kind);
      const before = this.#counted[kind];
      if (now.ms - before.ms < LEAST_MS) continue;
      this.#best[kind] = Math.max(this.#best[kind], (now.bytes - before.bytes) * MS_PER_S / (now.ms - before.ms));
      this.#counted[kind] = now;
    }
  }
  of(kind) {
    const configured = kind === "read" || kind === "write" ? this.#configured[kind] : null;
    if (configured !== null) return { bytesPerS: configured, basis: "configured" };
    return this.#best[kind] === 0 ? null : { bytesPerS: this.#best[kind], basis: "measured" };
  }
};

// ts/telemetry/loop-delay.ts
import { monitorEventLoopDelay } from "node:perf_hooks";
var RESOLUTION_MS = 10;
var NS_PER_MS = 1e6;
var LoopDelayMeter = class {
  #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  constructor() {
    this.#histogram.enable();
  }
  read() {
    return { p50: this.#percentile(50), p99: this.#percentile(99) };
  }
  /** Starts counting anew. */
  reset() {
    this.#histogram.reset();
  }
  close() {
    this.#histogram.disable();
  }
  #percentile(percentile) {
    if (this.#histogram.count === 0) return 0;
    return Math.max(0, this.#histogram.percentile(percentile) / NS_PER_MS - RESOLUTION_MS);
  }
};

// ts/telemetry/metrics.ts
import { Counter, Gauge } from "prom-client";
var SECONDS = 1e3;
function by(label, values) {
  return Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
function tiers(of) {
  return (sample) => sample.tiers.map((tier) => ({ labels: { tier: tier.name }, value: of(tier) }));
}
function transfers(of) {
  return (sample) => STREAM_NAMES.map((kind) => ({ labels: { kind }, value: of(sample.transfers[kind]) }));
}
var counter = (name2, help, read) => ({ name: name2, help, kind: "counter", read });
var gauge = (name2, help, read) => ({ name: name2, help, kind: "gauge", read });
var METRICS = [
  counter(
    "requests_total",
    "Requests that ended, by outcome",
    ({ requests: { ok, cancelled, failed, rejected } }) => by("outcome", { ok, cancelled, failed, rejected })
  ),
  gauge(
    "requests",
    "Requests now, by state",
    ({ requests: { queued, preparing, running } }) => by("state", { queued, preparing, running })
  ),
  counter("prompt_tokens_total", "Tokens of prompts", ({ tokens }) => tokens.prompt),
  counter("completion_tokens_total", "Tokens of answers", ({ tokens }) => tokens.completion),
  counter("computed_tokens_total", "Prompt tokens that were computed", ({ tokens }) => tokens.computed),
  counter("recomputed_tokens_total", "Tokens computed again after a preemption", ({ tokens }) => tokens.recomputed),
  counter("reused_tokens_total", "Prompt tokens that were not computed, by tier", ({ tokens }) => by("tier", tokens.reused)),
  counter(
    "missed_tokens_total",
    "Prompt tokens that were not reused, by reason",
    ({ tokens: { miss } }) => by("reason", {
      never_seen: miss.neverSeen,
      reasoning_dropped: miss.reasoningDropped,
      evicted: miss.evicted,
      damaged: miss.damaged,
      outside_view: miss.outsideView,
      unknown: miss.unknown
    })
  ),
  counter(
    "saved_compute_seconds_total",
    "Computation that reuse saved, estimated from the measured speed of prompts",
    ({ saved }) => saved.ms / SECONDS
  ),
  gauge(
    "prefill_tokens_per_second",
    "Measured speed of computing a prompt of 1024 tokens; 0 before it is measured",
    ({ prefillTokensPerS }) => prefillTokensPerS ?? 0
  ),
  counter("preemptions_total", "Requests put back to the queue", ({ preemptions }) => preemptions),
  counter(
    "blocks_moved_total",
    "Blocks copied between tiers",
    ({ blocks: { saved, loaded, promoted, demoted } }) => by("move", { saved, loaded, promoted, demoted })
  ),
  counter(
    "prefetched_blocks_total",
    "Blocks brought nearer before they were needed, by outcome",
    ({ prefetches }) => by("outcome", prefetches)
  ),
  counter("history_choices_total", "Requests that found history on disk, by the way chosen", ({ history }) => by("choice", history)),
  counter("blocks_dropped_total", "Blocks given up, by cause", ({ blocks }) => by("cause", blocks.dropped)),
  counter(
    "abandoned_blocks_total",
    "Blocks whose save or write failed three times and is not tried again",
    ({ blocks }) => by("kind", blocks.abandoned)
  ),
  counter("damaged_reads_total", "Blocks read from disk that were not the blocks asked for", ({ damagedReads }) => damagedReads),
  counter(
    "failed_transfers_total",
    "Transfers that failed, by kind and code",
    ({ failedTransfers }) => failedTransfers.map(({ kind, code, count: count9 }) => ({ labels: { kind, code }, value: count9 }))
  ),
  counter("transfer_bytes_total", "Bytes moved", transfers(({ bytes }) => bytes)),
  counter("transfer_seconds_total", "Time in which bytes were moved", transfers(({ ms }) => ms / SECONDS)),
  gauge("transfer_queue_depth", "Transfers that wait or run", transfers(({ queueDepth }) => queueDepth)),
  gauge(
    "transfer_limit_bytes_per_second",
    "Fastest rate at which bytes have moved, or may move",
    ({ transfers: transfers2 }) => Object.entries(transfers2).flatMap(([kind, { limit }]) => limit ? [{ labels: { kind }, value: limit.bytesPerS }] : [])
  ),
  counter(
    "constraint_sources_total",
    "Grammars, schemas, patterns and choices that answers were to be held to, by what came of them",
    ({ constraints }) => by("outcome", constraints.sources)
  ),
  counter("masks_total", "Masks made for constrained answers", ({ constraints }) => constraints.masks),
  counter("mask_seconds_total", "Time in which masks were made", ({ constraints }) => constraints.maskMs / SECONDS),
  counter("late_rows_total", "Rows that were not sampled because their mask was not ready", ({ constraints }) => constraints.lateRows),
  counter("steps_total", "Steps of the engine", ({ steps }) => steps.count),
  counter("compute_seconds_total", "Time of steps", ({ steps }) => steps.computeMs / SECONDS),
  counter("load_stall_seconds_total", "Time in which steps waited for loads", ({ steps }) => steps.loadStallMs / SECONDS),
  counter("stalled_layers_total", "Layers that waited for a load", ({ steps }) => steps.stalledLayers),
  gauge("schedule_seconds", "The scheduler's own time a step", ({ steps }) => percentiles(steps.scheduleMs)),
  gauge("tier_capacity_bytes", "Bound of a tier", tiers(({ capacityBytes }) => capacityBytes)),
  gauge("tier_used_bytes", "Bytes used in a tier", tiers(({ usedBytes }) => usedBytes)),
  gauge("tier_capacity_blocks", "Slots of a tier", tiers(({ capacityBlocks }) => capacityBlocks)),
  gauge("tier_running_blocks", "Blocks that running requests refer to", tiers(({ blocks }) => blocks.running)),
  gauge("tier_waiting_blocks", "Blocks that queued requests want", tiers(({ blocks }) => blocks.waiting)),
  gauge("tier_cached_blocks", "Blocks kept for later", tiers(({ blocks }) => blocks.cached)),
  gauge(
    "event_loop_delay_seconds",
    "Delay of the event loop in the last half second",
    ({ eventLoopDelayMs }) => percentiles(eventLoopDelayMs)
  ),
  gauge("resident_memory_bytes", "Resident memory of the process", ({ residentBytes }) => residentBytes),
  gauge("uptime_seconds", "Time since the start", ({ uptimeMs }) => uptimeMs / SECONDS)
];
function percentiles({ p50, p99 }) {
  return by("percentile", { "50": p50 / SECONDS, "99": p99 / SECONDS });
}
function registerMetrics(registry, info3, current) {
  for (const metric of METRICS) register(registry, metric, current);
  const labelNames = ["version", "model", "device", "io_engine", "policy"];
  const { version, device, ioEngine, policy, models: models2 } = info3;
  new Gauge({ name: "attentionstore_info", help: "The running server: version, model, device, disk engine, policy", labelNames, registers: [registry] }).labels({ version, model: models2[0] ?? "", device, io_engine: ioEngine, policy }).set(1);
}
var LABEL_NAMES = ["outcome", "state", "tier", "move", "cause", "kind", "percentile", "reason", "choice", "code"];
function register(registry, metric, current) {
  const common = { name: `attentionstore_${metric.name}`, help: metric.help, labelNames: LABEL_NAMES, registers: [registry] };
  const points = () => {
    const read = metric.read(current());
    return typeof read === "number" ? [{ labels: {}, value: read }] : read;
  };
  if (metric.kind === "gauge") {
    new Gauge({
      ...common,
      collect() {
        this.reset();
        for (const { labels, value } of points()) this.set(labels, value);
      }
    });
    return;
  }
  new Counter({
    ...common,
    collect() {
      this.reset();
      for (const { labels, value } of points()) this.inc(labels, value);
    }
  });
}

// ts/telemetry/record-feed.ts
var INTERVAL_MS = 250;
var MOST_RECORDS = 250;
var RecordFeed = class {
  #records;
  #ticks;
  constructor(clock, records) {
    this.#records = records;
    this.#ticks = new Feed(clock, INTERVAL_MS, () => {
    });
  }
  /** Sends the records that are added or changed from now on; the returned function ends that. */
  follow(follower) {
    let { mark } = this.#records;
    return this.#ticks.listen(() => {
      if (mark === this.#records.mark || !follower.isReady()) return;
      const { records, skipped, mark: reached } = this.#records.changedSince(mark, MOST_RECORDS);
      mark = reached;
      follower.take({ records, skipped });
    });
  }
  close() {
    this.#ticks.close();
  }
};

// ts/telemetry/sample.ts
function takeSample({ service, stats }, limits, own2) {
  const counters = service.counters();
  const engine = stats();
  const { queued, preparing, running } = counters;
  return {
    ...own2,
    tiers: service.cacheStatus().tiers.map(tierSample),
    requests: { ...counters.requestsTotal, queued, preparing, running },
    tokens: {
      prompt: counters.promptTokens,
      completion: counters.completionTokens,
      computed: counters.computedTokens,
      recomputed: counters.recomputedTokens,
      reused: counters.reusedTokens,
      miss: counters.missedTokens
    },
    saved: { tokens: sumTiers(counters.reusedTokens), ms: counters.savedMs },
    prefillTokensPerS: counters.prefillTokensPerS,
    blocks: {
      saved: counters.savedBlocks,
      loaded: counters.loadedBlocks,
      promoted: counters.promotedBlocks,
      demoted: counters.writtenBlocks,
      dropped: counters.droppedBlocks,
      abandoned: counters.abandonedBlocks
    },
    prefetches: {
      fetched: counters.prefetchedBlocks,
      buffered: counters.bufferedBlocks,
      used: counters.prefetchHits,
      wasted: counters.wastedPrefetches
    },
    history: counters.historyChoices,
    preemptions: counters.preemptions,
    constraints: {
      sources: { compiled: engine.grammarsCompiled, cached: engine.grammarsCached, refused: engine.grammarsRefused },
      masks: engine.masks,
      maskMs: engine.maskMs,
      lateRows: engine.lateRows
    },
    steps: {
      count: engine.steps,
      computeMs: engine.computeMs,
      loadStallMs: engine.loadStallMs,
      stalledLayers: engine.stalledLayers,
      scheduleMs: counters.scheduleMs
    },
    transfers: transferSamples(engine, limits),
    damagedReads: engine.damagedReads,
    failedTransfers: counters.failedTransfers,
    residentBytes: process.memoryUsage.rss()
  };
}
function tierSample({ blocks, ...tier }) {
  const { resting, ...wanted } = blocks;
  return { ...tier, blocks: { ...wanted, cached: resting } };
}
function transferSamples(engine, limits) {
  return perStream((kind) => ({
    ...transferred(engine, kind),
    queueDepth: engine[`${kind}QueueDepth`],
    limit: limits.of(kind)
  }));
}

// ts/telemetry/today.ts
function totalsOf({ tokens, saved }) {
  return { promptTokens: tokens.prompt, reusedTokens: saved.tokens, savedMs: saved.ms };
}
function midnightBefore(now) {
  return new Date(now).setHours(0, 0, 0, 0);
}
var Today = class {
  #since;
  #before = { promptTokens: 0, reusedTokens: 0, savedMs: 0 };
  #last = this.#before;
  /** `startedAt`: of the server, milliseconds since the Unix epoch. */
  constructor(startedAt) {
    this.#since = startedAt;
  }
  /** The sums since midnight, or the start. Of turns that ended around midnight, those since the look before it count. */
  of(now, counted) {
    const midnight = midnightBefore(now);
    if (midnight > this.#since) {
      this.#since = midnight;
      this.#before = this.#last;
    }
    const totals = totalsOf(counted);
    this.#last = totals;
    return {
      sinceMs: this.#since,
      promptTokens: totals.promptTokens - this.#before.promptTokens,
      reusedTokens: totals.reusedTokens - this.#before.reusedTokens,
      savedMs: totals.savedMs - this.#before.savedMs
    };
  }
};

// ts/telemetry/turns.ts
import { Histogram } from "prom-client";

// ts/telemetry/recent-times.ts
var MAX_TIMES = 1024;
var RecentTimes = class {
  #times = [];
  #count = 0;
  add(ms) {
    this.#count++;
    if (this.#times.length < MAX_TIMES) this.#times.push(ms);
  }
  /** null: none since `clear`. */
  summary() {
    if (this.#count === 0) return null;
    const sorted = this.#times.toSorted((a, b) => a - b);
    return { count: this.#count, p50: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, max: sorted.at(-1) ?? 0 };
  }
  clear() {
    this.#times = [];
    this.#count = 0;
  }
};

// ts/telemetry/ttft-window.ts
var WINDOW_MS = 6e4;
var MOST_TURNS = 1024;
var TtftWindow = class {
  /** Oldest first. */
  #turns = [];
  add(at, ttftMs, withoutReuseMs) {
    if (this.#turns.length === MOST_TURNS) this.#turns.shift();
    this.#turns.push({ at, ttftMs, withoutReuseMs });
  }
  /** null: no turn ended in the minute before `now`. */
  summary(now) {
    while ((this.#turns[0]?.at ?? now) < now - WINDOW_MS) this.#turns.shift();
    if (this.#turns.length === 0) return null;
    const estimates2 = this.#turns.flatMap(({ withoutReuseMs }) => withoutReuseMs === null ? [] : [withoutReuseMs]);
    const withoutReuse2 = estimates2.length === 0 ? null : quantiles(estimates2);
    return { count: this.#turns.length, ...quantiles(this.#turns.map(({ ttftMs }) => ttftMs)), withoutReuse: withoutReuse2 };
  }
};
function quantiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { p50: at(0.5), p95: at(0.95) };
}

// ts/telemetry/turns.ts
var BUCKETS_S = [5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
var TOKEN_BUCKETS_S = [1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
var TurnTimes = class {
  #phases;
  #perToken;
  /** Times to first token since the last sample. */
  recent = new RecentTimes();
  lastMinute = new TtftWindow();
  #clock;
  constructor(registry, clock) {
    this.#clock = clock;
    const histogram = (name2, help, buckets) => new Histogram({ name: `attentionstore_${name2}_seconds`, help, buckets, registers: [registry] });
    this.#phases = {
      queue: histogram("queue", "Time a request waited", BUCKETS_S),
      load: histogram("load", "Time a request loaded its history", BUCKETS_S),
      prefill: histogram("prefill", "Time a request computed its prompt", BUCKETS_S),
      time_to_first_token: histogram("time_to_first_token", "Time from arrival to the first token", BUCKETS_S)
    };
    this.#perToken = histogram("time_per_output_token", "Time a token of an answer after its first", TOKEN_BUCKETS_S);
  }
  /** The same turn, observed. `startedAt`: when it was asked for, on the clock of `performance.now()`. */
  observed(turn, startedAt) {
    const observe = (done2, answerMs) => this.#observe(done2, answerMs);
    const { recent } = this;
    return {
      conversation: turn.conversation,
      promptTokens: turn.promptTokens,
      cancel: () => turn.cancel(),
      async *[Symbol.asyncIterator]() {
        let firstAt = null;
        for await (const event of turn) {
          if (firstAt === null) {
            firstAt = performance.now();
            recent.add(firstAt - startedAt);
          }
          if (event.type === "done") observe(event, performance.now() - firstAt);
          yield event;
        }
      }
    };
  }
  #observe({ usage: usage2 }, answerMs) {
    this.#phases.queue.observe(usage2.queueMs / 1e3);
    this.#phases.load.observe(usage2.loadMs / 1e3);
    this.#phases.prefill.observe(usage2.prefillMs / 1e3);
    this.#phases.time_to_first_token.observe(usage2.ttftMs / 1e3);
    this.lastMinute.add(this.#clock.now(), usage2.ttftMs, usage2.ttftWithoutReuseMs);
    if (usage2.completionTokens > 1) this.#perToken.observe(answerMs / 1e3 / (usage2.completionTokens - 1));
  }
};

// ts/telemetry/telemetry.ts
var SAMPLE_INTERVAL_MS = 500;
var HISTORY_INTERVAL_MS = 4e3;
var MAP_INTERVAL_MS = 1e3;
var WHAT_IF_INTERVAL_MS = 2e3;
var Telemetry = class {
  info;
  records;
  maps;
  whatIfs;
  #sources;
  #clock;
  #registry = new Registry();
  #loopDelay = new LoopDelayMeter();
  #turnTimes;
  #limits;
  #today;
  #history = new SampleHistory();
  #cutOff;
  #startedAt;
  #listeners = /* @__PURE__ */ new Set();
  #feeds;
  /** All metrics of one scrape read the same sample. */
  #scraped;
  constructor(info3, sources, { clock = systemClock, limits = { read: null, write: null } } = {}) {
    this.info = info3;
    this.#sources = sources;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#today = new Today(this.#startedAt);
    this.#limits = new BandwidthLimits(limits);
    this.#turnTimes = new TurnTimes(this.#registry, clock);
    this.#scraped = this.sample();
    registerMetrics(this.#registry, info3, () => this.#scraped);
    this.#cutOff = new Counter2({
      name: "attentionstore_streams_cut_off_total",
      help: "Streams closed because their client did not read",
      registers: [this.#registry]
    });
    const { service } = sources;
    this.records = new RecordFeed(clock, service.records);
    this.maps = new Feed(clock, MAP_INTERVAL_MS, () => ({ uptimeMs: clock.now() - this.#startedAt, ...service.cacheMap() }));
    this.whatIfs = new Feed(clock, WHAT_IF_INTERVAL_MS, () => service.whatIf());
    const ticks = new Feed(clock, SAMPLE_INTERVAL_MS, () => this.#publish());
    const history = new Feed(clock, HISTORY_INTERVAL_MS, () => this.sample());
    ticks.listen(() => {
    });
    history.listen((sample) => this.#history.add(sample));
    this.#feeds = [ticks, history, this.records, this.maps, this.whatIfs];
  }
  sample() {
    const now = this.#clock.now();
    const own2 = {
      uptimeMs: now - this.#startedAt,
      eventLoopDelayMs: this.#loopDelay.read(),
      ttftMs: this.#turnTimes.recent.summary(),
      ttft: this.#turnTimes.lastMinute.summary(now)
    };
    const sample = takeSample(this.#sources, this.#limits, own2);
    return { ...sample, today: this.#today.of(now, sample) };
  }
  snapshot() {
    return { info: this.info, sample: this.sample(), history: this.#history.points };
  }
  /** Calls `listener` twice a second; the returned function ends that. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  /** The same turn, its times observed. `startedAt`: when it was asked for, on the clock of `performance.now()`. */
  observed(turn, startedAt) {
    return this.#turnTimes.observed(turn, startedAt);
  }
  streamCutOff() {
    this.#cutOff.inc();
  }
  async prometheus() {
    this.#scraped = this.sample();
    return { text: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }
  close() {
    for (const feed of this.#feeds) feed.close();
    this.#listeners.clear();
    this.#loopDelay.close();
  }
  #publish() {
    if (this.#listeners.size > 0) {
      const sample = this.sample();
      for (const listener of this.#listeners) listener(sample);
    }
    this.#limits.observe(this.#sources.stats());
    this.#loopDelay.reset();
    this.#turnTimes.recent.clear();
  }
};

// ts/engine/types.ts
var BLOCK_TOKENS = 64;

// ts/engine/simulated/content.ts
function mix(a, b) {
  let h = Math.imul(a ^ b + 2654435769, 2246822507);
  h ^= h >>> 13;
  h = Math.imul(h ^ a >>> 7, 3266489909);
  return (h ^ h >>> 16) >>> 0;
}
var SlotContent = class {
  rows = new Uint32Array(BLOCK_TOKENS);
  #digest = null;
  /** `poison`: what lies in a slot that nobody wrote; different everywhere, so that reading it shows. */
  constructor(poison) {
    for (let row3 = 0; row3 < BLOCK_TOKENS; row3++) this.rows[row3] = mix(poison, row3);
  }
  set(row3, value) {
    this.rows[row3] = value;
    this.#digest = null;
  }
  /** The first `valid` rows of `other`; rows beyond become zero. */
  fill(other, valid) {
    this.rows.fill(0);
    this.rows.set(other.subarray(0, valid));
    this.#digest = null;
  }
  /** The first `valid` rows of `other`; rows beyond stay. */
  copyRows(other, valid) {
    this.rows.set(other.subarray(0, valid));
    this.#digest = null;
  }
  /** Everything in the slot, folded into `before`. */
  foldAll(before) {
    if (this.#digest === null) {
      let digest = 0;
      for (const row3 of this.rows) digest = mix(digest, row3);
      this.#digest = digest;
    }
    return mix(before, this.#digest);
  }
};
function computeRows(slots, from, to, tokenAt) {
  let state = 0;
  const firstBlock = Math.floor(from / BLOCK_TOKENS);
  for (let index2 = 0; index2 < firstBlock; index2++) state = slots[index2].foldAll(state);
  for (let index2 = firstBlock; index2 * BLOCK_TOKENS < to; index2++) {
    const slot = slots[index2];
    const start = index2 * BLOCK_TOKENS;
    let inBlock = state;
    for (let row3 = 0; row3 < BLOCK_TOKENS && start + row3 < to; row3++) {
      if (start + row3 >= from) slot.set(row3, mix(mix(inBlock, tokenAt(start + row3)), row3));
      inBlock = mix(inBlock, slot.rows[row3]);
    }
    if (start + BLOCK_TOKENS >= to) return inBlock;
    state = slot.foldAll(state);
  }
  return state;
}

// ts/engine/simulated/hazards.ts
var ContractViolation = class extends Error {
  name = "ContractViolation";
};
function count3(counts, slot) {
  counts[slot] = (counts[slot] ?? 0) + 1;
  return () => {
    counts[slot] = (counts[slot] ?? 0) - 1;
  };
}
var SlotUse = class {
  #tier;
  #readers;
  #writers;
  #names;
  constructor(tier, slots) {
    this.#tier = tier;
    this.#readers = new Uint16Array(slots);
    this.#writers = new Uint16Array(slots);
    this.#names = new Uint16Array(slots);
  }
  /** Begins to read; answers what ends it. Nobody may be writing. */
  read(slot, what) {
    this.#check(slot, what);
    if (this.#writers[slot]) throw new ContractViolation(`${what}: ${this.#tier} slot ${slot} is being written`);
    return count3(this.#readers, slot);
  }
  /** Begins to write; answers what ends it. Nobody may be reading or writing. */
  write(slot, what) {
    this.#check(slot, what);
    if (this.#writers[slot] || this.#readers[slot] || this.#names[slot]) throw new ContractViolation(`${what}: ${this.#tier} slot ${slot} is in use`);
    return count3(this.#writers, slot);
  }
  /** A step names the slot: nothing but that step may write it. Loads that began before are waited for. */
  name(slot) {
    this.#check(slot, "step");
    return count3(this.#names, slot);
  }
  #check(slot, what) {
    if (!(slot >= 0 && slot < this.#readers.length)) throw new ContractViolation(`${what}: there is no ${this.#tier} slot ${slot}`);
  }
};

// ts/engine/simulated/disk.ts
var SimulatedDisk = class _SimulatedDisk {
  constructor(id3) {
    this.id = id3;
  }
  id;
  /** What a read finds, by slot. */
  extents = /* @__PURE__ */ new Map();
  #unflushed = /* @__PURE__ */ new Map();
  /** The slot holds these bytes from now on; undefined: zeros. */
  write(slot, extent) {
    const before = this.#unflushed.has(slot) ? this.#unflushed.get(slot)?.before : this.extents.get(slot);
    this.#unflushed.set(slot, { before, isForsaken: false });
    if (extent) this.extents.set(slot, extent);
    else this.extents.delete(slot);
  }
  /** A flush has ended: what was written before outlives a crash, unless the flush failed. */
  flushed(hasFailed) {
    for (const [slot, write] of this.#unflushed) {
      if (hasFailed) write.isForsaken = true;
      else if (!write.isForsaken) this.#unflushed.delete(slot);
    }
  }
  /** A disk with what a server that is killed now leaves: everything that was written. */
  afterKill() {
    const disk = new _SimulatedDisk(this.id);
    for (const [slot, extent] of this.extents) disk.extents.set(slot, extent);
    return disk;
  }
  /** A disk with what is left when the power goes now: a slot that was written and not flushed holds what it held before. */
  afterPowerLoss() {
    const disk = this.afterKill();
    for (const [slot, { before }] of this.#unflushed) {
      if (before) disk.extents.set(slot, before);
      else disk.extents.delete(slot);
    }
    return disk;
  }
};

// ts/engine/simulated/vocabulary.ts
var TURN_START = 256;
var TURN_END = 257;
var TEXT_START = 258;
var FIRST_PAIR = 260;
var PAIRS = ["th", "he", "in", "er", "an", "re", "on", "at", "e ", " t", "\xE9", "\xDF", "\n\n", "us"];
var encoder = new TextEncoder();
var pairBytes = PAIRS.map((pair) => encoder.encode(pair));
var pairIds = new Map(pairBytes.map((bytes, i) => [pairCode(bytes[0], bytes[1]), FIRST_PAIR + i]));
var specialText = /* @__PURE__ */ new Map([
  [TURN_START, "<|im_start|>"],
  [TURN_END, "<|im_end|>"],
  [TEXT_START, "<|endoftext|>"],
  [259, "<|reserved|>"]
]);
var VOCABULARY_SIZE = FIRST_PAIR + PAIRS.length;
function pairCode(first, second) {
  return first * 256 + second;
}
function encodeText(text5) {
  return encodeBytes(encoder.encode(text5));
}
function encodeBytes(bytes) {
  const ids = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    const pair = at + 1 < bytes.length ? pairIds.get(pairCode(first, bytes[at + 1])) : void 0;
    ids.push(pair ?? first);
    at += pair === void 0 ? 1 : 2;
  }
  return ids;
}
function bytesOf(token) {
  if (token < 256) return Uint8Array.of(token);
  if (token >= VOCABULARY_SIZE) return Uint8Array.of(97 + token % 26);
  const special = specialText.get(token);
  return special === void 0 ? pairBytes[token - FIRST_PAIR] ?? new Uint8Array() : encoder.encode(special);
}
function decodeTokens(tokens) {
  return new TextDecoder().decode(Buffer.concat([...tokens].map(bytesOf)));
}
function encodeChat({ messages: messages3, tools = [], templateArguments: templateArguments2 = {}, ending = "answer" }, date) {
  const prompt = new SimulatedPrompt();
  const isLed = messages3[0]?.role === "system";
  if (tools.length > 0) prompt.push({ role: "tools", content: JSON.stringify(tools) });
  if (Object.keys(templateArguments2).length > 0) prompt.push({ role: "arguments", content: JSON.stringify(templateArguments2) });
  if (!isLed) prompt.push({ role: "system", content: `Today is ${date}.` });
  let systemTokens = prompt.tokens.length;
  messages3.forEach((message2, i) => {
    prompt.push(message2, ending === "open" && i === messages3.length - 1);
    if (isLed && i === 0) systemTokens = prompt.tokens.length;
  });
  if (ending === "answer") prompt.begin("assistant");
  const { tokens, withoutReasoning } = prompt;
  return { tokens: Uint32Array.from(tokens), systemTokens, startsInReasoning: false, withoutReasoning };
}
var SimulatedPrompt = class {
  tokens = [];
  withoutReasoning = [];
  begin(role) {
    this.tokens.push(TURN_START);
    this.#add(encodeText(`${role}
`));
  }
  push(message2, isOpen = false) {
    this.begin(message2.role);
    const from = this.tokens.length;
    const { ids, leavesReasoningOut } = bodyOf(message2);
    this.#add(ids);
    if (leavesReasoningOut) this.withoutReasoning.push([from, this.tokens.length]);
    if (isOpen) return;
    this.tokens.push(TURN_END);
    this.#add(encodeText("\n"));
  }
  /** One at a time: a long content has more tokens than a call takes arguments. */
  #add(tokens) {
    for (const token of tokens) this.tokens.push(token);
  }
};
function bodyOf({ content: content2, reasoning: reasoning2 = "", toolCalls: toolCalls2 = [], stored }) {
  if (!stored || toolCalls2.length > 0 && !stored.whole) {
    const calls = toolCalls2.map((call2) => JSON.stringify([call2.name, call2.arguments]));
    return { ids: encodeText([reasoning2, content2, ...calls].join("")), leavesReasoningOut: false };
  }
  const leavesReasoningOut = reasoning2 === "" && (stored.reasoning ?? 0) > 0;
  const ids = [...stored.tokens.subarray(leavesReasoningOut ? stored.reasoning : 0)];
  if (toolCalls2.length > 0 || stored.whole) return { ids, leavesReasoningOut };
  for (const id3 of encodeBytes(encoder.encode(content2).subarray(stored.bytes))) ids.push(id3);
  return { ids, leavesReasoningOut };
}

// ts/engine/simulated/options.ts
function simulatedOptions(given) {
  const profile = given.profile ?? cpu2;
  return {
    profile,
    clock: systemClock,
    slots: { hbm: 256, dram: 512, ssd: 4096 },
    dramStagingOnly: false,
    maxBatchTokens: 256,
    modelContext: profile.modelContext,
    disk: new SimulatedDisk(crypto.randomUUID()),
    faults: {},
    recorded: null,
    vocabSize: VOCABULARY_SIZE,
    ...given
  };
}

// ts/engine/simulated/sampler.ts
var END_ODDS = 48;
var letters = [...new TextEncoder().encode("etaoinshrdlucmf  .\n")];
var alphabet = [...letters, ...letters, ...letters, ...letters, ...letters, ...letters, ...Array.from({ length: VOCABULARY_SIZE - 260 }, (_, i) => 260 + i), 195, 169];
function sampleToken(state, sampling, index2, ignoreEos, allowed2 = null) {
  const chance = sampling.temperature === 0 ? mix(state, 1) : mix(mix(mix(state, Number(sampling.seed & 0xffffffffn)), Number(sampling.seed >> 32n)), index2);
  if (allowed2) return allowed2[mix(chance, 2) % allowed2.length];
  if (!ignoreEos && chance % END_ODDS === 0) return TURN_END;
  return alphabet[mix(chance, 2) % alphabet.length];
}
function logprobOf(token, top) {
  const at = alphabet.indexOf(token);
  const likeliest = Array.from({ length: top }, (_, i) => [alphabet[(at + i + alphabet.length) % alphabet.length], -0.5 - i]);
  return { token, logprob: -0.5, top: likeliest };
}

// ts/engine/view.ts
var MIN_WINDOW = 256;
function viewParameters(window, ratio, systemTokens) {
  const whole = wholeBlocks(window);
  const head3 = clamp(Math.ceil(systemTokens / BLOCK_TOKENS) * BLOCK_TOKENS, BLOCK_TOKENS, wholeBlocks(whole / 4));
  const step = clamp(wholeBlocks(ratio * (whole - head3)), BLOCK_TOKENS, whole - head3);
  return { window: whole, head: head3, step };
}
function epochOf(view, token) {
  return view === null || token < view.window ? 0 : 1 + Math.floor((token - view.window) / view.step);
}
function leftOut(view, token) {
  return view === null ? 0 : epochOf(view, token) * view.step;
}
function nextEdge(view, token) {
  return view === null ? Infinity : view.window + epochOf(view, token) * view.step;
}
function viewBlocks(view, token, end) {
  const { from, to } = hiddenBlocks(view, token);
  const blocks = [];
  for (let index2 = 0; index2 < end; index2++) if (index2 < from || index2 >= to) blocks.push(index2);
  return blocks;
}
function hiddenBlocks(view, token) {
  if (view === null) return { from: 0, to: 0 };
  const from = view.head / BLOCK_TOKENS;
  return { from, to: from + leftOut(view, token) / BLOCK_TOKENS };
}
function keyedView(view, index2) {
  return view !== null && index2 * BLOCK_TOKENS >= view.window ? view : null;
}
function wholeBlocks(tokens) {
  return Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
}
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// ts/engine/simulated/output.ts
var TAGS = {
  content: [
    ["<think>", "reasoning"],
    ["<tool_call>", "name"]
  ],
  reasoning: [["</think>", "content"]],
  name: [["{", "arguments"]],
  arguments: [["</tool_call>", "content"]]
};
var OutputReader = class {
  #reading;
  #mode;
  #held = "";
  #name = "";
  constructor(reading) {
    this.#reading = reading;
    this.#mode = reading?.startsInReasoning ? "reasoning" : "content";
  }
  get inReasoning() {
    return this.#mode === "reasoning";
  }
  push(text5) {
    if (!this.#reading) return text5 === "" ? [] : [{ kind: "content", text: text5 }];
    const parts = [];
    for (const character of text5) {
      this.#held += character;
      this.#release(parts);
    }
    return parts;
  }
  /** What was held back, as the text that it is. */
  finish() {
    const parts = [];
    const held2 = this.#mode === "name" ? `<tool_call>${this.#name}${this.#held}` : this.#held;
    if (this.#mode === "name") this.#mode = "content";
    this.#held = "";
    this.#give(held2, parts);
    return parts;
  }
  #tags() {
    return TAGS[this.#mode].filter(([tag]) => tag !== "<tool_call>" || this.#reading?.calls);
  }
  #release(parts) {
    while (this.#held !== "") {
      const tags = this.#tags();
      const found = tags.find(([tag]) => tag === this.#held);
      if (found) return this.#enter(found[1], parts);
      if (tags.some(([tag]) => tag.startsWith(this.#held))) return;
      const [first] = this.#held;
      this.#held = this.#held.slice(first.length);
      this.#give(first, parts);
    }
  }
  #enter(mode, parts) {
    if (mode === "arguments") parts.push({ kind: "call", name: this.#name }, { kind: "arguments", text: "{" });
    this.#name = "";
    this.#held = "";
    this.#mode = mode;
  }
  #give(text5, parts) {
    if (this.#mode === "name") this.#name += text5;
    else if (text5 !== "") parts.push({ kind: this.#mode, text: text5 });
  }
};

// ts/engine/simulated/answer.ts
var Answer = class {
  #spec;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #reader;
  #tokens = [];
  #text = "";
  #shown = 0;
  #reasoningTokens = 0;
  /** Nothing but reasoning has come. */
  #isLeading = true;
  constructor(spec) {
    this.#spec = spec;
    this.#reader = new OutputReader(spec.output);
  }
  add(token) {
    const { ignoreEos, stopTokens, maxTokens: maxTokens2 } = this.#spec;
    if (token === TURN_END && !ignoreEos) return this.#endBefore(null);
    if (stopTokens.includes(token)) return this.#endBefore(token);
    this.#tokens.push(token);
    const wasReasoning = this.#reader.inReasoning;
    const parts = [];
    const stop = this.#take(this.#decoder.decode(bytesOf(token), { stream: true }), parts);
    this.#countReasoning(wasReasoning, parts);
    if (stop !== null) return this.#ended(parts, true, "stop", stop);
    if (this.#tokens.length === maxTokens2) return this.#ended(parts, true, "length", null);
    return { parts: merged(parts), isCounted: true, end: null };
  }
  /** Takes text in, a character at a time: where reasoning ends is where stop strings begin to count. The stop, if one is complete. */
  #take(text5, parts) {
    for (const character of text5) {
      this.#text += character;
      if (this.#reader.inReasoning) {
        this.#show(this.#text.length, parts);
        continue;
      }
      const stop = this.#findStop();
      if (stop !== null) {
        this.#text = this.#text.slice(0, this.#text.length - stop.length);
        return stop;
      }
      this.#show(this.#text.length - this.#heldBack(), parts);
    }
    return null;
  }
  /** No token may follow. */
  endHere(finish) {
    return this.#end(finish, null);
  }
  #endBefore(stopped) {
    return this.#ended([], false, "stop", stopped);
  }
  #ended(parts, isCounted, finish, stopped) {
    this.#show(this.#text.length, parts);
    parts.push(...this.#reader.finish());
    return { parts: merged(parts), isCounted, end: this.#end(finish, stopped) };
  }
  #show(to, parts) {
    parts.push(...this.#reader.push(this.#text.slice(this.#shown, to)));
    this.#shown = Math.max(this.#shown, to);
  }
  /** The longest stop string that the text ends with; all of it is behind what was shown. */
  #findStop() {
    const ends = this.#spec.stop.filter((stop) => this.#text.endsWith(stop) && this.#text.length - stop.length >= this.#shown);
    return ends.toSorted((a, b) => b.length - a.length)[0] ?? null;
  }
  /** Characters at the end that might be the beginning of a stop string. */
  #heldBack() {
    let held2 = 0;
    for (const stop of this.#spec.stop) {
      for (let length = Math.min(stop.length - 1, this.#text.length - this.#shown); length > held2; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) held2 = length;
      }
    }
    return held2;
  }
  #countReasoning(wasReasoning, parts) {
    if (!this.#isLeading) return;
    const isReasoning = this.#reader.inReasoning;
    if (isReasoning || wasReasoning) this.#reasoningTokens = this.#tokens.length;
    this.#isLeading = isReasoning || !wasReasoning && parts.every((part2) => part2.kind === "reasoning");
  }
  /** The longest run of tokens whose bytes are the beginning of the text. */
  #end(finish, stopped) {
    const bytes = new TextEncoder().encode(this.#text);
    let insideTokens = 0;
    let insideBytes = 0;
    for (const token of this.#tokens) {
      const piece = bytesOf(token);
      if (!piece.every((byte, i) => bytes[insideBytes + i] === byte)) break;
      insideBytes += piece.length;
      insideTokens++;
    }
    return { finish, stopped, insideTokens, insideBytes, reasoningTokens: this.#reasoningTokens };
  }
};
function merged(parts) {
  const joined = [];
  for (const part2 of parts) {
    const last = joined.at(-1);
    if (part2.kind !== "call" && last?.kind === part2.kind) joined[joined.length - 1] = { kind: part2.kind, text: last.text + part2.text };
    else joined.push(part2);
  }
  return joined;
}

// ts/engine/simulated/constraint.ts
var SimulatedConstraint = class _SimulatedConstraint {
  kind;
  /** Token ids of each choice; null: answers are a recording's, and are taken as they are. */
  #choices;
  constructor(kind, choices2) {
    this.kind = kind;
    this.#choices = choices2;
  }
  /** @param isRecorded The engine's answers come from a recording: it holds them to nothing. */
  static of(source, isRecorded) {
    if (isRecorded) return new _SimulatedConstraint(source.kind, null);
    if (source.kind === "calls") return new _SimulatedConstraint("calls", source.choice === "auto" ? null : callsOf(source).map(encodeText));
    if (source.kind === "choice") return new _SimulatedConstraint("choice", source.choices.map(encodeText));
    throw new EngineError("grammar_unsupported", `The simulated engine holds answers to a choice; ${source.kind} is not supported.`, { kind: source.kind });
  }
  /** The tokens that may follow `answer`, end tokens included; null: any. */
  allowed(answer2) {
    if (this.#choices === null) return null;
    const begun = this.#choices.filter((choice3) => answer2.every((token, at) => choice3[at] === token));
    return [...new Set(begun.map((choice3) => choice3[answer2.length] ?? TURN_END))];
  }
};
function callsOf({ tools, choice: choice3 }) {
  const chosen = typeof choice3 === "string" ? tools : tools.filter(({ name: name2 }) => name2 === choice3.name);
  return chosen.map(({ name: name2 }) => `<tool_call>${name2}{}</tool_call>`);
}
function simulatedConstraint(constraint2) {
  if (constraint2 === void 0) return null;
  if (constraint2 instanceof SimulatedConstraint) return constraint2;
  throw new EngineError("protocol", "the constraint was compiled by another engine");
}

// ts/engine/simulated/sequence.ts
var SimulatedSequence = class {
  constructor(spec, text5) {
    this.spec = spec;
    this.tokens = [...spec.tokens];
    this.answer = new Answer(spec);
    this.#text = text5;
    this.constraint = simulatedConstraint(spec.constraint);
  }
  spec;
  tokens;
  answer;
  /** Block table as of the step that runs, and as of the last plan submitted. */
  table = [];
  plannedTable = [];
  /** Unanswered plans that name it. */
  plans = 0;
  isFinished = false;
  /** A load it depends on failed; until its table is emptied nothing of it is computed. */
  isVoid = false;
  /** Its last row was not sampled: what was planned behind it is not computed. */
  isLate = false;
  constraint;
  #keys = [];
  #text;
  get length() {
    return this.tokens.length;
  }
  /** Tokens of the answer so far. */
  get answered() {
    return this.tokens.slice(this.spec.tokens.length);
  }
  /** Indices of the blocks that a planned row sees, in view order. */
  blocksSeenBy({ from, count: count9 }) {
    return viewBlocks(this.spec.view, from, Math.ceil((from + count9) / BLOCK_TOKENS));
  }
  planReset() {
    this.plannedTable = [];
  }
  reset() {
    this.table = [];
    this.isVoid = false;
  }
  /** Keys of the blocks that rows [from, to) filled. */
  fill(from, to) {
    const filled = [];
    for (let index2 = Math.floor(from / BLOCK_TOKENS); (index2 + 1) * BLOCK_TOKENS <= to; index2++) {
      filled.push({ index: index2, key: this.#keyOf(index2) });
    }
    return filled;
  }
  /** Key of the partly filled block after `computed` tokens; null: the last block is full. */
  tailKey(computed) {
    const rows4 = computed % BLOCK_TOKENS;
    if (rows4 === 0) return null;
    const index2 = Math.floor(computed / BLOCK_TOKENS);
    return this.#text.blockKey(this.#parentOf(index2), index2, this.#slice(index2 * BLOCK_TOKENS, computed), this.spec.view);
  }
  #parentOf(index2) {
    return index2 === 0 ? this.spec.root : this.#keyOf(index2 - 1);
  }
  /** Of a full block. */
  #keyOf(index2) {
    for (let next = this.#keys.length; next <= index2; next++) {
      const parent = next === 0 ? this.spec.root : this.#keys[next - 1];
      this.#keys.push(this.#text.blockKey(parent, next, this.#slice(next * BLOCK_TOKENS, (next + 1) * BLOCK_TOKENS), this.spec.view));
    }
    return this.#keys[index2];
  }
  #slice(from, to) {
    return Uint32Array.from(this.tokens.slice(from, to));
  }
};

// ts/engine/simulated/slots.ts
var PAGE = 4096;
function blockSizes({ kvBytesPerToken }) {
  const blockBytes = kvBytesPerToken * BLOCK_TOKENS;
  return { blockBytes, hostSlotBytes: PAGE + Math.ceil(blockBytes / PAGE) * PAGE };
}

// ts/engine/simulated/text.ts
import { createHash } from "node:crypto";

// ts/engine/too-long.ts
var PromptTooLong = class extends AttentionStoreError {
  /** @param atLeast The prompt has at least so many tokens, more than `most`. */
  constructor(atLeast, most) {
    super("prompt_too_long", `The prompt has at least ${atLeast} tokens; at most ${most} were asked for.`, { at_least: atLeast, most });
    this.atLeast = atLeast;
    this.most = most;
  }
  atLeast;
  most;
  name = "PromptTooLong";
};

// ts/engine/simulated/text.ts
function within(mostTokens2, tokens) {
  if (mostTokens2 !== void 0 && tokens.length > mostTokens2) throw new PromptTooLong(tokens.length, mostTokens2);
  return tokens;
}
var SimulatedText = class {
  /** Sources that were compiled, and that were refused. */
  compiled = 0;
  refused = 0;
  #identity;
  #isRecorded;
  /** @param isRecorded The engine's answers come from a recording. */
  constructor(identity, isRecorded = false) {
    this.#identity = identity;
    this.#isRecorded = isRecorded;
  }
  async compile(source) {
    try {
      const constraint2 = SimulatedConstraint.of(source, this.#isRecorded);
      this.compiled++;
      return constraint2;
    } catch (error) {
      this.refused++;
      throw error;
    }
  }
  async encodeChat(chat2, date, mostTokens2) {
    const prompt = encodeChat(chat2, date);
    within(mostTokens2, prompt.tokens);
    return prompt;
  }
  async encodePrompt(text5, mostTokens2) {
    return within(mostTokens2, Uint32Array.from([TEXT_START].concat(encodeText(text5))));
  }
  async tokenize(text5, addSpecialTokens, mostTokens2) {
    return addSpecialTokens ? this.encodePrompt(text5, mostTokens2) : within(mostTokens2, Uint32Array.from(encodeText(text5)));
  }
  async decode(tokens) {
    return decodeTokens(tokens);
  }
  tokenBytes(token) {
    return bytesOf(token);
  }
  root(tenant2, cacheSalt) {
    return createHash("sha256").update(JSON.stringify([this.#identity, tenant2, cacheSalt])).digest("binary");
  }
  async keys(root, tokens, view) {
    const keys = [];
    let parent = root;
    for (let from = 0; from < tokens.length; from += BLOCK_TOKENS) {
      parent = this.blockKey(parent, from / BLOCK_TOKENS, tokens.subarray(from, from + BLOCK_TOKENS), view);
      keys.push(parent);
    }
    return keys;
  }
  blockKey(parent, index2, tokens, view) {
    const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
    const keyed2 = keyedView(view, index2);
    const hash = createHash("sha256").update(parent, "binary").update(bytes);
    return (keyed2 ? hash.update(`view ${keyed2.window} ${keyed2.head} ${keyed2.step}`) : hash).digest("binary");
  }
};

// ts/engine/simulated/transfers.ts
var Stream = class {
  busyUntil = 0;
  ms = 0;
  bytes = 0;
  depth = 0;
};
function failureOf(error) {
  return error === void 0 ? {} : { error, detail: `simulated: ${error}` };
}
var Transfers = class {
  hbm;
  streams = perStream(() => new Stream());
  damagedReads = 0;
  /** Moment at which the load into an hbm slot ends, and slots whose load failed. */
  loadEnds = /* @__PURE__ */ new Map();
  failedLoads = /* @__PURE__ */ new Set();
  #dram;
  #use;
  #options;
  #emit;
  #bytes;
  constructor(options, bytes, emit) {
    const { slots } = options;
    this.#options = options;
    this.#bytes = bytes;
    this.#emit = emit;
    this.hbm = Array.from({ length: slots.hbm }, (_, slot) => new SlotContent(slot + 1));
    this.#dram = Array.from({ length: slots.dram }, (_, slot) => ({ rows: new SlotContent(-slot - 1).rows, valid: 0 }));
    this.#use = perSlotTier((tier) => new SlotUse(tier, slots[tier]));
  }
  /** Who reads and who writes the slots of hbm. */
  get hbmUse() {
    return this.#use.hbm;
  }
  /** A dram slot for a tier beside the engine that reads it; it stays as it is until `end`. */
  readHost(dramSlot) {
    const end = this.#use.dram.read(dramSlot, "put");
    return { ...this.#dram[dramSlot], end };
  }
  /** A dram slot for a tier beside the engine that fills it; it has no content until `end` brings it. */
  writeHost(dramSlot) {
    const end = this.#use.dram.write(dramSlot, "get");
    return {
      end: (content2) => {
        end();
        this.#dram[dramSlot] = content2 ?? { rows: new SlotContent(-dramSlot - 1).rows, valid: 0 };
      }
    };
  }
  get isIdle() {
    return Object.values(this.streams).every((stream) => stream.depth === 0);
  }
  start(transfer) {
    switch (transfer.kind) {
      case "load":
        return this.#load(transfer);
      case "save":
        return this.save(transfer, transfer.hbmSlot, transfer.dramSlot, transfer.valid);
      case "read":
        return this.#read(transfer);
      case "write":
        return this.#write(transfer);
      case "erase":
        return this.#erase(transfer);
      case "flush":
        return this.#flush(transfer);
    }
  }
  /** hbm → dram; a plan's save begins when its step has ended. */
  save(save, hbmSlot, dramSlot, valid) {
    const ends = [this.#use.hbm.read(hbmSlot, "save"), this.#use.dram.write(dramSlot, "save")];
    const { profile } = this.#options;
    this.#run("save", "kind" in save ? save : { ...save, kind: "plan save" }, this.#bytes, this.#bytes / profile.saveRate, (error) => {
      for (const end of ends) end();
      if (error !== void 0) return error;
      const rows4 = new Uint32Array(BLOCK_TOKENS);
      rows4.set(this.hbm[hbmSlot].rows.subarray(0, valid));
      this.#dram[dramSlot] = { rows: rows4, valid };
      return void 0;
    });
  }
  #load(transfer) {
    const { dramSlot, hbmSlot } = transfer;
    const ends = [this.#use.dram.read(dramSlot, "load"), this.#use.hbm.write(hbmSlot, "load")];
    this.failedLoads.delete(hbmSlot);
    this.#run("load", transfer, this.#bytes, this.#bytes / this.#options.profile.loadRate, (error) => {
      for (const end of ends) end();
      this.loadEnds.delete(hbmSlot);
      const source = this.#dram[dramSlot];
      if (error === void 0) this.hbm[hbmSlot].fill(source.rows, source.valid);
      else this.failedLoads.add(hbmSlot);
      return error;
    });
    this.loadEnds.set(hbmSlot, this.streams.load.busyUntil);
  }
  #read(transfer) {
    const { ssdSlot, dramSlot, key, valid } = transfer;
    const ends = [this.#use.ssd.read(ssdSlot, "read"), this.#use.dram.write(dramSlot, "read")];
    const { readRate, diskLatencyMs } = this.#options.profile;
    this.#run("read", transfer, this.#bytes, diskLatencyMs + this.#bytes / readRate, (error) => {
      for (const end of ends) end();
      const extent = this.#options.disk.extents.get(ssdSlot);
      const isRight = extent?.key === key && extent.valid === valid;
      if (error === void 0 && isRight) this.#dram[dramSlot] = { rows: extent.rows.slice(), valid };
      else this.damagedReads++;
      return error ?? (isRight ? void 0 : "kv_damaged");
    });
  }
  #write(transfer) {
    const { ssdSlot, dramSlot, block } = transfer;
    const { key, tokens } = block;
    const ends = [this.#use.dram.read(dramSlot, "write"), this.#use.ssd.write(ssdSlot, "write")];
    const { writeRate, diskLatencyMs } = this.#options.profile;
    this.#run("write", transfer, this.#bytes, diskLatencyMs + this.#bytes / writeRate, (error) => {
      for (const end of ends) end();
      const source = this.#dram[dramSlot];
      if (error === void 0) this.#options.disk.write(ssdSlot, { key, valid: tokens.length, rows: source.rows.slice() });
      return error;
    });
  }
  #erase(transfer) {
    const end = this.#use.ssd.write(transfer.ssdSlot, "erase");
    const { writeRate, diskLatencyMs } = this.#options.profile;
    this.#run("write", transfer, this.#bytes, diskLatencyMs + this.#bytes / writeRate, (error) => {
      end();
      if (error === void 0) this.#options.disk.write(transfer.ssdSlot, void 0);
      return error;
    });
  }
  /** The stream is in order: what was written before it is on the disk when it ends. */
  #flush(transfer) {
    this.#run("write", transfer, 0, this.#options.profile.flushMs, (error) => {
      this.#options.disk.flushed(error !== void 0);
      return error;
    });
  }
  /** Enqueues on a stream; `apply` runs at the end, told of an injected fault, and answers the error to report. */
  #run(name2, transfer, bytes, ms, apply) {
    const { clock, faults } = this.#options;
    const stream = this.streams[name2];
    const factor = transfer.kind === "plan save" ? 1 : faults.slowdown?.(transfer.kind) ?? 1;
    const taken = ms * factor;
    stream.busyUntil = Math.max(clock.now(), stream.busyUntil) + taken;
    stream.depth++;
    clock.after(stream.busyUntil - clock.now(), () => {
      stream.depth--;
      stream.ms += taken;
      stream.bytes += bytes;
      const error = apply(faults.fails?.(transfer));
      this.#emit({ kind: "transfer", id: transfer.id, bytes, ms: taken, ...failureOf(error) });
    });
  }
};

// ts/engine/step-costs.ts
var FEW_ROWS = 16;
function stepMs(costs, { rows: rows4, history, attended }) {
  const { stepBaseMs, stepPerRowMs, stepPerHistoryTokenMs, stepPerFewRowMs = 0, stepPerAttendedMs = 0 } = costs;
  const ofRows = rows4 * stepPerRowMs + Math.min(rows4, FEW_ROWS) * stepPerFewRowMs;
  return stepBaseMs + ofRows + history * stepPerHistoryTokenMs + attended * stepPerAttendedMs;
}
function attendedBy(from, count9) {
  return count9 * (from + (count9 + 1) / 2);
}

// ts/engine/simulated/engine.ts
var COPY_MS = 0.02;
var SimulatedEngine = class {
  info;
  text;
  #listener = null;
  #options;
  #transfers;
  #sequences = /* @__PURE__ */ new Map();
  #work = [];
  #isComputing = false;
  #unanswered = 0;
  #lastStep = -1;
  #isClosed = false;
  #failure = null;
  #onIdle = [];
  #totals = { steps: 0, computeMs: 0, loadStallMs: 0, stalledLayers: 0, masks: 0, lateRows: 0 };
  constructor(given = {}) {
    this.#options = simulatedOptions(given);
    this.info = infoOf(this.#options);
    this.text = new SimulatedText(this.info.fingerprint, this.#options.recorded !== null);
    this.#transfers = new Transfers(this.#options, this.info.blockBytes, (done2) => this.#emit(done2));
  }
  /** The dram slots, for a tier beside the engine. */
  get host() {
    return this.#transfers;
  }
  get onEvents() {
    return this.#listener ?? (() => {
    });
  }
  set onEvents(listener) {
    const failure = this.#listener === null ? this.#failure : null;
    this.#listener = listener;
    if (failure) queueMicrotask(() => listener([failure]));
  }
  /**
   * Ends the engine as a lost device does: it says so once, reports nothing of what is under way, and every later call
   * throws.
   */
  fail(code, message2) {
    if (this.#failure) return;
    this.#failure = { kind: "failed", code, message: message2 };
    this.#listener?.([this.#failure]);
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
  addSequence(spec) {
    this.#checkAlive();
    if (this.#sequences.has(spec.sequence)) throw new ContractViolation(`sequence ${spec.sequence} is there already`);
    this.#sequences.set(spec.sequence, new SimulatedSequence(spec, this.text));
  }
  dropSequence(sequence) {
    this.#checkAlive();
    if (this.#sequenceOf(sequence).plans > 0) throw new ContractViolation(`sequence ${sequence} is dropped while a step names it`);
    this.#sequences.delete(sequence);
  }
  submit(plan) {
    this.#checkAlive();
    if (this.#isClosed) throw new ContractViolation("the engine is closed");
    if (this.#unanswered === 2) throw new ContractViolation("a third plan while two are unanswered");
    if (plan.step <= this.#lastStep) throw new ContractViolation(`step ${plan.step} after step ${this.#lastStep}`);
    const rows4 = plan.rows.reduce((sum, row3) => sum + row3.count, 0);
    if (rows4 === 0 || rows4 > this.info.maxBatchTokens) throw new ContractViolation(`a plan of ${rows4} rows`);
    this.#lastStep = plan.step;
    this.#unanswered++;
    for (const sequence of plan.resets) this.#sequenceOf(sequence).planReset();
    for (const { sequence, index: index2, slot } of plan.tables) this.#sequenceOf(sequence).plannedTable[index2] = slot;
    const ends = plan.rows.map((row3) => this.#announce(row3));
    this.#work.push({ plan, ends });
    this.#computeNext();
  }
  transfer(transfers2) {
    this.#checkAlive();
    if (this.#isClosed) throw new ContractViolation("the engine is closed");
    for (const transfer of transfers2) {
      if (transfer.kind !== "copy") {
        this.#transfers.start(transfer);
        continue;
      }
      const use = this.#transfers.hbmUse;
      this.#work.push({ copy: transfer, ends: [use.read(transfer.fromHbmSlot, "copy"), use.write(transfer.toHbmSlot, "copy")] });
    }
    this.#computeNext();
  }
  stats() {
    const { load, save, read, write } = this.#transfers.streams;
    return {
      ...this.#totals,
      loadBytes: load.bytes,
      loadMs: load.ms,
      saveBytes: save.bytes,
      saveMs: save.ms,
      readBytes: read.bytes,
      readMs: read.ms,
      writeBytes: write.bytes,
      writeMs: write.ms,
      damagedReads: this.#transfers.damagedReads,
      readQueueDepth: read.depth,
      writeQueueDepth: write.depth,
      saveQueueDepth: save.depth,
      loadQueueDepth: load.depth,
      maskMs: 0,
      grammarsCompiled: this.text.compiled,
      grammarsCached: 0,
      grammarsRefused: this.text.refused
    };
  }
  async close() {
    this.#isClosed = true;
    while (!this.#isIdle) await new Promise((resolve) => this.#onIdle.push(resolve));
  }
  #checkAlive() {
    if (this.#failure) throw new EngineError("engine_closed", "the engine is closed");
  }
  get #isIdle() {
    return this.#failure !== null || this.#work.length === 0 && !this.#isComputing && this.#transfers.isIdle;
  }
  #sequenceOf(id3) {
    const sequence = this.#sequences.get(id3);
    if (!sequence) throw new ContractViolation(`there is no sequence ${id3}`);
    return sequence;
  }
  /** From now until the reply the step names the slots of these rows: it reads some and writes others. */
  #announce(row3) {
    const sequence = this.#sequenceOf(row3.sequence);
    const use = this.#transfers.hbmUse;
    if (row3.from + row3.count > nextEdge(sequence.spec.view, row3.from)) throw new ContractViolation(`sequence ${row3.sequence}: rows across an edge of its view`);
    sequence.plans++;
    const ends = [];
    for (const index2 of sequence.blocksSeenBy(row3)) {
      const slot = sequence.plannedTable[index2];
      if (slot === void 0) throw new ContractViolation(`sequence ${row3.sequence} has no slot for block ${index2}`);
      ends.push(use.name(slot));
    }
    return () => {
      sequence.plans--;
      for (const end of ends) end();
    };
  }
  #computeNext() {
    const work = this.#work[0];
    if (this.#isComputing || !work || this.#failure) return;
    this.#isComputing = true;
    const { clock } = this.#options;
    const { ms, stallMs } = "copy" in work ? { ms: COPY_MS, stallMs: 0 } : this.#stepTime(work.plan);
    clock.after(ms + stallMs, () => {
      this.#work.shift();
      this.#isComputing = false;
      if ("copy" in work) this.#endCopy(work.copy, work.ends);
      else this.#endStep(work.plan, work.ends, ms + stallMs, stallMs);
      this.#computeNext();
    });
  }
  /** Layer l waits for its own load: at worst the last layer is computed after the last load has ended. */
  #stepTime(plan) {
    const { profile, clock } = this.#options;
    let rows4 = 0;
    let history = 0;
    let attended = 0;
    let lastLoad = 0;
    for (const row3 of plan.rows) {
      const sequence = this.#sequenceOf(row3.sequence);
      rows4 += row3.count;
      const before = row3.from - leftOut(sequence.spec.view, row3.from);
      history += before;
      attended += attendedBy(before, row3.count);
      if (this.#transfers.loadEnds.size === 0) continue;
      for (const index2 of sequence.blocksSeenBy(row3)) {
        const slot = sequence.plannedTable[index2];
        if (slot !== void 0) lastLoad = Math.max(lastLoad, this.#transfers.loadEnds.get(slot) ?? 0);
      }
    }
    const ms = stepMs(profile, { rows: rows4, history, attended });
    const end = Math.max(clock.now() + ms, lastLoad + ms / profile.layers);
    return { ms, stallMs: lastLoad === 0 ? 0 : end - clock.now() - ms };
  }
  #endCopy(copy, ends) {
    for (const end of ends) end();
    const [from, to] = [this.#transfers.hbm[copy.fromHbmSlot], this.#transfers.hbm[copy.toHbmSlot]];
    const error = this.#options.faults.fails?.(copy);
    if (error === void 0 && from && to) to.copyRows(from.rows, copy.valid);
    if (error === void 0) this.#transfers.failedLoads.delete(copy.toHbmSlot);
    else this.#transfers.failedLoads.add(copy.toHbmSlot);
    this.#emit({ kind: "transfer", id: copy.id, bytes: this.info.blockBytes, ms: COPY_MS, ...failureOf(error) });
  }
  #endStep(plan, ends, stepMs2, loadStallMs) {
    for (const id3 of plan.resets) this.#sequenceOf(id3).reset();
    for (const { sequence, index: index2, slot } of plan.tables) this.#sequenceOf(sequence).table[index2] = slot;
    const rows4 = plan.rows.map((row3) => this.#compute(row3));
    for (const end of ends) end();
    this.#unanswered--;
    const stalledLayers = loadStallMs > 0 ? 1 : 0;
    this.#totals.steps++;
    this.#totals.computeMs += stepMs2 - loadStallMs;
    this.#totals.loadStallMs += loadStallMs;
    this.#totals.stalledLayers += stalledLayers;
    this.#startSaves(plan, rows4);
    this.#emit({ kind: "step", step: plan.step, rows: rows4, stepMs: stepMs2, loadStallMs, stalledLayers });
  }
  #startSaves(plan, rows4) {
    for (const save of plan.saves) {
      const isComputed = rows4.some((row3) => row3.sequence === save.sequence && row3.status === "ok");
      const slot = this.#sequenceOf(save.sequence).table[save.index];
      if (isComputed && slot !== void 0) this.#transfers.save(save, slot, save.dramSlot, save.valid);
      else this.#options.clock.after(0, () => this.#emit({ kind: "transfer", id: save.id, bytes: 0, ms: 0, error: "not_computed" }));
    }
  }
  #compute(row3) {
    const { sequence: id3, from, count: count9, sample } = row3;
    const sequence = this.#sequenceOf(id3);
    const to = from + count9;
    const nothing = { sequence: id3, parts: [], filled: [] };
    if (sequence.isFinished) return { ...nothing, status: "noop" };
    const hidden = leftOut(sequence.spec.view, from);
    const slots = sequence.blocksSeenBy(row3).map((index2) => sequence.table[index2]);
    for (const slot of slots.slice(Math.ceil((from - hidden) / BLOCK_TOKENS))) this.#transfers.failedLoads.delete(slot);
    sequence.isVoid ||= slots.some((slot) => this.#transfers.failedLoads.has(slot));
    if (sequence.isVoid) return { ...nothing, status: "void" };
    if (sequence.isLate && to > sequence.length) return this.#late(sequence, nothing);
    if (to > sequence.length) throw new ContractViolation(`sequence ${id3}: row ${to - 1} of ${sequence.length} known tokens`);
    if (sample !== (to === sequence.length)) throw new ContractViolation(`sequence ${id3}: sample is ${sample} at ${to} of ${sequence.length}`);
    if (sample && sequence.constraint && this.#options.faults.isLate?.(sequence.spec, to)) return this.#late(sequence, nothing);
    sequence.isLate = false;
    const contents = slots.map((slot) => this.#transfers.hbm[slot]);
    const state = computeRows(contents, from - hidden, to - hidden, (position) => sequence.tokens[position + hidden]);
    const filled = sequence.fill(from, to);
    if (!sample) return { ...nothing, status: "ok", filled };
    return { ...this.#sample(sequence, state, to), status: "ok", filled, sequence: id3 };
  }
  #late(sequence, nothing) {
    sequence.isLate = true;
    this.#totals.lateRows++;
    return { ...nothing, status: "late" };
  }
  #sample(sequence, state, computed) {
    const { sampling, ignoreEos } = sequence.spec;
    const allowed2 = sequence.constraint?.allowed(sequence.answered)?.filter((token2) => !ignoreEos || token2 !== TURN_END) ?? null;
    if (sequence.constraint) this.#totals.masks++;
    if (allowed2?.length === 0) return { parts: [], ...this.#finish(sequence, sequence.answer.endHere("none_allowed"), computed) };
    const token = this.#options.recorded?.(sequence.spec, computed) ?? sampleToken(state, sampling, computed, ignoreEos, allowed2);
    const { parts, isCounted, end } = sequence.answer.add(token);
    if (isCounted) sequence.tokens.push(token);
    const logprob = sampling.logprobs === null || !isCounted ? {} : { logprob: logprobOf(token, sampling.logprobs) };
    const sampled = isCounted ? { token, ...logprob } : {};
    if (!end) return { parts, ...sampled };
    return { parts, ...sampled, ...this.#finish(sequence, end, computed) };
  }
  #finish(sequence, end, computed) {
    sequence.isFinished = true;
    return { ...end, computedTokens: computed, tailKey: sequence.tailKey(computed) };
  }
  #emit(event) {
    if (this.#failure) return;
    this.onEvents([event]);
    if (!this.#isIdle) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
};
function infoOf(options) {
  const { profile, slots, disk, vocabSize } = options;
  const { blockBytes, hostSlotBytes } = blockSizes(profile);
  return {
    kind: "simulated",
    device: profile.device,
    modelName: "simulated",
    layers: profile.layers,
    vocabSize,
    modelContext: options.modelContext,
    sliceBytes: blockBytes / profile.layers,
    blockBytes,
    hostSlotBytes,
    slots,
    dramStagingOnly: options.dramStagingOnly,
    ioEngine: slots.ssd > 0 ? "simulated" : "none",
    maxBatchTokens: options.maxBatchTokens,
    fingerprint: Buffer.from(`simulated ${disk.id}`).toString("hex"),
    textFingerprint: Buffer.from("simulated chatml").toString("hex"),
    endTokens: [TURN_END],
    defaults: {},
    hasChatTemplate: true,
    outputFormat: "simulated"
  };
}

// ts/engine/simulated/virtual-clock.ts
var VirtualClock = class {
  #now;
  #order = 0;
  #timers = [];
  #foreground = 0;
  #isScheduled = false;
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }
  now() {
    return this.#now;
  }
  after(ms, action, options = {}) {
    const isBackground = options.background ?? false;
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, action, isBackground };
    this.#insert(timer);
    this.#schedule();
    return () => this.#remove(timer);
  }
  /** Lets `ms` milliseconds pass, background timers included. */
  async advance(ms) {
    const end = this.#now + ms;
    while (this.#timers[0] && this.#timers[0].at <= end) {
      this.#runFirst();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = Math.max(this.#now, end);
  }
  #insert(timer) {
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1].at > timer.at) at--;
    this.#timers.splice(at, 0, timer);
    if (!timer.isBackground) this.#foreground++;
  }
  #remove(timer) {
    const at = this.#timers.indexOf(timer);
    if (at < 0) return false;
    this.#timers.splice(at, 1);
    if (!timer.isBackground) this.#foreground--;
    return true;
  }
  #schedule() {
    if (this.#isScheduled || this.#foreground === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#foreground > 0) this.#runFirst();
      this.#schedule();
    });
  }
  #runFirst() {
    const timer = this.#timers[0];
    if (!timer) return;
    this.#remove(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.action();
  }
};

// ts/conversations/chain.ts
import { createHash as createHash2, createHmac } from "node:crypto";

// ts/conversations/canonical.ts
var MAX_DEPTH = 128;
var ATOM = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
function canonicalJson(text5) {
  if (text5.trim() === "") return "{}";
  try {
    JSON.parse(text5);
    return written(JSON.parse(text5.replace(ATOM, tagged)), 0);
  } catch {
    return `?${text5}`;
  }
}
function canonicalValue(value) {
  return canonicalJson(JSON.stringify(value));
}
function tagged(atom) {
  return atom.startsWith('"') ? `"s${atom.slice(1)}` : `"n${canonicalNumber(atom)}"`;
}
function canonicalNumber(text5) {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text5) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  const kept = digits.slice(0, end);
  if (kept === "") return "0";
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - kept.length);
  return `${sign}${kept}e${power}`;
}
function written(value, depth) {
  if (depth > MAX_DEPTH) throw new RangeError("too deep");
  if (Array.isArray(value)) return `[${value.map((item2) => written(item2, depth + 1)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${written(member, depth + 1)}`).join(",")}}`;
}

// ts/conversations/chain.ts
function chainStart(secret, tenant2, textFingerprint, tools, cacheSalt = "") {
  return keyed(secret, [tenant2, textFingerprint, tools, cacheSalt]);
}
function saltName(secret, tenant2, cacheSalt) {
  return cacheSalt === "" ? "" : Buffer.from(keyed(secret, [tenant2, cacheSalt]), "latin1").toString("base64url");
}
function chainNext(before, message2) {
  const content2 = createHash2("sha256").update(message2.content, "utf8").digest();
  return link(before, message2.role, message2.name ?? "", content2, message2.toolCalls ?? []);
}
function chainOf(start, messages3) {
  const hashes = [];
  let hash = start;
  for (const message2 of messages3) {
    hash = chainNext(hash, message2);
    hashes.push(hash);
  }
  return hashes;
}
var AnswerHash = class {
  constructor(parent) {
    this.parent = parent;
  }
  parent;
  #content = createHash2("sha256");
  #calls = [];
  /** More of the answer; reasoning is no part of the chain. */
  part(part2) {
    if (part2.kind === "content") this.add(part2.text);
    else if (part2.kind === "call") this.call(part2.name);
    else if (part2.kind === "arguments") this.arguments(part2.text);
  }
  /** More of the content. */
  add(text5) {
    this.#content.update(text5, "utf8");
  }
  /** A call begins. */
  call(name2) {
    this.#calls.push({ name: name2, arguments: "" });
  }
  /** More of the last call's arguments. */
  arguments(text5) {
    const last = this.#calls.at(-1);
    if (last) last.arguments += text5;
  }
  /** The chain hash after the answer. Once only. */
  end() {
    return link(this.parent, "assistant", "", this.#content.digest(), this.#calls);
  }
};
function link(before, role, name2, content2, calls) {
  const hash = createHash2("sha256").update(before, "latin1").update(framed(role)).update(framed(name2)).update(content2);
  for (const call2 of calls) hash.update(framed(call2.name)).update(framed(canonicalJson(call2.arguments)));
  return hash.digest("binary");
}
function keyed(secret, parts) {
  const hmac = createHmac("sha256", secret);
  for (const part2 of parts) hmac.update(framed(part2));
  return hmac.digest("binary");
}
function framed(part2) {
  const bytes = Buffer.from(part2, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

// ts/conversations/records.ts
var OVERHEAD_BYTES = 256;
var AnswerRecords = class {
  #records = /* @__PURE__ */ new Map();
  #table;
  #maxBytes;
  #bytes = 0;
  /** Grows from record to record. */
  #made = 0;
  constructor(table, maxBytes) {
    this.#table = table;
    this.#maxBytes = maxBytes;
    const stored = [];
    for (const { key, value } of table?.entries() ?? []) {
      const found = decode(value);
      if (found) stored.push([Buffer.from(key).toString("latin1"), found]);
      else table?.remove(key);
    }
    stored.sort(([, a], [, b]) => a.made - b.made);
    for (const [hash, { record: record2 }] of stored) this.#insert(hash, record2);
    this.#made = stored.at(-1)?.[1].made ?? 0;
    this.#trim();
  }
  get size() {
    return this.#records.size;
  }
  get bytes() {
    return this.#bytes;
  }
  /** Finds a record, and counts that as use. */
  get(hash) {
    const record2 = this.#records.get(hash);
    if (record2) {
      this.#records.delete(hash);
      this.#records.set(hash, record2);
    }
    return record2;
  }
  put(hash, record2) {
    this.#drop(hash);
    this.#insert(hash, record2);
    this.#table?.put(Buffer.from(hash, "latin1"), encode(record2, ++this.#made));
    this.#trim();
  }
  /** Forgets every answer of a conversation; answers how many. */
  eraseConversation(conversation) {
    let erased = 0;
    for (const [hash, record2] of this.#records) {
      if (record2.conversation !== conversation) continue;
      this.#forget(hash);
      erased++;
    }
    return erased;
  }
  #trim() {
    for (const hash of this.#records.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#forget(hash);
    }
  }
  #forget(hash) {
    this.#drop(hash);
    this.#table?.remove(Buffer.from(hash, "latin1"));
  }
  #insert(hash, record2) {
    this.#records.set(hash, record2);
    this.#bytes += costOf(record2);
  }
  #drop(hash) {
    const record2 = this.#records.get(hash);
    if (!record2) return;
    this.#records.delete(hash);
    this.#bytes -= costOf(record2);
  }
};
function costOf(record2) {
  return OVERHEAD_BYTES + 4 * record2.tokens.length;
}
var LAYOUT = 4294901763;
var HEAD_BYTES = 28;
function encode({ tokens, bytes, reasoning: reasoning2, whole, conversation }, made) {
  const head3 = Buffer.alloc(HEAD_BYTES + 4 * tokens.length);
  const words = [LAYOUT, bytes, reasoning2, whole ? 1 : 0, tokens.length];
  words.forEach((word, i) => head3.writeUInt32LE(word, 4 * i));
  head3.writeDoubleLE(made, 20);
  tokens.forEach((token, i) => head3.writeUInt32LE(token, HEAD_BYTES + 4 * i));
  return Buffer.concat([head3, Buffer.from(conversation, "utf8")]);
}
function decode(value) {
  const buffer = Buffer.from(value);
  if (buffer.length < HEAD_BYTES || buffer.readUInt32LE(0) !== LAYOUT) return null;
  const [bytes = 0, reasoning2 = 0, whole = 0, count9 = 0] = [4, 8, 12, 16].map((at) => buffer.readUInt32LE(at));
  const end = HEAD_BYTES + 4 * count9;
  if (buffer.length < end || reasoning2 > count9) return null;
  const tokens = Uint32Array.from({ length: count9 }, (_, i) => buffer.readUInt32LE(HEAD_BYTES + 4 * i));
  const record2 = { bytes, reasoning: reasoning2, whole: whole === 1, tokens, conversation: buffer.toString("utf8", end) };
  return { record: record2, made: buffer.readDoubleLE(20) };
}

// ts/conversations/recency.ts
var MOST_DEAD = 64;
var RecencyList = class {
  /** Ascending by stamp, dead ones in between. */
  #entries = [];
  #byKey = /* @__PURE__ */ new Map();
  /** Nothing before it is live. */
  #first = 0;
  #lastStamp = 0;
  get size() {
    return this.#byKey.size;
  }
  get(key) {
    return this.#byKey.get(key)?.value;
  }
  get oldest() {
    while (this.#entries[this.#first]?.isLive === false) this.#first++;
    return this.#entries[this.#first]?.value;
  }
  /** Adds the value, or counts use of it, at `time` in milliseconds: stamps follow the clock, so they survive a restart. */
  use(key, value, time) {
    this.delete(key);
    this.#lastStamp = Math.max(this.#lastStamp + 1, Math.floor(time));
    const entry = { value, stamp: this.#lastStamp, isLive: true };
    this.#byKey.set(key, entry);
    this.#entries.push(entry);
    if (this.#entries.length > 2 * this.size + MOST_DEAD) this.#compact();
  }
  delete(key) {
    const entry = this.#byKey.get(key);
    if (entry) entry.isLive = false;
    return this.#byKey.delete(key);
  }
  /** Most recently used first, beginning below a stamp. */
  *below(stamp = Infinity) {
    for (let i = this.#countBelow(stamp) - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry?.isLive) yield entry;
    }
  }
  /** Entries with smaller stamps, dead ones included: found by halving. */
  #countBelow(stamp) {
    let from = 0;
    let to = this.#entries.length;
    while (from < to) {
      const middle = from + to >> 1;
      if ((this.#entries[middle]?.stamp ?? Infinity) < stamp) from = middle + 1;
      else to = middle;
    }
    return from;
  }
  #compact() {
    this.#entries = this.#entries.filter(({ isLive }) => isLive);
    this.#first = 0;
  }
};

// ts/conversations/strand.ts
var MOST_TIPS = 64;
var MOST_SALTED_TIPS = 8;
var MOST_SALTS = 16;
function strandOf(conversation, salt) {
  if (salt !== "") return conversation.salted?.get(salt);
  return conversation.date === null ? void 0 : conversation;
}
function useStrand(conversation, salt, date) {
  conversation.lastSalt = salt;
  if (salt === "") {
    conversation.date ??= date;
    return;
  }
  const salted = conversation.salted ??= /* @__PURE__ */ new Map();
  const strand = salted.get(salt) ?? { date, tips: [] };
  salted.delete(salt);
  salted.set(salt, strand);
  for (const longestUnused of salted.keys()) {
    if (salted.size <= MOST_SALTS) break;
    salted.delete(longestUnused);
  }
}
function advanceStrand(conversation, before, tip) {
  const salt = conversation.lastSalt ?? "";
  const strand = strandOf(conversation, salt);
  if (!strand) return;
  strand.tips = strand.tips.filter((hash) => hash !== before && hash !== tip);
  strand.tips.push(tip);
  strand.tips.splice(0, strand.tips.length - (salt === "" ? MOST_TIPS : MOST_SALTED_TIPS));
}
function forkStrand(origin) {
  const salt = origin.lastSalt ?? "";
  const { date, tips } = strandOf(origin, salt) ?? { date: null, tips: [] };
  const last = { date, tips: tips.slice(-1) };
  return salt === "" ? last : { date: null, tips: [], salted: /* @__PURE__ */ new Map([[salt, last]]), lastSalt: salt };
}

// ts/conversations/registry.ts
function conversationKey(tenant2, id3) {
  return `${tenant2}\0${id3}`;
}
var ConversationRegistry = class {
  #conversations = new RecencyList();
  #countByTenant = /* @__PURE__ */ new Map();
  #table;
  #most;
  #onForgotten;
  /** @param onForgotten Told of the key of a conversation that is no longer known. */
  constructor(table, most, onForgotten = () => {
  }) {
    this.#table = table;
    this.#most = most;
    this.#onForgotten = onForgotten;
    const stored = [];
    for (const { key, value } of table?.entries() ?? []) {
      const conversation = decode2(value);
      if (conversation) stored.push(conversation);
      else table?.remove(key);
    }
    stored.sort((a, b) => a.lastUse - b.lastUse);
    for (const conversation of stored) this.#use(conversation);
    this.#trim();
  }
  get size() {
    return this.#conversations.size;
  }
  get(tenant2, id3) {
    return this.#conversations.get(conversationKey(tenant2, id3));
  }
  byKey(key) {
    return this.#conversations.get(key);
  }
  /** Tenants that have a conversation of this id. */
  tenantsOf(id3) {
    return [...this.#countByTenant.keys()].filter((tenant2) => this.get(tenant2, id3) !== void 0);
  }
  /** Most recently used first. Nothing is sorted; only a search looks at every conversation. */
  page({ tenant: tenant2, text: text5, before, limit }) {
    const matches = ({ tenant: owner, id: id3 }) => (tenant2 === null || owner === tenant2) && (text5 === null || id3.includes(text5));
    const found = [];
    let last = 0;
    for (const { value, stamp } of this.#conversations.below(before ?? Infinity)) {
      if (!matches(value)) continue;
      if (found.length === limit) return { conversations: found, total: this.#total(tenant2, text5, matches), next: last };
      found.push(value);
      last = stamp;
    }
    return { conversations: found, total: before === null ? found.length : this.#total(tenant2, text5, matches), next: null };
  }
  #total(tenant2, text5, matches) {
    if (text5 === null) return tenant2 === null ? this.size : this.#countByTenant.get(tenant2) ?? 0;
    let total = 0;
    for (const { value } of this.#conversations.below()) if (matches(value)) total++;
    return total;
  }
  /** Creates it, or counts use of it. */
  touch(conversation) {
    this.#use(conversation);
    this.#store(conversation);
    this.#trim();
  }
  /** The last turn's answer ends at `tip`; it continued `before`, if that was a tip. */
  advance(conversation, before, tip, now) {
    advanceStrand(conversation, before, tip);
    conversation.turns++;
    conversation.lastUse = now;
    this.touch(conversation);
  }
  erase(tenant2, id3) {
    const key = conversationKey(tenant2, id3);
    this.#table?.remove(Buffer.from(key, "utf8"));
    if (!this.#conversations.delete(key)) return false;
    this.#count(tenant2, -1);
    this.#onForgotten(key);
    return true;
  }
  /** No conversation says any more that it was forked from this one. */
  disown(tenant2, id3) {
    for (const { value } of this.#conversations.below()) {
      if (value.forkedFrom !== id3 || value.tenant !== tenant2) continue;
      value.forkedFrom = null;
      this.#store(value);
    }
  }
  #store(conversation) {
    const key = conversationKey(conversation.tenant, conversation.id);
    this.#table?.put(Buffer.from(key, "utf8"), encode2(conversation));
  }
  #use(conversation) {
    const { tenant: tenant2, id: id3, lastUse } = conversation;
    const key = conversationKey(tenant2, id3);
    if (this.#conversations.get(key) === void 0) this.#count(tenant2, 1);
    this.#conversations.use(key, conversation, lastUse);
  }
  #count(tenant2, change) {
    const count9 = (this.#countByTenant.get(tenant2) ?? 0) + change;
    if (count9 === 0) this.#countByTenant.delete(tenant2);
    else this.#countByTenant.set(tenant2, count9);
  }
  #trim() {
    for (let oldest = this.#conversations.oldest; oldest && this.size > this.#most; oldest = this.#conversations.oldest) {
      this.erase(oldest.tenant, oldest.id);
    }
  }
};
function encode2({ tips, leaf, salted, ...rest }) {
  const stored = { ...rest, tips: tips.map(inBase64), leaf: leaf === null ? null : inBase64(leaf) };
  const strands = [...salted ?? []].map(([salt, strand]) => [salt, { date: strand.date, tips: strand.tips.map(inBase64) }]);
  return Buffer.from(JSON.stringify(strands.length === 0 ? stored : { ...stored, salted: strands }));
}
function decode2(value) {
  try {
    const { salted, ...stored } = JSON.parse(Buffer.from(value).toString("utf8"));
    if (typeof stored.id !== "string" || stored.date === void 0 || !Array.isArray(stored.tips)) return null;
    const tips = stored.tips.map(fromBase64);
    const leaf = typeof stored.leaf === "string" ? fromBase64(stored.leaf) : null;
    const conversation = { ...stored, tokens: stored.tokens ?? 0, leftOut: stored.leftOut ?? 0, tips, leaf };
    if (salted) conversation.salted = new Map(salted.map(([salt, strand]) => [salt, { date: strand.date, tips: strand.tips.map(fromBase64) }]));
    return conversation;
  } catch {
    return null;
  }
}
function inBase64(hash) {
  return Buffer.from(hash, "latin1").toString("base64");
}
function fromBase64(text5) {
  return Buffer.from(text5, "base64").toString("latin1");
}

// ts/conversations/conversations.ts
var NAME = /^[A-Za-z0-9._:-]{1,128}$/;
var Conversations = class {
  #options;
  #records;
  #registry;
  constructor(options) {
    this.#options = options;
    this.#records = new AnswerRecords(options.database?.table("answers") ?? null, options.maxRecordBytes);
    this.#registry = new ConversationRegistry(options.database?.table("conversations") ?? null, options.maxConversations, options.onForgotten);
  }
  get size() {
    return this.#registry.size;
  }
  get(tenant2, id3) {
    return this.#registry.get(tenant2, id3);
  }
  /**
   * With an id, the id names the conversation, and messages that continue none of its tips make a branch of it.
   * Without, the longest chain of messages that ends in a stored answer is the match: at a tip it continues that
   * conversation, elsewhere it forks it. Answers of another tenant or another cache salt are not found.
   */
  resolve(query) {
    const { tenant: tenant2, messages: messages3, cacheSalt = "", tools = "" } = query;
    const { secret, textFingerprint, now } = this.#options;
    const start = chainStart(secret, tenant2, textFingerprint, tools, cacheSalt);
    const salt = saltName(secret, tenant2, cacheSalt);
    const chain = messages3 ? chainOf(start, messages3) : [];
    const stored = chain.map((hash, i) => messages3?.[i]?.role === "assistant" ? this.#records.get(hash) : void 0);
    const last = stored.findLastIndex((record2) => record2 !== void 0);
    const continues = last < 0 ? null : chain[last];
    const matched = last < 0 ? void 0 : this.#registry.byKey(stored[last]?.conversation ?? "");
    const matchedStrand = matched && strandOf(matched, salt);
    const isAtTip = continues !== null && (matchedStrand?.tips.includes(continues) ?? false);
    const { id: id3, forkedFrom } = this.#name(query, matched, isAtTip);
    const known = this.#registry.get(tenant2, id3);
    const date = (known && strandOf(known, salt))?.date ?? matchedStrand?.date ?? isoDay(now());
    return { tenant: tenant2, id: id3, salt, date, forkedFrom, parent: messages3 ? chain.at(-1) ?? start : null, continues, stored };
  }
  /** The request was taken: its conversation exists from now on. */
  accept(resolution) {
    this.#registry.touch(this.#use(resolution));
  }
  /** The answer is complete. */
  answered(resolution, { hash, record: record2, length, leftOut: leftOut2, leaf }) {
    const conversation = this.#use(resolution);
    conversation.tokens = length;
    conversation.leftOut = leftOut2;
    conversation.leaf = leaf;
    if (hash === null) {
      conversation.turns++;
      this.#registry.touch(conversation);
      return;
    }
    this.#records.put(hash, { conversation: conversationKey(resolution.tenant, resolution.id), ...record2 });
    this.#registry.advance(conversation, resolution.continues, hash, this.#options.now());
  }
  /** Forgets a conversation and the token records of its answers; answers how many, or null if there is none. */
  erase(tenant2, id3) {
    if (!this.#registry.erase(tenant2, id3)) return null;
    this.#registry.disown(tenant2, id3);
    return this.#records.eraseConversation(conversationKey(tenant2, id3));
  }
  byKey(key) {
    return this.#registry.byKey(key);
  }
  /** Tenants that have a conversation of this id. */
  tenantsOf(id3) {
    return this.#registry.tenantsOf(id3);
  }
  page(query) {
    return this.#registry.page(query);
  }
  /** A conversation with a new id that goes on where the last turn of this one ended. */
  fork(origin) {
    const now = this.#options.now();
    const { tenant: tenant2, turns, tokens, leftOut: leftOut2, leaf } = origin;
    const fork = { id: this.#options.newId(), tenant: tenant2, forkedFrom: origin.id, createdAt: now, lastUse: now, turns, tokens, leftOut: leftOut2, leaf };
    const conversation = { ...fork, ...forkStrand(origin) };
    this.#registry.touch(conversation);
    return conversation;
  }
  #name(query, matched, isAtTip) {
    const forkedFrom = matched?.id ?? null;
    if (query.conversation !== null) {
      return { id: query.conversation, forkedFrom: forkedFrom === query.conversation ? null : forkedFrom };
    }
    if (matched && isAtTip) return { id: matched.id, forkedFrom: null };
    if (!matched && query.hint !== null && NAME.test(query.hint)) return { id: query.hint, forkedFrom: null };
    return { id: this.#options.newId(), forkedFrom };
  }
  /** Its conversation, made if need be, and its strand of it: both are used now. */
  #use({ tenant: tenant2, id: id3, salt, date, forkedFrom }) {
    const now = this.#options.now();
    const conversation = this.#registry.get(tenant2, id3) ?? newConversation(tenant2, id3, forkedFrom, now);
    conversation.lastUse = now;
    useStrand(conversation, salt, date);
    return conversation;
  }
};
function newConversation(tenant2, id3, forkedFrom, now) {
  return { id: id3, tenant: tenant2, date: null, forkedFrom, createdAt: now, lastUse: now, turns: 0, tokens: 0, leftOut: 0, leaf: null, tips: [] };
}
function isoDay(now) {
  return new Date(now).toISOString().slice(0, 10);
}

// ts/directory/secret.ts
import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
var SECRET_BYTES = 32;
function messageSecret(dataDir) {
  return dataDir === null ? randomBytes(SECRET_BYTES) : secretIn(dataDir, "messages.key");
}
function serverSecret(dataDir) {
  return secretIn(dataDir, "server.secret");
}
function secretIn(dataDir, name2) {
  const path = join(dataDir, name2);
  const found = readSecret(path);
  if (found) return found;
  mkdirSync(dataDir, { recursive: true, mode: 448 });
  const aside = `${path}.new-${process.pid}`;
  writeFileSync(aside, randomBytes(SECRET_BYTES), { mode: 384 });
  rmSync(path, { force: true });
  try {
    linkSync(aside, path);
  } finally {
    rmSync(aside);
  }
  return readFileSync(path);
}
function readSecret(path) {
  try {
    const secret = readFileSync(path);
    return secret.length === SECRET_BYTES ? secret : null;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return null;
  }
}

// ts/service/records/records.ts
var RequestRecords = class {
  /** By `seq` modulo the bound. */
  #ring = [];
  #nextSeq = 0;
  #changes = 0;
  add(sequence, usage2, ending) {
    const { trail } = sequence;
    const seq = this.#nextSeq++;
    const entry = { record: recordOf(seq, sequence, usage2, ending), trail, changedAt: ++this.#changes };
    const old = this.#ring[seq % MAX_REQUEST_RECORDS];
    if (old) old.trail.onLate = null;
    this.#ring[seq % MAX_REQUEST_RECORDS] = entry;
    trail.onLate = () => entry.changedAt = ++this.#changes;
  }
  /** Records older than `cursor` (undefined: all), newest first, at most `limit`. `next`: where older ones begin. */
  page(cursor, limit) {
    const oldest = Math.max(0, this.#nextSeq - MAX_REQUEST_RECORDS);
    const end = Math.min(cursor ?? this.#nextSeq, this.#nextSeq);
    const start = Math.max(oldest, end - limit);
    const records = [];
    for (let seq = end - 1; seq >= start; seq--) records.push(toRecord(this.#ring[seq % MAX_REQUEST_RECORDS]));
    return { records, next: start > oldest ? start : null };
  }
  /** Of an erased conversation's requests only the numbers stay: no id says whose they were. Answers how many there are. */
  anonymise(tenant2, conversation) {
    const entries = this.#ring.filter(({ record: record2 }) => record2.conversation === conversation && record2.tenant === tenant2);
    for (const entry of entries) {
      entry.record = { ...entry.record, conversation: "", request_id: "" };
      entry.changedAt = ++this.#changes;
    }
    return entries.length;
  }
  /** The latest state, for whoever wants only what changes from now on. */
  get mark() {
    return this.#changes;
  }
  /** What was added or changed since `mark`; of more than `most` the newest. */
  changedSince(mark, most) {
    const changed = this.#ring.filter(({ changedAt }) => changedAt > mark).toSorted((a, b) => a.record.seq - b.record.seq);
    const told = changed.slice(Math.max(0, changed.length - most));
    return { records: told.map(toRecord), skipped: changed.length - told.length, mark: this.#changes };
  }
};
function toRecord({ record: record2, trail }) {
  return { ...record2, phases: trail.phases(record2.accepted_at_ms) };
}
function recordOf(seq, sequence, usage2, { status: status3, finish, error, endedAt }) {
  const { missedTokens: missed, reusedTokens: reused } = usage2;
  const hasAnswered = sequence.times.firstToken > 0;
  return {
    seq,
    request_id: sequence.requestId,
    conversation: usage2.conversation,
    tenant: sequence.tenant,
    status: status3,
    finish_reason: finish === null ? null : finish === "length" ? "length" : "stop",
    error,
    accepted_at_ms: sequence.times.accepted,
    queued_for: sequence.waited.longest,
    duration_ms: Math.max(0, endedAt - sequence.times.accepted),
    prompt_tokens: usage2.promptTokens,
    completion_tokens: usage2.completionTokens,
    reused_tokens: { ...reused },
    computed_tokens: usage2.computedTokens,
    recomputed_tokens: usage2.recomputedTokens,
    outside_view_tokens: usage2.outsideViewTokens,
    miss: {
      never_seen: missed.neverSeen,
      reasoning_dropped: missed.reasoningDropped,
      evicted: missed.evicted,
      damaged: missed.damaged,
      outside_view: missed.outsideView,
      unknown: missed.unknown
    },
    evictions: decisions(sequence.serving.settled?.misses.losses ?? []),
    ttft_ms: hasAnswered ? usage2.ttftMs : null,
    estimated_ttft_ms: hasAnswered ? usage2.ttftWithoutReuseMs : null
  };
}
function decisions(losses) {
  const merged2 = /* @__PURE__ */ new Map();
  for (const { tokens, ghost } of losses) {
    const { cause, tier, policy, at } = ghost;
    const name2 = `${cause} ${tier} ${policy}`;
    const before = merged2.get(name2);
    merged2.set(name2, { tokens: tokens + (before?.tokens ?? 0), at_ms: Math.max(at, before?.at_ms ?? 0), cause, tier, policy });
  }
  return [...merged2.values()].toSorted((a, b) => b.tokens - a.tokens).slice(0, MOST_EVICTIONS);
}

// ts/scheduler/accounts/misses.ts
var NO_MISSES = { tokens: { neverSeen: 0, reasoningDropped: 0, evicted: 0, damaged: 0, unknown: 0 }, losses: [], asked: [], stranded: 0 };
function joinMisses(a, b) {
  const tokens = {
    neverSeen: a.tokens.neverSeen + b.tokens.neverSeen,
    reasoningDropped: a.tokens.reasoningDropped + b.tokens.reasoningDropped,
    evicted: a.tokens.evicted + b.tokens.evicted,
    damaged: a.tokens.damaged + b.tokens.damaged,
    unknown: a.tokens.unknown + b.tokens.unknown
  };
  return { tokens, losses: [...a.losses, ...b.losses], asked: [...a.asked, ...b.asked], stranded: a.stranded + b.stranded };
}
function explainMisses(memory, missed) {
  const count9 = new MissCount();
  let before = "never seen";
  for (let index2 = Math.floor(missed.from / BLOCK_TOKENS); index2 * BLOCK_TOKENS < missed.to; index2++) {
    const from = Math.max(missed.from, index2 * BLOCK_TOKENS);
    const to = Math.min(missed.to, (index2 + 1) * BLOCK_TOKENS);
    const key = missed.keys[index2];
    const fate = fateOf(memory, missed, index2, before);
    if (key === void 0 || fate === "never seen") {
      addTail(memory, missed, index2, count9);
      break;
    }
    count9.add(fate, { key, tokens: to - from, isTail: false });
    if (memory.blocks.get(key)?.tier) count9.stranded++;
    before = fate;
  }
  return count9.misses(missed);
}
var MissCount = class {
  stranded = 0;
  #tokens = { evicted: 0, damaged: 0, unknown: 0 };
  #losses = [];
  #asked = [];
  add(fate, asked2) {
    const { tokens } = asked2;
    if (tokens <= 0) return;
    this.#asked.push(asked2);
    if (fate === "unknown") {
      this.#tokens.unknown += tokens;
      return;
    }
    this.#tokens[fate.cause === "damaged" ? "damaged" : "evicted"] += tokens;
    this.#losses.push({ tokens, ghost: fate });
  }
  misses({ from, to, wereThere, withoutReasoning }) {
    const { evicted, damaged, unknown } = this.#tokens;
    const rest = to - from - evicted - damaged - unknown;
    const reasoningDropped = wereThere ? 0 : overlap(to - rest, to, withoutReasoning);
    const neverSeen = wereThere ? 0 : rest - reasoningDropped;
    const tokens = { neverSeen, reasoningDropped, evicted, damaged, unknown: unknown + (wereThere ? rest : 0) };
    return { tokens, losses: this.#losses, asked: this.#asked, stranded: this.stranded };
  }
};
function overlap(from, to, ranges) {
  return ranges.reduce((total, [start, end]) => total + Math.max(0, Math.min(to, end) - Math.max(from, start)), 0);
}
function fateOf({ blocks, ghosts }, { keys, unanswered }, index2, before) {
  const key = keys[index2];
  if (key === void 0) return "never seen";
  if (blocks.get(key)?.tier) return before;
  return ghosts.get(key) ?? (ghosts.isForgotten(key) || unanswered?.has(key) ? "unknown" : "never seen");
}
function addTail({ ghosts }, { root, keys, tokens, from, to }, index2, count9) {
  const parent = index2 === 0 ? root : keys[index2 - 1];
  const start = index2 * BLOCK_TOKENS;
  if (parent === void 0) return;
  const tail = ghosts.tailAfter(parent, tokens.subarray(start, Math.min(to, start + BLOCK_TOKENS)));
  if (tail) count9.add(tail.ghost, { key: tail.key, tokens: start + tail.rows - Math.max(start, from), isTail: true });
}

// ts/service/records/usage.ts
function usageOf(sequence, completionTokens, promptMs) {
  const { times } = sequence;
  const split = sequence.serving.settled;
  const reused = split?.reused ?? perTier(() => 0);
  const { tokens: missed, stranded } = split?.misses ?? NO_MISSES;
  const { neverSeen, reasoningDropped, evicted, damaged, unknown } = missed;
  const outsideView = split?.outsideView ?? 0;
  const loadMs = Math.max(0, times.joined - times.prepared);
  const ttftMs = Math.max(0, times.firstToken - times.accepted);
  return {
    promptTokens: sequence.history.length,
    completionTokens,
    conversation: sequence.turn.conversation,
    reusedTokens: reused,
    computedTokens: split?.computed ?? 0,
    recomputedTokens: sequence.progress.recomputed,
    outsideViewTokens: outsideView,
    missedTokens: { neverSeen, reasoningDropped, evicted, damaged, outsideView, unknown },
    strandedBlocks: stranded,
    queueMs: Math.max(0, times.prepared - times.accepted),
    loadMs,
    prefillMs: Math.max(0, times.firstToken - times.joined),
    ttftMs,
    ttftWithoutReuseMs: withoutReuse(ttftMs, loadMs, promptMs(sumTiers(reused)))
  };
}
function withoutReuse(ttftMs, loadMs, reusedMs) {
  return reusedMs === null ? null : ttftMs - loadMs + reusedMs;
}

// ts/service/records/accounts.ts
var Accounts = class {
  records = new RequestRecords();
  #core;
  #log;
  /** Milliseconds of all turns that were answered. */
  #turnMs = 0;
  constructor(core, log) {
    this.#core = core;
    this.#log = log;
  }
  /** Mean milliseconds of a turn; a guess before the first. */
  get meanTurnMs() {
    const { ok } = this.#core.counters.requests;
    return ok === 0 ? 1e3 : this.#turnMs / ok;
  }
  /** The request waits. */
  queued(sequence) {
    if (this.#core.tiers.keeps) this.#core.curve.queued(sequence.ticket, sequence.keys);
  }
  /** The answer is complete. */
  answered(sequence, usage2, finish) {
    const { counters, clock } = this.#core;
    counters.requests.ok++;
    counters.savedMs += Math.max(0, (usage2.ttftWithoutReuseMs ?? 0) - usage2.ttftMs);
    this.#turnMs += clock.now() - sequence.times.accepted;
    this.#count(sequence);
    this.#record(sequence, usage2, { status: "ok", finish, error: null });
    this.#followUse(sequence);
    this.#log?.add(sequence, usage2);
  }
  cancelled(sequence) {
    this.#core.counters.requests.cancelled++;
    this.#count(sequence);
    this.#record(sequence, this.usageOf(sequence), { status: "cancelled", finish: null, error: null });
  }
  /** `code`: of the error that its client was told. */
  failed(sequence, code) {
    this.#core.counters.requests.failed++;
    this.#record(sequence, this.usageOf(sequence), { status: "failed", finish: null, error: code });
  }
  usageOf(sequence) {
    const { costs, options } = this.#core;
    return usageOf(sequence, sequence.generatedLength, (tokens) => costs.promptMs(tokens, options.maxBatchTokens));
  }
  async close() {
    await this.#log?.close();
  }
  /** However it ended: it wants nothing any more. */
  #record(sequence, usage2, ending) {
    this.#core.curve.left(sequence.ticket);
    this.records.add(sequence, usage2, { ...ending, endedAt: this.#core.clock.now() });
  }
  /** For the hit rates of other capacities. */
  #followUse({ keys, history, serving: { split }, progress: { tailKey }, wishes: { retention } }) {
    const { tiers: tiers2, curve, clock } = this.#core;
    if (!split || !tiers2.keeps) return;
    const hasTail = tailKey !== null;
    const chain = hasTail ? [...keys, tailKey] : keys;
    curve.served({ promptTokens: history.length, asked: split.asked, chain, hasTail, atMs: clock.now(), retention }, split.reused);
  }
  #count(sequence) {
    const { counters } = this.#core;
    const split = sequence.serving.settled;
    counters.promptTokens += sequence.history.length;
    counters.completionTokens += sequence.generatedLength;
    counters.recomputedTokens += sequence.progress.recomputed;
    if (!split) return;
    counters.computedTokens += split.computed;
    for (const tier of TIER_NAMES) counters.reused[tier] += split.reused[tier];
    const { neverSeen, reasoningDropped, evicted, damaged, unknown } = split.misses.tokens;
    counters.missed.neverSeen += neverSeen;
    counters.missed.reasoningDropped += reasoningDropped;
    counters.missed.evicted += evicted;
    counters.missed.damaged += damaged;
    counters.missed.unknown += unknown;
    counters.missed.outsideView += split.outsideView;
  }
};

// ts/service/cache-map.ts
var MOST_CELLS = 8192;
var MOST_OWNERS = 1024;
var MOST_QUEUED = 64;
var STATE = {
  free: CELL_STATES.indexOf("free"),
  resting: CELL_STATES.indexOf("cached"),
  waiting: CELL_STATES.indexOf("waiting"),
  moving: CELL_STATES.indexOf("moving"),
  running: CELL_STATES.indexOf("running")
};
var UNKNOWN = { conversation: "", tenant: "" };
function cacheMap(core, scheduler) {
  const owners = new OwnerIndex(core);
  return {
    policy: core.options.policy,
    tiers: SLOT_TIERS.map((tier) => tierMap(core, tier, owners)),
    owners: owners.list,
    queue: queueOf(core, scheduler)
  };
}
var OwnerIndex = class {
  list = [UNKNOWN];
  #core;
  #numbers = /* @__PURE__ */ new Map();
  constructor(core) {
    this.#core = core;
  }
  of(block) {
    const owner = this.#core.journal.ownerOf(block);
    if (!owner) return 0;
    const name2 = `${owner.tenant} ${owner.conversation}`;
    const known = this.#numbers.get(name2);
    if (known !== void 0) return known;
    if (this.list.length > MOST_OWNERS) return 0;
    this.#numbers.set(name2, this.list.length);
    return this.list.push(owner) - 1;
  }
};
function tierMap(core, tier, owners) {
  const { directory, clock } = core;
  const slots = directory.pools[tier].total;
  const cells = new Cells(slots);
  for (const slot of directory.reserved[tier]) cells.mark(slot, tier === "hbm" ? STATE.running : STATE.moving, null);
  for (const block of directory.inTier[tier]) cells.mark(block.copies[tier].slot, stateOf(block, tier), block);
  return { name: tier, slots, ...cells.encoded(clock.now(), owners) };
}
function stateOf(block, tier) {
  if (block.copies[tier].state === "filling") return STATE.moving;
  if (block.refs > 0) return STATE.running;
  return block.wants > 0 ? STATE.waiting : STATE.resting;
}
var Cells = class {
  #slotsPerCell;
  #states;
  /** The block of each cell that was used last. */
  #youngest;
  constructor(slots) {
    this.#slotsPerCell = Math.max(1, Math.ceil(slots / MOST_CELLS));
    const cells = Math.ceil(slots / this.#slotsPerCell);
    this.#states = new Uint8Array(cells);
    this.#youngest = Array.from({ length: cells }, () => null);
  }
  mark(slot, state, block) {
    const cell = Math.floor(slot / this.#slotsPerCell);
    if (state > (this.#states[cell] ?? 0)) this.#states[cell] = state;
    const other = this.#youngest[cell];
    if (block && (!other || block.lastUse > other.lastUse)) this.#youngest[cell] = block;
  }
  encoded(now, owners) {
    const ages = this.#youngest.map((block, cell) => this.#states[cell] === STATE.free ? NO_AGE : ageOf(now - (block?.lastUse ?? now)));
    const numbers = Buffer.alloc(2 * this.#youngest.length);
    this.#youngest.forEach((block, cell) => numbers.writeUInt16LE(block ? owners.of(block) : 0, 2 * cell));
    return {
      slotsPerCell: this.#slotsPerCell,
      states: Buffer.from(this.#states).toString("base64"),
      ages: Buffer.from(ages).toString("base64"),
      owners: numbers.toString("base64")
    };
  }
};
function ageOf(ms) {
  return Math.min(NO_AGE - 1, Math.floor(Math.log2(1 + Math.max(0, ms) / 1e3)));
}
function queueOf({ clock }, { waiting, moves }) {
  const window = Math.min(waiting.length, moves.prefetcher.length);
  const front = [];
  for (const sequence of waiting) {
    if (front.length === MOST_QUEUED) break;
    front.push(queuedRequest(sequence, clock.now(), front.length < window));
  }
  return { length: waiting.length, window, front };
}
function queuedRequest(sequence, now, isInWindow) {
  const blocks = perTier(() => 0);
  for (const block of sequence.wants.blocks) if (block.tier) blocks[block.tier]++;
  return {
    requestId: sequence.requestId,
    conversation: sequence.turn.conversation,
    tenant: sequence.tenant,
    waitingMs: Math.max(0, now - sequence.times.queued),
    promptTokens: sequence.history.length,
    blocks,
    isInWindow
  };
}

// ts/service/changes.ts
var Changes = class {
  #waiting = [];
  /** Resolves when something ends. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
  /** Something ended. */
  announce() {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
};

// ts/service/controls.ts
var CacheControls = class {
  #core;
  #scheduler;
  /** Resolves at the next end of a step or transfer. */
  #nextChange;
  constructor(core, scheduler, nextChange) {
    this.#core = core;
    this.#scheduler = scheduler;
    this.#nextChange = nextChange;
  }
  /**
   * Removes copies above `to`, of some blocks or of all, once they are durable at or below it. Blocks in use are skipped.
   */
  async demote(to, blocks = this.#core.directory.blocks.values()) {
    if (!this.#core.tiers[to]) throw new ApiError("tier_disabled", `The ${to} tier is off.`, "to", { tier: to });
    const above = tiersAbove(to);
    const pending = /* @__PURE__ */ new Set();
    for (const block of blocks) if (above.some((tier) => block.copies[tier].state !== "absent")) pending.add(block);
    const endHurry = this.#scheduler.moves.hurry();
    try {
      return await this.#demoteAll(pending, to, above);
    } finally {
      endHurry();
    }
  }
  async #demoteAll(pending, to, above) {
    let demotedBlocks = 0;
    let skippedInUse = 0;
    for (; ; ) {
      for (const block of pending) {
        const outcome = this.#demoteNow(block, to, above);
        if (outcome === "pending") continue;
        pending.delete(block);
        if (outcome === "demoted") demotedBlocks++;
        else skippedInUse++;
      }
      this.#scheduler.pump();
      if (pending.size === 0 || !this.#scheduler.isMoving) break;
      await this.#nextChange();
    }
    return { demotedBlocks, skippedInUse: skippedInUse + pending.size };
  }
  /** Drops every block that nothing uses, in all tiers. */
  reset() {
    return this.#drop("reset", () => true);
  }
  /** Drops the blocks that no turn touched since `before`. */
  dropIdle(before) {
    return this.#drop("ttl", (block) => block.lastUse < before);
  }
  #drop(cause, isMeant) {
    const { directory, counters } = this.#core;
    let removedBlocks = 0;
    let skippedInUse = 0;
    for (const block of [...directory.blocks.values()]) {
      if (!isMeant(block)) continue;
      if (isInUse(block)) {
        skippedInUse++;
        continue;
      }
      for (const tier of SLOT_TIERS) directory.removeCopy(block, tier, cause);
      removedBlocks++;
    }
    counters.dropped[cause] += removedBlocks;
    this.#scheduler.pump();
    return { removedBlocks, skippedInUse };
  }
  #demoteNow(block, to, above) {
    if (block.gone || isInUse(block)) return isFilling(block) && block.refs === 0 ? "pending" : "skipped";
    const isBelow = block.durable || to === "dram" && block.has("dram");
    if (!isBelow) {
      this.#scheduler.moves.lower(block);
      return block.releasable ? "skipped" : "pending";
    }
    for (const tier of above) this.#core.directory.removeCopy(block, tier);
    return "demoted";
  }
};
function isInUse(block) {
  return block.refs > 0 || block.wants > 0 || isFilling(block);
}
function isFilling(block) {
  return SLOT_TIERS.some((tier) => block.copies[tier].state === "filling");
}

// ts/scheduler/moves/eraser.ts
var MOST_OVERWRITES = 8;
var Eraser = class {
  #core;
  /** Resolves at the next end of a step or transfer. */
  #nextChange;
  constructor(core, nextChange) {
    this.#core = core;
    this.#nextChange = nextChange;
  }
  /**
   * Takes blocks, none of which a sequence uses, out of sight before it returns; the promise ends when nothing of them
   * can be read from the disk, nor what else the conversation left there. Rejects with `engine_error` if the disk could
   * not be overwritten.
   */
  erase(conversation, blocks) {
    const { directory, counters, engine } = this.#core;
    const copies = perTier(() => 0);
    const left = new Set(directory.remains.of(conversation));
    const keyed2 = this.#core.keyed?.remainsOf(conversation) ?? [];
    const slots = [];
    const keys = [];
    for (const block of blocks) {
      for (const tier of SLOT_TIERS) if (block.copies[tier].state !== "absent") copies[tier]++;
      const slot = directory.withdraw(block);
      if (slot) slots.push(slot);
      keys.push(block.key);
    }
    for (const { slot } of slots) left.delete(slot);
    const erased = keys.length;
    counters.dropped.erased += erased;
    const bytes = SLOT_TIERS.reduce((sum, tier) => sum + copies[tier] * engine.info[TIERS[tier].blockBytes], 0);
    directory.ghosts.erase(conversation);
    return this.#removeAll(slots, left, [...keys, ...keyed2], conversation).then((remains) => ({ blocks: erased, bytes, copies, remains }));
  }
  /** Also where the disk fails, the key-addressed tier is told; the first failure is the one that is thrown. */
  async #removeAll(slots, left, keys, conversation) {
    const [overwritten, deleted] = await Promise.allSettled([this.#overwrite(slots, left, conversation), this.#core.keyed?.delete(keys)]);
    if (overwritten.status === "rejected") throw overwritten.reason;
    if (deleted.status === "fulfilled") return overwritten.value;
    const message2 = `The blocks are gone from the directory, but the key-addressed tier failed to delete ${keys.length} of them.`;
    throw new ApiError("engine_error", message2, null, { failed: keys.length, engine_code: "tier_failed" });
  }
  /**
   * A slot waits until nothing in flight names it any more. One of the `left` ones may be in use again: it is done with
   * when that write is flushed. Overwritten slots are flushed, and so given back, before any other is waited for: that
   * other one may be held by an erasure that waits for these. Answers how many of the `left` ones had to be overwritten.
   */
  async #overwrite(slots, left, conversation) {
    const { directory, flushes, desk } = this.#core;
    const { failures } = flushes;
    const waiting = new Set(slots);
    const failed = [];
    let overwritten = [];
    let unflushed;
    let remains = 0;
    let inFlight = 0;
    for (; ; ) {
      for (const slot of this.#claim(left, conversation)) {
        waiting.add(slot);
        remains++;
      }
      for (const slot of waiting) {
        if (inFlight >= MOST_OVERWRITES) break;
        if (!directory.pools.ssd.isIdle(slot.slot)) continue;
        waiting.delete(slot);
        inFlight++;
        this.#send(slot, (error2) => {
          inFlight--;
          if (error2 === void 0) overwritten.push(slot);
          else failed.push(error2);
        });
      }
      desk.flush();
      const isWriting = waiting.size + inFlight > 0;
      if (!isWriting && overwritten.length + left.size === 0) break;
      if (isWriting || overwritten.length === 0) {
        await this.#nextChange();
        continue;
      }
      unflushed = await this.#flush(overwritten, failures);
      if (unflushed !== void 0) break;
      overwritten = [];
    }
    if (unflushed === void 0 && directory.remains.awaitsFlush(conversation)) unflushed = await this.#flush([], failures);
    const error = failed[0] ?? unflushed;
    if (error === void 0) return remains;
    const lost = failed.length + (unflushed === void 0 ? 0 : overwritten.length);
    const message2 = `The blocks are gone from the directory, but the disk failed to overwrite ${lost} of ${slots.length + remains} slots.`;
    throw new ApiError("engine_error", message2, null, { failed: lost, engine_code: error });
  }
  /** Reserves those of the slots that are free, and lets go of those that hold nothing of the conversation any more. */
  #claim(left, conversation) {
    const { directory } = this.#core;
    for (const slot of left) if (!directory.remains.has(slot, conversation)) left.delete(slot);
    const claimed = directory.reserveFree("ssd", left);
    for (const { slot } of claimed) left.delete(slot);
    return claimed;
  }
  /** A slot that was written stays reserved until that is flushed; what it held is remembered as long. */
  #send(own2, ended) {
    const { directory, desk } = this.#core;
    const { slot } = own2;
    directory.pools.ssd.pin(slot);
    desk.send({ kind: "erase", ssdSlot: slot }, (done2) => {
      directory.pools.ssd.unpin(slot);
      if (done2.error !== void 0) own2.dispose();
      ended(done2.error);
    });
  }
  /** Answers the error code. `failures`: failed flushes before the first of the slots was written. */
  async #flush(slots, failures) {
    const { directory, desk, flushes } = this.#core;
    const flush = { isDone: false };
    flushes.send((errorSince) => {
      const error = errorSince(failures);
      for (const slot of slots) {
        if (error === void 0) directory.remains.overwritten(slot.slot);
        slot.dispose();
      }
      Object.assign(flush, { isDone: true, error });
    });
    desk.flush();
    while (!flush.isDone) await this.#nextChange();
    return flush.error;
  }
};

// ts/service/strip.ts
function tiersOf(blocks) {
  const held2 = perTier(() => ({ blocks: 0, tokens: 0 }));
  for (const block of blocks) {
    const { tier } = block;
    if (tier === null) continue;
    held2[tier].blocks++;
    held2[tier].tokens += block.valid;
  }
  return held2;
}
function stripOf(blocks, length) {
  const places = new Uint8Array(length).fill(TIER_NAMES.length);
  for (const { index: index2, tier } of blocks) {
    if (tier === null || index2 >= length) continue;
    places[index2] = Math.min(places[index2], TIER_NAMES.indexOf(tier));
  }
  const runs = [];
  for (const place of places) {
    const tier = TIER_NAMES[place] ?? null;
    const last = runs.at(-1);
    if (last?.tier === tier) last.blocks++;
    else runs.push({ tier, blocks: 1 });
  }
  return runs;
}

// ts/service/conversation-controls.ts
var MOST_REFERRERS = 100;
var ConversationControls = class {
  #core;
  #parts;
  #eraser;
  constructor(core, parts) {
    this.#core = core;
    this.#parts = parts;
    this.#eraser = new Eraser(core, parts.nextChange);
  }
  list(query) {
    const { conversations, total, next } = this.#parts.conversations.page(query);
    const active = /* @__PURE__ */ new Map();
    for (const sequence of this.#sequences()) active.set(keyOf(sequence), (active.get(keyOf(sequence)) ?? 0) + 1);
    const rows4 = conversations.map((conversation) => {
      const { id: id3, tenant: tenant2, turns, tokens, leftOut: leftOut2, createdAt, lastUse, forkedFrom } = conversation;
      const key = conversationKey(tenant2, id3);
      const blocks = this.#parts.referrers.blocksOf(key);
      const placed = { tiers: tiersOf(blocks), strip: stripOf(blocks, Math.ceil((tokens - leftOut2) / BLOCK_TOKENS)) };
      return { id: id3, tenant: tenant2, turns, tokens, createdAt, lastUse, forkedFrom, activeTurns: active.get(key) ?? 0, ...placed };
    });
    return { rows: rows4, total, next };
  }
  async warm(id3, tenant2) {
    const conversation = this.#find(id3, tenant2);
    if (!this.#core.tiers.dram) throw new ApiError("tier_disabled", "The dram tier is off, so blocks cannot be brought up to it.", null, { tier: "dram" });
    const blocks = this.#blocksOf(conversation).toSorted((a, b) => a.index - b.index);
    const { scheduler, nextChange } = this.#parts;
    const warmed = await scheduler.moves.warmer.warm(blocks, async () => {
      scheduler.pump();
      if (!scheduler.isMoving) return false;
      await nextChange();
      return true;
    });
    const held2 = tiersOf(this.#blocksOf(conversation));
    return { conversation: id3, blocks: blocks.length, ...warmed, tiers: perTier((tier) => held2[tier].blocks) };
  }
  /** Blocks that other conversations use too stay where they are. */
  async demote(id3, tenant2, to) {
    const conversation = this.#find(id3, tenant2);
    const blocks = this.#blocksOf(conversation);
    const own2 = blocks.filter((block) => this.#parts.referrers.of(block).size === 1);
    const { demotedBlocks, skippedInUse } = await this.#parts.controls.demote(to, own2);
    await this.#parts.flushed();
    return { conversation: id3, demotedBlocks, skippedInUse, skippedShared: blocks.length - own2.length };
  }
  /** The fork shares the blocks of the last turn, as far as the chain from its end lies in the cache without a gap. */
  async fork(id3, tenant2) {
    const origin = this.#find(id3, tenant2);
    const fork = this.#parts.conversations.fork(origin);
    const key = conversationKey(fork.tenant, fork.id);
    this.#parts.referrers.refer(key, this.#chainTo(origin.leaf));
    await this.#parts.flushed();
    return { conversation: fork.id, forkedFrom: id3, tenant: fork.tenant, sharedBlocks: this.#parts.referrers.blocksOf(key).size };
  }
  /**
   * Forgets the conversation, its token records and kept responses, the blocks that it alone uses, in all tiers, and what it left in free
   * slots of the disk; records of requests no longer name it. Rejects with `in_use` while a turn of it waits or runs.
   */
  async erase(id3, tenant2) {
    const conversation = this.#find(id3, tenant2);
    await this.#untilUnused(conversation);
    const key = conversationKey(conversation.tenant, id3);
    const users = this.#usersBesides(key);
    const blocks = this.#blocksOf(conversation);
    const shared = blocks.filter((block) => (users.get(block)?.size ?? 0) > 0);
    const keptShared = shared.map((block) => keptBlock(block, users.get(block) ?? /* @__PURE__ */ new Set()));
    const erasing = this.#eraser.erase(key, blocks.filter((block) => !shared.includes(block)));
    this.#parts.aliases.erase(key);
    this.#core.journal.disown(shared, { tenant: conversation.tenant, conversation: id3 });
    const requestsAnonymised = this.#parts.records.anonymise(conversation.tenant, id3);
    const responsesErased = this.#parts.responses.eraseConversation(key);
    const recordsErased = this.#parts.conversations.erase(conversation.tenant, id3) ?? 0;
    this.#parts.scheduler.pump();
    const erased = await erasing;
    await this.#parts.flushed();
    return { conversation: id3, tenant: conversation.tenant, erased, recordsErased, requestsAnonymised, responsesErased, keptShared };
  }
  /** @throws ApiError `not_found`, or `invalid_value` where several tenants have one of this id. */
  #find(id3, tenant2) {
    const { conversations } = this.#parts;
    const tenants = tenant2 === null ? conversations.tenantsOf(id3) : [tenant2];
    if (tenants.length > 1) {
      const message2 = `tenant: ${tenants.length} tenants have a conversation of this id. Name the tenant.`;
      throw new ApiError("invalid_value", message2, "tenant");
    }
    const found = tenants[0] === void 0 ? void 0 : conversations.get(tenants[0], id3);
    if (found) return found;
    throw new ApiError("not_found", "The server has no conversation of this id.");
  }
  #blocksOf({ tenant: tenant2, id: id3 }) {
    return [...this.#parts.referrers.blocksOf(conversationKey(tenant2, id3))];
  }
  *#sequences() {
    yield* this.#parts.scheduler.waiting;
    yield* this.#parts.scheduler.active;
  }
  /** A turn that was cancelled leaves within two steps; any other one is not waited for. */
  async #untilUnused({ tenant: tenant2, id: id3 }) {
    const key = conversationKey(tenant2, id3);
    for (; ; ) {
      const own2 = [...this.#sequences()].filter((sequence) => keyOf(sequence) === key);
      if (own2.length === 0) return;
      if (own2.some((sequence) => sequence.leaving !== "cancelled")) {
        throw new ApiError("in_use", "A turn of the conversation waits or runs. Erase the conversation when the turn has ended.");
      }
      await this.#parts.nextChange();
    }
  }
  /** Conversations other than this one that use each of its blocks, those included whose turn uses it just now. */
  #usersBesides(own2) {
    const users = /* @__PURE__ */ new Map();
    for (const block of this.#parts.referrers.blocksOf(own2)) {
      users.set(block, new Set([...this.#parts.referrers.of(block)].filter((key) => key !== own2)));
    }
    for (const sequence of this.#sequences()) {
      for (const block of sequence.wants.blocks) users.get(block)?.add(keyOf(sequence));
      for (const [, { block }] of sequence.table) if (block) users.get(block)?.add(keyOf(sequence));
      for (const { source } of sequence.loading.loads) users.get(source)?.add(keyOf(sequence));
    }
    return users;
  }
  *#chainTo(leaf) {
    const { blocks } = this.#core.directory;
    for (let block = blocks.get(leaf ?? ""); block; block = blocks.get(block.parent)) yield block.key;
  }
};
function keyOf({ tenant: tenant2, turn }) {
  return conversationKey(tenant2, turn.conversation);
}
function keptBlock(block, users) {
  const referrers = [...users].slice(0, MOST_REFERRERS).map((key) => key.slice(key.indexOf("\0") + 1));
  return { key: Buffer.from(block.key, "latin1").toString("hex"), referrers };
}

// ts/placement/select.ts
function selectFirst(items2, count9, before) {
  if (count9 <= 0) return [];
  const heap = [];
  for (const item2 of items2) {
    if (heap.length < count9) {
      heap.push(item2);
      siftUp(heap, before);
    } else if (before(item2, heap[0])) {
      heap[0] = item2;
      siftDown(heap, before);
    }
  }
  return heap.sort((a, b) => before(a, b) ? -1 : before(b, a) ? 1 : 0);
}
function siftUp(heap, before) {
  let child = heap.length - 1;
  while (child > 0) {
    const parent = child - 1 >> 1;
    if (!before(heap[parent], heap[child])) return;
    swap(heap, parent, child);
    child = parent;
  }
}
function siftDown(heap, before) {
  let parent = 0;
  for (; ; ) {
    let last = parent;
    for (const child of [2 * parent + 1, 2 * parent + 2]) {
      if (child < heap.length && before(heap[last], heap[child])) last = child;
    }
    if (last === parent) return;
    swap(heap, parent, last);
    parent = last;
  }
}
function swap(heap, a, b) {
  const held2 = heap[a];
  heap[a] = heap[b];
  heap[b] = held2;
}

// ts/placement/ordered.ts
var UNHEARD = { used: () => {
} };
function orderedPolicy(name2, goesBefore2, { leavesFirst = true } = {}) {
  return {
    name: name2,
    leavesFirst,
    drifts: false,
    goesBefore: goesBefore2,
    victims: (residents, count9) => selectFirst(residents, count9, goesBefore2),
    begin: () => UNHEARD
  };
}

// ts/placement/lru.ts
function usedBefore(a, b) {
  if (a.lastUse !== b.lastUse) return a.lastUse < b.lastUse;
  return a.index > b.index;
}
var lru = orderedPolicy("lru", usedBefore);

// ts/directory/block.ts
function absentCopy() {
  return { state: "absent", slot: -1, children: 0 };
}
var Block = class {
  constructor(key, parent, index2, tokens, born, view = null) {
    this.key = key;
    this.parent = parent;
    this.index = index2;
    this.tokens = tokens;
    this.born = born;
    this.view = view;
  }
  key;
  parent;
  index;
  tokens;
  born;
  view;
  refs = 0;
  /** Queued requests that will want it, and the arrival number of the first of them; kept by `want` and `unwant`. */
  wants = 0;
  firstWanted = Infinity;
  lastUse = 0;
  uses = 0;
  cohort = null;
  /** A conversation may still see it. false: the last one that used it has moved on, and left it behind. */
  reachable = true;
  /** It left and was made again, and no turn has used it since. */
  isBack = false;
  /** No longer in the directory. Transfers in flight may still end for it. */
  gone = false;
  /** The ssd copy's bytes are flushed. */
  durable = false;
  /** The tier below had it and gave it up, or cannot take it: what is above may go without a copy below. */
  releasable = false;
  copies = perSlotTier(absentCopy);
  /** Arrival numbers, ascending; null: nobody wants it. */
  #wantedBy = null;
  /** Tokens whose KV the block holds. */
  get valid() {
    return this.tokens.length;
  }
  /** The queued request `ticket` will want it. */
  want(ticket) {
    const tickets = this.#wantedBy ??= [];
    let at = tickets.length;
    while (at > 0 && tickets[at - 1] > ticket) at--;
    tickets.splice(at, 0, ticket);
    this.#count(tickets);
    this.reachable = true;
  }
  /** It no longer does. */
  unwant(ticket) {
    const tickets = this.#wantedBy ?? [];
    const at = tickets.indexOf(ticket);
    if (at < 0) throw new Error(`request ${ticket} does not want the block`);
    tickets.splice(at, 1);
    if (tickets.length === 0) this.#wantedBy = null;
    this.#count(tickets);
  }
  #count(tickets) {
    this.wants = tickets.length;
    this.firstWanted = tickets[0] ?? Infinity;
  }
  has(tier) {
    return this.copies[tier].state === "present";
  }
  /** The fastest tier in which the bytes are complete. */
  get tier() {
    for (const tier of SLOT_TIERS) if (this.has(tier)) return tier;
    return null;
  }
};

// ts/directory/token-order.ts
function commonTokens(block, tokens) {
  const most = Math.min(block.length, tokens.length);
  let same = 0;
  while (same < most && block[same] === tokens[same]) same++;
  return same;
}
function compareTokens(a, b) {
  const same = commonTokens(a, b);
  if (same === a.length || same === b.length) return a.length - b.length;
  return a[same] - b[same];
}
function besidePrefix(block, tokens, rows4) {
  const most = Math.min(block.length, rows4);
  let same = 0;
  while (same < most && block[same] === tokens[same]) same++;
  if (same === rows4) return 0;
  return same === block.length ? -1 : block[same] - tokens[same];
}

// ts/directory/sibling-node.ts
function isBetterSource(a, b) {
  const aIsHot = a.has("hbm");
  if (aIsHot !== b.has("hbm")) return aIsHot;
  const aIsWarm = a.has("dram");
  if (aIsWarm !== b.has("dram")) return aIsWarm;
  return a.valid === b.valid ? a.born < b.born : a.valid < b.valid;
}
function better(a, b) {
  if (a === null || b === null) return a ?? b;
  return isBetterSource(a, b) ? a : b;
}
function insert(node, block) {
  if (!node) return renew({ block, left: null, right: null, height: 1, best: null });
  if (order(block, node.block) < 0) node.left = insert(node.left, block);
  else node.right = insert(node.right, block);
  return balance(node);
}
function without(node, block) {
  if (!node) return null;
  const side = order(block, node.block);
  if (side === 0) {
    if (!node.left || !node.right) return node.left ?? node.right;
    const next = firstOf(node.right);
    node.right = without(node.right, next);
    node.block = next;
  } else if (side < 0) node.left = without(node.left, block);
  else node.right = without(node.right, block);
  return balance(node);
}
function has(root, block) {
  let node = root;
  while (node && node.block !== block) node = order(block, node.block) < 0 ? node.left : node.right;
  return node !== null;
}
function renewPath(node, block) {
  if (!node) return;
  const side = order(block, node.block);
  if (side !== 0) renewPath(side < 0 ? node.left : node.right, block);
  node.best = bestBelow(node);
}
function* walk(root) {
  const above = [];
  for (let node = root; node || above.length > 0; ) {
    for (; node; node = node.left) above.push(node);
    const next = above.pop();
    yield next;
    node = next.right;
  }
}
function checkNode(node, before) {
  if (before && order(before, node.block) >= 0) throw new Error("siblings are out of order");
  const [left, right] = [heightOf(node.left), heightOf(node.right)];
  if (node.height !== 1 + Math.max(left, right)) throw new Error("a node of siblings does not know its height");
  if (Math.abs(left - right) > 1) throw new Error("siblings are out of balance");
  if (node.best !== bestBelow(node)) throw new Error("a node of siblings does not know its best source");
}
function order(a, b) {
  return compareTokens(a.tokens, b.tokens) || a.born - b.born;
}
function firstOf(root) {
  let node = root;
  while (node.left) node = node.left;
  return node.block;
}
function heightOf(node) {
  return node?.height ?? 0;
}
function bestBelow({ block, left, right }) {
  const own2 = block.tier === null ? null : block;
  return better(own2, better(left?.best ?? null, right?.best ?? null));
}
function renew(node) {
  node.height = 1 + Math.max(heightOf(node.left), heightOf(node.right));
  node.best = bestBelow(node);
  return node;
}
function balance(node) {
  const lean = heightOf(node.left) - heightOf(node.right);
  if (lean > 1) {
    const left = node.left;
    if (heightOf(left.left) < heightOf(left.right)) node.left = rotateLeft(left);
    return rotateRight(node);
  }
  if (lean < -1) {
    const right = node.right;
    if (heightOf(right.right) < heightOf(right.left)) node.right = rotateRight(right);
    return rotateLeft(node);
  }
  return renew(node);
}
function rotateLeft(node) {
  const top = node.right;
  node.right = top.left;
  top.left = renew(node);
  return renew(top);
}
function rotateRight(node) {
  const top = node.left;
  node.left = top.right;
  top.right = renew(node);
  return renew(top);
}

// ts/directory/sibling-tree.ts
var MOST_REFUSED = 8;
var SiblingTree = class {
  #root = null;
  #size = 0;
  #copies = perSlotTier(() => 0);
  get size() {
    return this.#size;
  }
  add(block) {
    this.#root = insert(this.#root, block);
    this.#size++;
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== "absent") this.#copies[tier]++;
  }
  remove(block) {
    if (!has(this.#root, block)) return;
    this.#root = without(this.#root, block);
    this.#size--;
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== "absent") this.#copies[tier]--;
  }
  /** A copy of one of the siblings came (1) or went (-1). */
  count(tier, change) {
    this.#copies[tier] += change;
  }
  /** Siblings with a copy, filling or present. */
  copies(tier) {
    return this.#copies[tier];
  }
  /** The bytes of one of the block's copies are complete, or no longer there. */
  review(block) {
    renewPath(this.#root, block);
  }
  /** In the order of their token ids. */
  *[Symbol.iterator]() {
    for (const { block } of walk(this.#root)) yield block;
  }
  /** As `ChildIndex.best`. */
  best(tokens, isUsable2) {
    const refused2 = /* @__PURE__ */ new Set();
    let rows4 = mostRows(this.#root, tokens);
    while (rows4 > 0 && refused2.size < MOST_REFUSED) {
      const block = bestWithin(this.#root, { tokens, rows: rows4, refused: refused2 });
      if (block === null) rows4 = this.#mostServed(tokens, rows4 - 1, refused2);
      else if (isUsable2(block)) return { block, rows: rows4 };
      else refused2.add(block);
    }
    return null;
  }
  /** Siblings that are shorter than `tokens`, which begin with them; the longest first. */
  beginningsOf(tokens) {
    const found = [];
    for (let length = tokens.length - 1; length > 0; ) {
      const beginning = tokens.subarray(0, length);
      const last = lastUpTo(this.#root, beginning);
      if (!last) break;
      const same = commonTokens(last.tokens, beginning);
      if (same === last.valid) {
        pushEqual(this.#root, last.tokens, found);
        length = same - 1;
      } else length = same;
    }
    return found;
  }
  /** Throws unless the tree is in order and in balance, and its counts are right. Stops after every piece. */
  *check(pace) {
    let before = null;
    let size = 0;
    const copies = perSlotTier(() => 0);
    for (const node of walk(this.#root)) {
      checkNode(node, before);
      before = node.block;
      size++;
      for (const tier of SLOT_TIERS) if (node.block.copies[tier].state !== "absent") copies[tier]++;
      if (pace.isOver) yield;
    }
    if (size !== this.#size) throw new Error(`${size} siblings, but ${this.#size} are counted`);
    for (const tier of SLOT_TIERS) {
      if (copies[tier] !== this.#copies[tier]) throw new Error(`${tier}: ${copies[tier]} siblings, but ${this.#copies[tier]} are counted`);
    }
  }
  /** The most leading tokens, at most `most`, that a sibling has which is not refused; found by halving. */
  #mostServed(tokens, most, refused2) {
    let low = 0;
    let high = most;
    while (low < high) {
      const rows4 = low + high + 1 >> 1;
      if (bestWithin(this.#root, { tokens, rows: rows4, refused: refused2 })) low = rows4;
      else high = rows4 - 1;
    }
    return low;
  }
};
function mostRows(root, tokens) {
  let rows4 = 0;
  for (let node = root; node; ) {
    const { tokens: own2 } = node.block;
    rows4 = Math.max(rows4, commonTokens(own2, tokens));
    node = compareTokens(own2, tokens) < 0 ? node.right : node.left;
  }
  return rows4;
}
function bestWithin(node, wanted) {
  if (!node?.best) return null;
  const side = besidePrefix(node.block.tokens, wanted.tokens, wanted.rows);
  if (side !== 0) return bestWithin(side < 0 ? node.right : node.left, wanted);
  return better(own(node, wanted.refused), better(bestOnSide(node.left, wanted, -1), bestOnSide(node.right, wanted, 1)));
}
function bestOnSide(node, wanted, outside) {
  if (!node?.best) return null;
  const inner = outside < 0 ? node.right : node.left;
  const outer = outside < 0 ? node.left : node.right;
  if (besidePrefix(node.block.tokens, wanted.tokens, wanted.rows) !== 0) return bestOnSide(inner, wanted, outside);
  return better(own(node, wanted.refused), better(bestOfAll(inner, wanted.refused), bestOnSide(outer, wanted, outside)));
}
function bestOfAll(node, refused2) {
  if (!node?.best || !refused2.has(node.best)) return node?.best ?? null;
  return better(own(node, refused2), better(bestOfAll(node.left, refused2), bestOfAll(node.right, refused2)));
}
function own({ block }, refused2) {
  return block.tier === null || refused2.has(block) ? null : block;
}
function lastUpTo(root, tokens) {
  let last = null;
  for (let node = root; node; ) {
    const isUpTo = compareTokens(node.block.tokens, tokens) <= 0;
    if (isUpTo) last = node.block;
    node = isUpTo ? node.right : node.left;
  }
  return last;
}
function pushEqual(node, tokens, found) {
  if (!node) return;
  const side = compareTokens(node.block.tokens, tokens);
  if (side >= 0) pushEqual(node.left, tokens, found);
  if (side === 0) found.push(node.block);
  if (side <= 0) pushEqual(node.right, tokens, found);
}

// ts/directory/children.ts
var ChildIndex = class {
  /** Most blocks have no sibling, and need no tree. */
  #children = /* @__PURE__ */ new Map();
  add(block) {
    const known = this.#children.get(block.parent);
    if (known instanceof SiblingTree) return known.add(block);
    if (known === block) return;
    const siblings = known ? new SiblingTree() : block;
    if (siblings instanceof SiblingTree) for (const sibling of [known, block]) siblings.add(sibling);
    this.#children.set(block.parent, siblings);
  }
  remove(block) {
    const known = this.#children.get(block.parent);
    if (known === block) this.#children.delete(block.parent);
    if (!(known instanceof SiblingTree)) return;
    known.remove(block);
    const [last] = known.size === 1 ? known : [];
    if (last) this.#children.set(block.parent, last);
  }
  *of(parent) {
    const known = this.#children.get(parent);
    if (known instanceof SiblingTree) yield* known;
    else if (known) yield known;
  }
  /** The bytes of one of the block's copies are complete, or no longer there. */
  review(block) {
    const known = this.#children.get(block.parent);
    if (known instanceof SiblingTree) known.review(block);
  }
  /** A copy of the block came (1) or went (-1). */
  count(block, tier, change) {
    const known = this.#children.get(block.parent);
    if (known instanceof SiblingTree) known.count(tier, change);
  }
  /** Children with a copy in the tier, filling or present. */
  copies(parent, tier) {
    const known = this.#children.get(parent);
    if (known instanceof SiblingTree) return known.copies(tier);
    return known && known.copies[tier].state !== "absent" ? 1 : 0;
  }
  /**
   * The child with complete bytes that shares the most leading tokens; at equal length the one in the faster tier.
   * `isUsable` is asked last, of a few at most: whether its rows were computed from what the asker sees.
   */
  best(parent, tokens, isUsable2) {
    const known = this.#children.get(parent);
    if (known instanceof SiblingTree) return known.best(tokens, isUsable2);
    if (!known || known.tier === null) return null;
    const rows4 = commonTokens(known.tokens, tokens);
    return rows4 > 0 && isUsable2(known) ? { block: known, rows: rows4 } : null;
  }
  /** Siblings of the block that are shorter, and that it begins with; the longest first. */
  beginningsOf(block) {
    const known = this.#children.get(block.parent);
    if (known instanceof SiblingTree) return known.beginningsOf(block.tokens);
    const isBeginning = known && known.valid < block.valid && commonTokens(known.tokens, block.tokens) === known.valid;
    return isBeginning ? [known] : [];
  }
  /** Throws unless exactly `blocks` are indexed, each under its parent. Stops after every piece. */
  *check(blocks, pace) {
    let count9 = 0;
    for (const [parent, siblings] of this.#children) {
      if (siblings instanceof SiblingTree) yield* siblings.check(pace);
      for (const block of this.of(parent)) {
        count9++;
        if (block.parent !== parent) throw new Error("a block is indexed under a key that is not its parent");
        if (blocks.get(block.key) !== block) throw new Error("a child is not in the directory");
        if (pace.isOver) yield;
      }
    }
    if (count9 !== blocks.size) throw new Error(`${blocks.size} blocks, but ${count9} children`);
  }
};

// ts/directory/key-filter.ts
var BITS_A_KEY = 16;
var PROBES = 4;
var KeyFilter = class {
  #capacity;
  #mask;
  #young;
  #old;
  #count = 0;
  /** Holds the last `capacity` keys at least, and twice as many at most. */
  constructor(capacity) {
    this.#capacity = Math.max(1, capacity);
    const bits = 2 ** Math.ceil(Math.log2(Math.max(32, this.#capacity * BITS_A_KEY)));
    this.#mask = bits - 1;
    this.#young = new Uint32Array(bits / 32);
    this.#old = new Uint32Array(bits / 32);
  }
  add(key) {
    if (this.#count === this.#capacity) this.#turn();
    this.#count++;
    for (const bit of this.#bits(key)) this.#young[bit >>> 5] = (this.#young[bit >>> 5] ?? 0) | 1 << (bit & 31);
  }
  mayHold(key) {
    const bits = this.#bits(key);
    return bits.every((bit) => isSet(this.#young, bit)) || bits.every((bit) => isSet(this.#old, bit));
  }
  #turn() {
    const emptied = this.#old.fill(0);
    this.#old = this.#young;
    this.#young = emptied;
    this.#count = 0;
  }
  /** A key is a hash: its own bytes serve. */
  #bits(key) {
    return Array.from({ length: PROBES }, (_, probe) => keyWord(key, probe) & this.#mask);
  }
};
function keyWord(key, word) {
  const at = word * 4;
  return (key.charCodeAt(at) << 24 | key.charCodeAt(at + 1) << 16 | key.charCodeAt(at + 2) << 8 | key.charCodeAt(at + 3)) >>> 0;
}
function isSet(words, bit) {
  return ((words[bit >>> 5] ?? 0) & 1 << (bit & 31)) !== 0;
}

// ts/directory/lost-tails.ts
var MOST_SIBLINGS = 8;
var LostTails = class {
  #byKey = /* @__PURE__ */ new Map();
  #byParent = /* @__PURE__ */ new Map();
  add(tail) {
    const { key, parent } = tail;
    this.remove(key);
    const siblings = this.#byParent.get(parent) ?? [];
    const tooMany = siblings.length === MOST_SIBLINGS ? siblings.shift() : void 0;
    if (tooMany) this.#byKey.delete(tooMany.key);
    siblings.push(tail);
    this.#byParent.set(parent, siblings);
    this.#byKey.set(key, tail);
  }
  remove(key) {
    const tail = this.#byKey.get(key);
    if (!tail) return;
    this.#byKey.delete(key);
    const siblings = (this.#byParent.get(tail.parent) ?? []).filter((other) => other !== tail);
    if (siblings.length > 0) this.#byParent.set(tail.parent, siblings);
    else this.#byParent.delete(tail.parent);
  }
  /** Keys of the tails that the conversation used. */
  of(conversation) {
    return [...this.#byKey.values()].filter(({ users }) => users.includes(conversation)).map(({ key }) => key);
  }
  /** The tail after `parent` that shares the most leading tokens with `tokens`, and how many. */
  best(parent, tokens) {
    let best;
    for (const tail of this.#byParent.get(parent) ?? []) {
      const rows4 = commonTokens(tail.tokens, tokens);
      if (rows4 > (best?.rows ?? 0)) best = { key: tail.key, rows: rows4 };
    }
    return best;
  }
};

// ts/directory/ghosts.ts
var GHOSTS_A_SLOT = 5;
var MOST_GHOSTS = 262144;
var FORGOTTEN_A_GHOST = 8;
function ghostCapacity(slots) {
  return Math.min(MOST_GHOSTS, GHOSTS_A_SLOT * sumTiers(slots));
}
var Ghosts = class {
  #options;
  /** In the order in which they left. */
  #ghosts = /* @__PURE__ */ new Map();
  #tails = new LostTails();
  #forgotten;
  constructor(options) {
    this.#options = options;
    this.#forgotten = new KeyFilter(FORGOTTEN_A_GHOST * options.capacity);
  }
  get size() {
    return this.#ghosts.size;
  }
  /** What became of the block; undefined: it never left, came back, or left too long ago. */
  get(key) {
    return this.#ghosts.get(key);
  }
  /** The partly filled block that left from behind `parent` and shares the most leading tokens with `tokens`. */
  tailAfter(parent, tokens) {
    const tail = this.#tails.best(parent, tokens);
    const ghost = tail && this.#ghosts.get(tail.key);
    return tail && ghost ? { ...tail, ghost } : void 0;
  }
  /** The block was here, and its ghost is forgotten; one key in some hundreds is taken for such a one by mistake. */
  isForgotten(key) {
    return this.#forgotten.mayHold(key);
  }
  /** The block, which these conversations used, is leaving `tier`, its last. */
  left(key, tier, cause, { uses, cohort, parent, tokens }, users = []) {
    const { capacity, policy, now } = this.#options;
    const isChosen = cause === "evicted" || cause === "write_queue_full";
    this.#ghosts.delete(key);
    this.#ghosts.set(key, { at: now(), cause, tier, policy: isChosen ? policy : null, history: { uses, cohort } });
    if (parent !== void 0 && tokens && tokens.length < BLOCK_TOKENS) this.#tails.add({ key, parent, tokens, users });
    if (this.#ghosts.size > capacity) this.#forget(this.#ghosts.keys().next().value);
  }
  /** Forgets the tokens that are remembered of a conversation. Of whole blocks there are only keys. */
  erase(conversation) {
    for (const key of this.#tails.of(conversation)) this.#drop(key);
  }
  /** The block is back: its ghost, which is one no longer. */
  returned(key) {
    const ghost = this.#ghosts.get(key);
    if (ghost) this.#drop(key);
    return ghost;
  }
  #forget(key) {
    this.#forgotten.add(key);
    this.#drop(key);
  }
  #drop(key) {
    this.#ghosts.delete(key);
    this.#tails.remove(key);
  }
};

// ts/directory/pace.ts
var PIECE = 500;
var Pace = class {
  #looked = 0;
  /** Counts an entry that was looked at; true: it was the last of a piece. */
  get isOver() {
    this.#looked++;
    return this.#looked % PIECE === 0;
  }
};
function walkAll(pieces) {
  const iterator = pieces[Symbol.iterator]();
  while (iterator.next().done !== true) ;
}

// ts/directory/integrity.ts
function* checkDirectory(directory) {
  const pace = new Pace();
  for (const tier of SLOT_TIERS) yield* checkTier(directory, tier, pace);
  for (const [key, block] of directory.blocks) {
    if (block.key !== key || block.gone) throw new Error("a key names a block that is not its own");
    checkBlock(block);
    if (pace.isOver) yield;
  }
  yield* directory.children.check(directory.blocks, pace);
  for (const tier of SLOT_TIERS) yield* checkLeaves(directory, tier, pace);
  yield* directory.users.check(directory.blocks, pace);
}
function* checkTier(directory, tier, pace) {
  const pool = directory.pools[tier];
  const owned = new Set(directory.reserved[tier]);
  for (const block of directory.inTier[tier]) {
    const { slot, state } = block.copies[tier];
    if (state === "absent") throw new Error(`${tier}: a block without a copy is listed`);
    if (directory.blocks.get(block.key) !== block) throw new Error(`${tier}: slot ${slot} belongs to no key`);
    if (owned.has(slot)) throw new Error(`${tier}: slot ${slot} is owned twice`);
    owned.add(slot);
    if (pace.isOver) yield;
  }
  for (const slot of owned) {
    if (!pool.isUsed(slot)) throw new Error(`${tier}: slot ${slot} is owned but not in use`);
    if (pace.isOver) yield;
  }
  const sum = pool.free + pool.cooling + owned.size;
  if (sum !== pool.total) {
    throw new Error(`${tier}: ${pool.free} free + ${pool.cooling} cooling + ${owned.size} owned \u2260 ${pool.total}`);
  }
}
function* checkLeaves(directory, tier, pace) {
  for (const block of directory.blocks.values()) {
    const children = directory.children.copies(block.key, tier);
    const counted = block.copies[tier].children;
    if (counted !== children) throw new Error(`${tier}: ${counted} children are counted, there are ${children}`);
    if (pace.isOver) yield;
  }
  yield* directory.orders[tier].check(directory.inTier[tier], pace);
}
function checkBlock(block) {
  if (block.valid < 1 || block.valid > BLOCK_TOKENS) throw new Error(`a block of ${block.valid} tokens`);
  if (SLOT_TIERS.every((tier) => block.copies[tier].state === "absent")) throw new Error("a key has no bytes");
  if (block.refs < 0 || block.wants < 0) throw new Error("a negative count of references");
  if (block.refs > 0 && block.copies.hbm.state === "absent") throw new Error("a sequence refers to a block outside hbm");
  if (block.wants === 0 && block.firstWanted !== Infinity) throw new Error("no request wants a block that is marked as wanted");
  if (block.durable && !block.has("ssd")) throw new Error("a block is durable without an ssd copy");
}

// ts/placement/heap.ts
var BlockHeap = class {
  #items = [];
  #before;
  constructor(before) {
    this.#before = before;
  }
  get size() {
    return this.#items.length;
  }
  get first() {
    return this.#items[0];
  }
  add(block) {
    this.#items.push(block);
    block.heapAt = this.#items.length - 1;
    this.#up(block);
  }
  remove(block) {
    const at = block.heapAt;
    const last = this.#items.pop();
    block.heapAt = -1;
    if (last === block) return;
    this.#put(last, at);
    this.fix(last);
  }
  /** The block's rank has changed. */
  fix(block) {
    if (!this.#up(block)) this.#down(block);
  }
  /**
   * The first block in order that passes `test`; undefined: none of the first `mostFailures` does. Blocks are tested in
   * order, the heap's own way down.
   */
  firstWhere(test2, mostFailures) {
    const open2 = this.#items.length === 0 ? [] : [0];
    for (let failures = 0; open2.length > 0 && failures < mostFailures; failures++) {
      const at = this.#takeFirst(open2);
      const block = this.#items[at];
      if (test2(block)) return block;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < this.#items.length) open2.push(child);
    }
    return void 0;
  }
  /** As `firstWhere`, by a look at every block: faster where many fail. */
  firstOfAll(test2) {
    let best;
    for (const block of this.#items) {
      if ((best === void 0 || this.#before(block, best)) && test2(block)) best = block;
    }
    return best;
  }
  /** Any rank may have changed. */
  rebuild() {
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at--) this.#down(this.#items[at]);
  }
  /** Takes the place out of `open` whose block is first. `open` stays short: a child for each block that failed. */
  #takeFirst(open2) {
    let first = 0;
    for (let i = 1; i < open2.length; i++) {
      if (this.#before(this.#items[open2[i]], this.#items[open2[first]])) first = i;
    }
    return open2.splice(first, 1)[0];
  }
  #up(block) {
    const start = block.heapAt;
    let at = start;
    while (at > 0) {
      const parent = this.#items[at - 1 >> 1];
      if (!this.#before(block, parent)) break;
      this.#put(parent, at);
      at = at - 1 >> 1;
    }
    this.#put(block, at);
    return at !== start;
  }
  #down(block) {
    let at = block.heapAt;
    for (; ; ) {
      let child = 2 * at + 1;
      if (child >= this.#items.length) break;
      if (child + 1 < this.#items.length && this.#before(this.#items[child + 1], this.#items[child])) child++;
      const least = this.#items[child];
      if (!this.#before(least, block)) break;
      this.#put(least, at);
      at = child;
    }
    this.#put(block, at);
  }
  #put(block, at) {
    this.#items[at] = block;
    block.heapAt = at;
  }
};

// ts/directory/leaf-order.ts
var RENEW_SHARE = 1 / 8;
var RENEW_EVERY = 32;
var MOST_VISITS = 64;
var Leaf = class {
  constructor(block) {
    this.block = block;
    this.index = block.index;
    this.born = block.born;
    this.renew();
  }
  block;
  heapAt = -1;
  lastUse = 0;
  firstWanted = Infinity;
  uses = 0;
  cohort = null;
  index;
  born;
  /** True: the block's rank had changed. */
  renew() {
    const { lastUse, firstWanted, cohort } = this.block;
    if (lastUse === this.lastUse && firstWanted === this.firstWanted && cohort === this.cohort) return false;
    this.lastUse = lastUse;
    this.firstWanted = firstWanted;
    this.cohort = cohort;
    return true;
  }
};
var LeafOrder = class {
  #tier;
  #policy;
  #leaves = /* @__PURE__ */ new Map();
  #heap;
  #givenUp = 0;
  constructor(tier, policy) {
    this.#tier = tier;
    this.#policy = policy;
    this.#heap = new BlockHeap(policy.goesBefore);
  }
  /** The block came, went, is used or no longer used by a sequence, or got or lost what continues it. */
  review(block) {
    const leaf = this.#leaves.get(block);
    if (this.#isLeaf(block)) {
      if (!leaf) this.#add(block);
    } else if (leaf) {
      this.#leaves.delete(block);
      this.#heap.remove(leaf);
      this.#givenUp++;
    }
  }
  /** The first leaf that may go; null: none may. It stays in the order until its copy is removed. */
  first(mayGo) {
    if (this.#givenUp >= Math.max(RENEW_EVERY, this.#heap.size * RENEW_SHARE)) this.#renewAll();
    for (; ; ) {
      let moved = false;
      const found = this.#heap.firstWhere((leaf) => (moved = leaf.renew()) || mayGo(leaf.block), MOST_VISITS);
      if (!found) break;
      if (!moved) return found.block;
      this.#heap.fix(found);
    }
    this.#renewAll();
    return this.#heap.firstOfAll((leaf) => mayGo(leaf.block))?.block ?? null;
  }
  /** Throws unless exactly the leaves are in the order. Stops after every piece. */
  *check(residents, pace) {
    let count9 = 0;
    for (const block of residents) {
      if (pace.isOver) yield;
      if (!this.#isLeaf(block)) continue;
      count9++;
      if (!this.#leaves.has(block)) throw new Error(`${this.#tier}: a leaf is not in the order`);
    }
    if (count9 !== this.#leaves.size || count9 !== this.#heap.size) {
      throw new Error(`${this.#tier}: ${count9} leaves, but ${this.#leaves.size} in the order, ${this.#heap.size} in its heap`);
    }
  }
  #isLeaf(block) {
    const { state, children } = block.copies[this.#tier];
    if (state === "absent" || this.#tier === "hbm" && block.refs > 0) return false;
    return children === 0 || !this.#policy.leavesFirst;
  }
  #add(block) {
    const leaf = new Leaf(block);
    this.#leaves.set(block, leaf);
    this.#heap.add(leaf);
  }
  #renewAll() {
    this.#givenUp = 0;
    for (const leaf of this.#leaves.values()) leaf.renew();
    this.#heap.rebuild();
  }
};

// ts/directory/view.ts
var wholeView = (token) => [[0, token + 1]];
function viewOf(parameters) {
  if (parameters === null) return wholeView;
  const { head: head3, window } = parameters;
  return (token) => token < window ? wholeView(token) : [[0, head3], [head3 + leftOut(parameters, token), token + 1]];
}
function reuseLength(n, present, view) {
  let length = n - 1;
  for (let gap = lastGap(length, present, view); gap >= 0; gap = lastGap(length, present, view)) length = gap;
  return length;
}
function lastGap(length, present, view) {
  for (const [from, to] of view(length).toReversed()) {
    const end = Math.min(to, length);
    for (let block = Math.ceil(end / BLOCK_TOKENS) - 1; block >= 0 && (block + 1) * BLOCK_TOKENS > from; block--) {
      const start = Math.max(from, block * BLOCK_TOKENS + (present[block] ?? 0));
      if (start < Math.min(end, (block + 1) * BLOCK_TOKENS)) return start;
    }
  }
  return -1;
}

// ts/directory/match.ts
function matchTokens(blocks, children, root, keys, tokens, view, isUsable2, existenceOf) {
  const found = [];
  for (let index2 = 0; index2 * BLOCK_TOKENS < tokens.length; index2++) {
    const exact = isFull(index2, tokens) ? blocks.get(keys[index2]) : void 0;
    if (exact && exact.tier !== null) {
      found.push({ block: exact, rows: BLOCK_TOKENS });
      continue;
    }
    const parent = index2 === 0 ? root : keys[index2 - 1];
    const from = index2 * BLOCK_TOKENS;
    found.push(parent === void 0 ? null : children.best(parent, tokens.subarray(from, from + BLOCK_TOKENS), isUsable2));
  }
  const match = sourcesBefore(reuseLength(tokens.length, found.map(rowsOf), view), found, view);
  return existenceOf ? { ...match, elsewhere: elsewhereOf({ keys, tokens, view }, found, match.length, existenceOf) } : match;
}
function rowsOf(found) {
  return found?.rows ?? 0;
}
function elsewhereOf({ keys, tokens, view }, found, length, existenceOf) {
  const hoped = found.map((hit, index2) => {
    const key = isFull(index2, tokens) && rowsOf(hit) < BLOCK_TOKENS ? keys[index2] : void 0;
    const existence = key === void 0 ? "absent" : existenceOf(key);
    return key === void 0 || existence === "absent" ? null : { index: index2, key, existence };
  });
  const hopedLength = reuseLength(tokens.length, found.map((hit, index2) => hoped[index2] ? BLOCK_TOKENS : rowsOf(hit)), view);
  if (hopedLength <= length) return [];
  const ranges = view(hopedLength);
  return hoped.filter((block) => block !== null && isSeen(block.index, hopedLength, ranges));
}
function isFull(index2, tokens) {
  return (index2 + 1) * BLOCK_TOKENS <= tokens.length;
}
function sourcesBefore(length, found, view) {
  const sources = [];
  const ranges = view(length);
  for (let index2 = 0; index2 * BLOCK_TOKENS < length; index2++) {
    const from = index2 * BLOCK_TOKENS;
    const rows4 = Math.min(length - from, BLOCK_TOKENS);
    const hit = found[index2];
    if (hit && isSeen(index2, length, ranges)) sources.push({ index: index2, block: hit.block, rows: rows4 });
  }
  return { length, sources };
}
function isSeen(index2, length, ranges) {
  const from = index2 * BLOCK_TOKENS;
  const to = Math.min(length, from + BLOCK_TOKENS);
  return ranges.some(([start, end]) => start < to && end > from);
}

// ts/directory/remains.ts
var NONE = /* @__PURE__ */ new Set();
var SEPARATOR = "\n";
var MOST_USERS = 64;
var ANYONE = "";
var Remains = class {
  /** Conversations by slot. */
  #users = /* @__PURE__ */ new Map();
  /** Of these slots, those that were written again, and are not flushed: after a power loss their old bytes may be back. */
  #rewritten = /* @__PURE__ */ new Set();
  /** Slots of which the store says that they are being written. */
  #writing = /* @__PURE__ */ new Set();
  #store = null;
  /**
   * Remembers across restarts. A slot that was being written when the server ended, and that no block has now, holds bytes
   * of the conversations that it was written for; if none of them is known, of anyone.
   */
  keepIn(store, isKept) {
    this.#store = store;
    for (const { key, value } of store.left.entries()) {
      const slot = Buffer.from(key).readUInt32BE();
      const users = usersIn(value).filter((name2) => name2 === ANYONE || isKept.conversation(name2));
      if (isKept.slot(slot) && users.length > 0) this.#users.set(slot, new Set(users));
      else store.left.remove(key);
    }
    for (const { key, value } of store.writing.entries()) {
      const slot = Buffer.from(key).readUInt32BE();
      const users = usersIn(value).filter((name2) => isKept.conversation(name2));
      if (isKept.slot(slot)) this.left(slot, users.length > 0 ? users : [ANYONE]);
      store.writing.remove(key);
    }
  }
  /** It outlives a restart. */
  get isKept() {
    return this.#store !== null;
  }
  get size() {
    return this.#users.size;
  }
  /**
   * The slot is about to be written for these conversations. The promise ends when that is on disk: whenever the server
   * ends, nothing was written that an erasure would not find. null: nothing is remembered across restarts.
   */
  writing(slot, conversations) {
    if (!this.#store) return null;
    this.#writing.add(slot);
    this.#store.writing.put(slotKey(slot), encoded(usersOf(conversations)));
    return this.#store.committed();
  }
  /** The slot is given up, and holds bytes that these conversations used, besides what it may have held before. */
  left(slot, conversations) {
    this.#rewritten.delete(slot);
    const named4 = /* @__PURE__ */ new Set([...this.#users.get(slot) ?? NONE, ...conversations]);
    if (named4.size > 0) {
      const users = usersOf(named4);
      this.#users.set(slot, users);
      this.#store?.left.put(slotKey(slot), encoded(users));
    }
    this.#endWriting(slot);
  }
  /** Every byte of the slot is written; what was there before is gone for good with the next flush. */
  rewritten(slot) {
    if (this.#users.has(slot)) this.#rewritten.add(slot);
  }
  /** That is flushed: nothing of before is left. */
  overwritten(slot) {
    this.#rewritten.delete(slot);
    if (this.#users.delete(slot)) this.#store?.left.remove(slotKey(slot));
    this.#endWriting(slot);
  }
  /** The slot can be read, and bytes of the conversation found. */
  has(slot, conversation) {
    return !this.#rewritten.has(slot) && this.#isOf(slot, conversation);
  }
  /** Slots that hold bytes of the conversation. */
  of(conversation) {
    return [...this.#users.keys()].filter((slot) => this.has(slot, conversation));
  }
  /** A slot that held bytes of the conversation is written again, and not flushed. */
  awaitsFlush(conversation) {
    for (const slot of this.#rewritten) if (this.#isOf(slot, conversation)) return true;
    return false;
  }
  #isOf(slot, conversation) {
    const users = this.#users.get(slot) ?? NONE;
    return users.has(conversation) || users.has(ANYONE);
  }
  #endWriting(slot) {
    if (this.#writing.delete(slot)) this.#store?.writing.remove(slotKey(slot));
  }
};
function usersOf(conversations) {
  const named4 = new Set(conversations);
  return named4.size === 0 || named4.size > MOST_USERS || named4.has(ANYONE) ? /* @__PURE__ */ new Set([ANYONE]) : named4;
}
function encoded(users) {
  return Buffer.from([...users].join(SEPARATOR), "utf8");
}
function usersIn(value) {
  return Buffer.from(value).toString("utf8").split(SEPARATOR);
}
function slotKey(slot) {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(slot);
  return key;
}

// ts/directory/reservation.ts
var Reservation = class {
  constructor(keeper, tier, slot) {
    this.tier = tier;
    this.slot = slot;
    this.#keeper = keeper;
  }
  tier;
  slot;
  #keeper;
  /** The slot becomes the block's copy: filling, or present if its bytes are complete. */
  become(block, state) {
    const keeper = this.#keeper;
    if (!keeper) throw new Error(`${this.tier} slot ${this.slot} is not reserved any more`);
    this.#keeper = null;
    keeper.adopt(block, this.tier, this.slot, state);
  }
  /** Gives the slot back, unless it has become a copy; it cools while something in flight names it. */
  dispose() {
    const keeper = this.#keeper;
    this.#keeper = null;
    keeper?.unreserve(this.tier, this.slot);
  }
};

// ts/directory/slots.ts
var FREE = 0;
var USED = 1;
var COOLING = 2;
var SlotPool = class {
  total;
  /** Grows whenever a slot may have become available. */
  version = 0;
  #state;
  #pins;
  #lastStep;
  #free = [];
  #cooling = /* @__PURE__ */ new Set();
  #answered = -1;
  constructor(total) {
    this.total = total;
    this.#state = new Uint8Array(total);
    this.#pins = new Uint16Array(total);
    this.#lastStep = new Int32Array(total).fill(-1);
    for (let slot = total - 1; slot >= 0; slot--) this.#free.push(slot);
  }
  get free() {
    return this.#free.length;
  }
  get cooling() {
    return this.#cooling.size;
  }
  get used() {
    return this.total - this.free - this.cooling;
  }
  /** A free slot, or -1. */
  take() {
    const slot = this.#free.pop();
    if (slot === void 0) return -1;
    this.#state[slot] = USED;
    return slot;
  }
  /** Takes those of the slots that are free, and answers which these are. */
  takeFree(slots) {
    const taken = this.#free.filter((slot) => slots.has(slot));
    if (taken.length === 0) return taken;
    for (const slot of taken) this.#state[slot] = USED;
    this.#free = this.#free.filter((slot) => !slots.has(slot));
    return taken;
  }
  /** Gives a used slot back. It is handed out again only when nothing in flight names it. */
  give(slot) {
    if (this.#state[slot] !== USED) throw new Error(`slot ${slot} is given back but not in use`);
    if (this.isIdle(slot)) {
      this.#release(slot);
    } else {
      this.#state[slot] = COOLING;
      this.#cooling.add(slot);
    }
  }
  /** A transfer names the slot. */
  pin(slot) {
    this.#pins[slot] = (this.#pins[slot] ?? 0) + 1;
  }
  unpin(slot) {
    const pins = this.#pins[slot] ?? 0;
    if (pins === 0) throw new Error(`slot ${slot} is unpinned but not pinned`);
    this.#pins[slot] = pins - 1;
    this.version++;
    if (this.#state[slot] === COOLING && this.isIdle(slot)) this.#release(slot);
  }
  isPinned(slot) {
    return (this.#pins[slot] ?? 0) > 0;
  }
  /** Step `step` names the slot. */
  nameInStep(slot, step) {
    if (step > (this.#lastStep[slot] ?? -1)) this.#lastStep[slot] = step;
  }
  /** Steps up to `step` are answered. */
  answered(step) {
    this.#answered = step;
    this.version++;
    for (const slot of this.#cooling) if (this.isIdle(slot)) this.#release(slot);
  }
  /** Nothing in flight names the slot. */
  isIdle(slot) {
    return this.#pins[slot] === 0 && (this.#lastStep[slot] ?? -1) <= this.#answered;
  }
  isFree(slot) {
    return this.#state[slot] === FREE;
  }
  isUsed(slot) {
    return this.#state[slot] === USED;
  }
  #release(slot) {
    this.#cooling.delete(slot);
    this.#state[slot] = FREE;
    this.#free.push(slot);
    this.version++;
  }
};

// ts/directory/users.ts
var NONE2 = /* @__PURE__ */ new Set();
var BlockUsers = class {
  /** Grows whenever a pair comes or goes. */
  version = 0;
  #blocks = /* @__PURE__ */ new Map();
  #conversations = /* @__PURE__ */ new Map();
  /** The conversation uses the block. */
  add(conversation, block) {
    this.version++;
    add(this.#blocks, conversation, block);
    add(this.#conversations, block, conversation);
  }
  /** Blocks that the conversation uses. */
  blocksOf(conversation) {
    return this.#blocks.get(conversation) ?? NONE2;
  }
  /** Conversations that use the block. */
  of(block) {
    return this.#conversations.get(block) ?? NONE2;
  }
  /** The conversation uses nothing any more. */
  forgetConversation(conversation) {
    this.version++;
    for (const block of this.blocksOf(conversation)) remove(this.#conversations, block, conversation);
    this.#blocks.delete(conversation);
  }
  /** The block has left the directory. */
  forgetBlock(block) {
    this.version++;
    for (const conversation of this.of(block)) remove(this.#blocks, conversation, block);
    this.#conversations.delete(block);
  }
  /** Throws unless both sides name the same pairs, of blocks that are among `blocks`. Stops after every piece. */
  *check(blocks, pace) {
    let pairs = 0;
    for (const [conversation, used] of this.#blocks) {
      for (const block of used) {
        if (blocks.get(block.key) !== block) throw new Error("a conversation refers to a block that is gone");
        if (!this.of(block).has(conversation)) throw new Error("a block does not know a conversation that refers to it");
        pairs++;
        if (pace.isOver) yield;
      }
    }
    for (const conversations of this.#conversations.values()) {
      pairs -= conversations.size;
      if (pace.isOver) yield;
    }
    if (pairs !== 0) throw new Error("a block knows a conversation that does not refer to it");
  }
};
function add(sets, key, value) {
  const set = sets.get(key);
  if (set) set.add(value);
  else sets.set(key, /* @__PURE__ */ new Set([value]));
}
function remove(sets, key, value) {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}

// ts/directory/directory.ts
var FULL_FROM = 15 / 16;
var Directory = class {
  pools;
  blocks = /* @__PURE__ */ new Map();
  /** Blocks with a copy, filling or present, by tier. */
  inTier = perSlotTier(() => /* @__PURE__ */ new Set());
  /** Of these, what no conversation sees any more; some may be seen again. */
  leftBehind = perSlotTier(() => /* @__PURE__ */ new Set());
  reserved = perSlotTier(() => /* @__PURE__ */ new Set());
  children = new ChildIndex();
  /** In which order the blocks of a tier would go. */
  orders;
  /** Blocks that left, and why. */
  ghosts;
  policy;
  /** Milliseconds. */
  now;
  /** What lies in ssd slots that were given up. */
  remains = new Remains();
  /** Which conversations use which blocks. */
  users = new BlockUsers();
  #onSsdSlotLeft;
  #onBlockLeaving;
  #lastUserOf;
  #born = 0;
  constructor(slots, options = {}) {
    const { policy = lru, now = () => systemClock.now(), onSsdSlotLeft = () => {
    }, onBlockLeaving = () => {
    }, lastUserOf = () => null } = options;
    this.policy = policy;
    this.now = now;
    this.#onSsdSlotLeft = onSsdSlotLeft;
    this.#onBlockLeaving = onBlockLeaving;
    this.#lastUserOf = lastUserOf;
    this.pools = perSlotTier((tier) => new SlotPool(slots[tier]));
    this.orders = perSlotTier((tier) => new LeafOrder(tier, policy));
    this.ghosts = new Ghosts({ capacity: ghostCapacity(slots), policy: policy.name, now });
  }
  /** Grows whenever a slot or a block may have become available. */
  get version() {
    let version = 0;
    for (const tier of SLOT_TIERS) version += this.pools[tier].version;
    return version;
  }
  /** Blocks that are here, if the lowest tier is full but for what is kept free for writing; else 0. */
  get fullCapacity() {
    const lowest = this.pools[SLOT_TIERS.findLast((tier) => this.pools[tier].total > 0) ?? "hbm"];
    return lowest.used < lowest.total * FULL_FROM ? 0 : this.blocks.size;
  }
  /**
   * What of `tokens` is there for whoever sees them through `view`. A block found by its tokens and not by its key is
   * taken only if `isUsable` says that its key is that of this view. With `existenceOf`, the match also names the blocks
   * that only a key-addressed tier may have.
   */
  match(root, keys, tokens, view, isUsable2 = () => true, existenceOf) {
    return matchTokens(this.blocks, this.children, root, keys, tokens, view, isUsable2, existenceOf);
  }
  /** Takes a free slot for bytes that have no key yet; null: none is free. */
  reserve(tier) {
    const slot = this.pools[tier].take();
    return slot < 0 ? null : this.#reservation(tier, slot);
  }
  /** Takes those of the slots that are free. */
  reserveFree(tier, slots) {
    return this.pools[tier].takeFree(slots).map((slot) => this.#reservation(tier, slot));
  }
  /** Gives a reserved slot back; it cools while something in flight names it. */
  unreserve(tier, slot) {
    if (!this.reserved[tier].delete(slot)) throw new Error(`${tier} slot ${slot} is not reserved`);
    this.pools[tier].give(slot);
  }
  /**
   * The block with this key, created without a copy if need be, with the history of its ghost. The caller must give it
   * a copy at once. `view`: its sequence's.
   */
  obtain(key, parent, index2, tokens, view = null) {
    const known = this.blocks.get(key);
    if (known) return known;
    const block = new Block(key, parent, index2, tokens, ++this.#born, keyedView(view, index2));
    const ghost = this.ghosts.returned(key);
    if (ghost) Object.assign(block, ghost.history, { isBack: true });
    this.blocks.set(key, block);
    this.children.add(block);
    for (const tier of SLOT_TIERS) block.copies[tier].children = this.children.copies(key, tier);
    return block;
  }
  /** A turn uses the block: it is the youngest now, and the policy learns of it. */
  use(block, turn) {
    block.lastUse = this.now();
    block.reachable = true;
    turn.used(block, block.valid < BLOCK_TOKENS, !block.isBack);
    block.isBack = false;
  }
  /** The conversation that used the block has moved on. Unless another uses or wants it, it is the first to go. */
  leaveBehind(block) {
    if (block.gone || block.refs > 0 || block.wants > 0) return;
    block.reachable = false;
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== "absent") this.leftBehind[tier].add(block);
  }
  /** A reserved slot becomes the block's copy: filling, or present if its bytes are complete. */
  adopt(block, tier, slot, state) {
    if (block.copies[tier].state !== "absent") throw new Error(`the block has a ${tier} copy already`);
    if (!this.reserved[tier].delete(slot)) throw new Error(`${tier} slot ${slot} is not reserved`);
    block.copies[tier].slot = slot;
    block.copies[tier].state = state;
    this.inTier[tier].add(block);
    if (!block.reachable) this.leftBehind[tier].add(block);
    this.pools[tier].version++;
    this.orders[tier].review(block);
    if (state === "present") this.children.review(block);
    this.#countChild(block, tier, 1);
  }
  /** The bytes of a filling copy are complete: from now on the block may be found there. */
  complete(block, tier) {
    if (block.copies[tier].state !== "filling") throw new Error(`the ${tier} copy is not filling`);
    block.copies[tier].state = "present";
    this.children.review(block);
    this.pools[tier].version++;
    if (tier === "ssd") this.remains.rewritten(block.copies.ssd.slot);
  }
  /** The sole owner extends a block in place: its hbm slot is a reserved one again. */
  takeOver(block) {
    const slot = block.copies.hbm.slot;
    this.#detach(block, "hbm");
    this.#forgetIfEmpty(block);
    return this.#reservation("hbm", slot);
  }
  /**
   * Removes one copy and, if it was the last, the block; `cause` then says why, to whoever asks for it again. Without a
   * cause, what it held lives on in another block.
   */
  removeCopy(block, tier, cause) {
    if (block.copies[tier].state === "absent") return;
    const slot = block.copies[tier].slot;
    const leavesTokens = cause !== void 0 && block.valid < BLOCK_TOKENS;
    const users = tier === "ssd" || leavesTokens ? this.usersOf(block) : [];
    this.#detach(block, tier);
    this.pools[tier].give(slot);
    if (tier === "ssd") {
      this.remains.left(slot, users);
      this.#onSsdSlotLeft(slot);
    }
    if (this.#forgetIfEmpty(block) && cause) this.ghosts.left(block.key, tier, cause, block, users);
  }
  /**
   * Takes a block whose bytes cannot be trusted out of sight, with all its copies. Sequences that name its hbm slot
   * keep the slot, reserved, until the last of them calls `unref`.
   */
  orphan(block) {
    if (block.gone) return;
    const { hbm } = block.copies;
    if (block.refs > 0 && hbm.state !== "absent") {
      this.#detach(block, "hbm");
      this.reserved.hbm.add(hbm.slot);
    }
    const users = this.usersOf(block);
    for (const tier of SLOT_TIERS) this.removeCopy(block, tier, "damaged");
    if (this.#forgetIfEmpty(block)) this.ghosts.left(block.key, "hbm", "damaged", block, users);
  }
  /**
   * Takes a block that nobody may find again out of sight, with all its copies, also those that are being filled.
   * Returns its ssd slot, reserved, for its bytes to be overwritten; null: it had none. Until they are, the slot holds
   * remains of anyone: its conversation may be forgotten by then. No sequence may use the block.
   */
  withdraw(block) {
    if (block.refs > 0 || block.wants > 0) throw new Error("a block that is in use cannot be withdrawn");
    const { state, slot } = block.copies.ssd;
    let own2 = null;
    if (state !== "absent") {
      this.#detach(block, "ssd");
      own2 = this.#reservation("ssd", slot);
      this.remains.left(slot, [ANYONE]);
      this.#onSsdSlotLeft(slot);
    }
    for (const tier of SLOT_TIERS) this.removeCopy(block, tier);
    this.#forgetIfEmpty(block);
    return own2;
  }
  /** A sequence's block table names the hbm copy. */
  ref(block) {
    block.refs++;
    this.orders.hbm.review(block);
  }
  /** The sequence no longer does; `lastStep` is the last step that named the slot. */
  unref(block, lastStep) {
    if (block.refs === 0) throw new Error("a block is released more often than it was taken");
    const { slot } = block.copies.hbm;
    this.pools.hbm.nameInStep(slot, lastStep);
    block.refs--;
    this.orders.hbm.review(block);
    this.pools.hbm.version++;
    if (block.gone && block.refs === 0) this.unreserve("hbm", slot);
  }
  /** Siblings that `block` makes superfluous: partly filled, with the same beginning, used by nobody. */
  superseded(block) {
    return this.children.beginningsOf(block).filter((sibling) => sibling.refs === 0);
  }
  /** Throws if used + free ≠ total, a slot is owned twice, a key has no bytes, or a count is wrong. */
  checkIntegrity() {
    walkAll(this.checks());
  }
  /** The same a piece at a time, as long as nothing changes. */
  checks() {
    return checkDirectory(this);
  }
  #reservation(tier, slot) {
    this.reserved[tier].add(slot);
    return new Reservation(this, tier, slot);
  }
  /** Names of the conversations that use the block, or used it last. */
  usersOf(block) {
    const users = new Set(this.users.of(block));
    const last = this.#lastUserOf(block);
    if (last !== null) users.add(last);
    return [...users];
  }
  #detach(block, tier) {
    const wasFound = block.has(tier);
    block.copies[tier].state = "absent";
    if (wasFound) this.children.review(block);
    this.inTier[tier].delete(block);
    this.leftBehind[tier].delete(block);
    if (TIERS[tier].isDurable) block.durable = false;
    this.pools[tier].version++;
    this.orders[tier].review(block);
    this.#countChild(block, tier, -1);
  }
  /** A copy of the block came or went: the block that it continues may be a leaf no longer, or again. */
  #countChild(block, tier, change) {
    this.children.count(block, tier, change);
    const parent = this.blocks.get(block.parent);
    if (!parent) return;
    parent.copies[tier].children += change;
    this.orders[tier].review(parent);
  }
  /** True: the block had no copy left, and is gone now. */
  #forgetIfEmpty(block) {
    if (block.gone || SLOT_TIERS.some((tier) => block.copies[tier].state !== "absent")) return false;
    this.#onBlockLeaving(block);
    block.gone = true;
    this.blocks.delete(block.key);
    this.children.remove(block);
    this.users.forgetBlock(block);
    return true;
  }
};

// ts/placement/adaptive/classes.ts
var USE_BUCKETS = 4;
var GAP_BUCKETS = 5;
var TOKEN_BUCKETS = 18;
var CLASSES = USE_BUCKETS * GAP_BUCKETS * TOKEN_BUCKETS * 2;
var TWIN_FAMILIES = USE_BUCKETS * GAP_BUCKETS * TOKEN_BUCKETS;
var RHYTHM_FAMILIES = USE_BUCKETS * GAP_BUCKETS;
var GAP_ENDS_MS = [8e3, 32e3, 128e3];
function useBucket(uses) {
  return uses <= 2 ? Math.max(0, uses - 1) : uses <= 4 ? 2 : 3;
}
function tokenBucket(newTokens) {
  return newTokens < 1 ? 0 : Math.min(TOKEN_BUCKETS - 1, 32 - Math.clz32(newTokens));
}
function gapBucket(gapMs) {
  if (gapMs === null) return 0;
  const bucket = GAP_ENDS_MS.findIndex((end) => gapMs < end);
  return bucket < 0 ? GAP_BUCKETS - 1 : bucket + 1;
}
function classOf({ uses, gapMs, newTokens, isPartialTail }) {
  const rhythm = useBucket(uses) * GAP_BUCKETS + gapBucket(gapMs);
  return (rhythm * TOKEN_BUCKETS + tokenBucket(newTokens)) * 2 + (isPartialTail ? 1 : 0);
}
function familiesOf(blockClass) {
  const twins = blockClass >> 1;
  return [twins, Math.floor(twins / TOKEN_BUCKETS)];
}

// ts/placement/adaptive/ages.ts
var AGE_BINS = 48;
var FIRST_MS = 2e3;
var GROWTH = 1.22;
var BIN_ENDS_MS = Array.from(
  { length: AGE_BINS },
  (_, bin) => bin === AGE_BINS - 1 ? Infinity : FIRST_MS * GROWTH ** bin
);
function binEnd(bin) {
  return BIN_ENDS_MS[bin] ?? Infinity;
}
function binWidth(bin) {
  const from = bin === 0 ? 0 : binEnd(bin - 1);
  const to = bin === AGE_BINS - 1 ? from * GROWTH : binEnd(bin);
  return to - from;
}

// ts/placement/adaptive/cohorts.ts
var LAST_BIN = AGE_BINS - 1;
var Cohort = class {
  constructor(blockClass, usedAt, isAwaited = false) {
    this.blockClass = blockClass;
    this.usedAt = usedAt;
    this.isAwaited = isAwaited;
  }
  blockClass;
  usedAt;
  isAwaited;
  /** The bin of their age. */
  bin = 0;
  /** Blocks that joined, and those of them that were not used since. */
  size = 0;
  waiting = 0;
  /** Orders of the contest under which the blocks would be gone by now, one bit each. */
  lostUnder = 0;
  /** The weight of one of the blocks; 0: none has been counted yet. */
  #weight = 0;
  /** One more block; a long turn adds some when the first have aged. */
  join(table) {
    this.size++;
    this.waiting++;
    if (this.#weight > 0) table.count(this.blockClass, this.bin, 0, this.#weight);
  }
  /** One of the blocks is used again. */
  use(table) {
    this.#beCounted(table);
    this.waiting--;
    table.count(this.blockClass, this.bin, this.#weight, 0);
  }
  /**
   * The blocks come to the next bin, and are counted in it at once: were they counted when they leave it, the ages that
   * only the oldest have reached would show uses and no failures.
   */
  age(table) {
    this.#beCounted(table);
    this.bin++;
    if (this.waiting > 0) table.count(this.blockClass, this.bin, 0, this.waiting * this.#weight);
  }
  /**
   * A cohort counts as the square root of its blocks: they come back together, so a thousand are little more than one
   * observation, and yet it is blocks that a tier keeps.
   */
  #beCounted(table) {
    if (this.#weight > 0) return;
    const mass = Math.sqrt(this.size);
    this.#weight = mass / this.size;
    table.observed(mass);
    table.count(this.blockClass, this.bin, 0, this.waiting * this.#weight);
  }
};
var CohortQueue = class {
  #table;
  #cohorts = [];
  /** Of each bin but the last: index in `#cohorts`. Non-increasing: who left a later bin has left the earlier ones. */
  #first = new Int32Array(LAST_BIN);
  constructor(table) {
    this.#table = table;
  }
  add(cohort) {
    this.#cohorts.push(cohort);
  }
  /** Moves every cohort to the bin of its age. */
  advance(now) {
    for (let bin = 0; bin < LAST_BIN; bin++) {
      let at = this.#first[bin] ?? 0;
      for (; at < this.#cohorts.length; at++) {
        const cohort = this.#cohorts[at];
        if (now - cohort.usedAt < binEnd(bin)) break;
        cohort.age(this.#table);
      }
      this.#first[bin] = at;
    }
    this.#forget();
  }
  /** Drops what has reached the last bin: it ages no more. */
  #forget() {
    const gone = this.#first[LAST_BIN - 1] ?? 0;
    if (gone < 1024 || gone < this.#cohorts.length / 2) return;
    this.#cohorts = this.#cohorts.slice(gone);
    for (let bin = 0; bin < LAST_BIN; bin++) this.#first[bin] = (this.#first[bin] ?? 0) - gone;
  }
};

// ts/placement/adaptive/life-table.ts
var SHRINKAGE = 10;
var PRIOR = 200;
var PRIOR_SCALE_MS = 3e5;
var Counts = class {
  used;
  atRisk;
  constructor(members) {
    this.used = new Float64Array(members * AGE_BINS);
    this.atRisk = new Float64Array(members * AGE_BINS);
  }
  add(member, bin, used, atRisk) {
    const at = member * AGE_BINS + bin;
    this.used[at] = (this.used[at] ?? 0) + used;
    this.atRisk[at] = (this.atRisk[at] ?? 0) + atRisk;
  }
  /** Chance of a use within the bin, drawn towards `parent`. */
  hazard(member, bin, parent, weight) {
    const at = member * AGE_BINS + bin;
    return ((this.used[at] ?? 0) + weight * parent) / ((this.atRisk[at] ?? 0) + weight);
  }
};
var OBLIVIOUS = Float64Array.from({ length: AGE_BINS }, (_, bin) => -Math.log(bin === 0 ? binWidth(0) : binEnd(bin - 1) + binWidth(bin)));
var PRIOR_HAZARDS = priorHazards();
function priorHazards() {
  const hazards = new Float64Array(AGE_BINS);
  let startMs = 0;
  for (let bin = 0; bin < AGE_BINS; bin++) {
    hazards[bin] = Math.min(0.5, 0.1 * binWidth(bin) / (startMs + PRIOR_SCALE_MS));
    startMs += binWidth(bin);
  }
  return hazards;
}
var LifeTable = class {
  #all = new Counts(1);
  #rhythms = new Counts(RHYTHM_FAMILIES);
  #twins = new Counts(TWIN_FAMILIES);
  #classes = new Counts(CLASSES);
  #worths = new Float64Array(CLASSES * AGE_BINS);
  /** Round of refreshing in which the worths of each class were made. */
  #madeIn = new Uint32Array(CLASSES);
  #hazards = new Float64Array(AGE_BINS);
  #round = 1;
  /** Before the first refresh too little was counted for any difference. */
  #caution = Infinity;
  /** Sums over the cohorts of their masses, and of these squared. */
  #masses = 0;
  #squares = 0;
  /** `atRisk` blocks of a class came to the age of the bin; `used` of those that had were used in it. */
  count(blockClass, bin, used, atRisk) {
    const [twins, rhythm] = familiesOf(blockClass);
    this.#all.add(0, bin, used, atRisk);
    this.#rhythms.add(rhythm, bin, used, atRisk);
    this.#twins.add(twins, bin, used, atRisk);
    this.#classes.add(blockClass, bin, used, atRisk);
  }
  /** A cohort of that mass is counted from now on. */
  observed(mass) {
    this.#masses += mass;
    this.#squares += mass * mass;
  }
  /**
   * Logarithm of the hits a block-millisecond that keeping a block of that class and age earns, as of the last `refresh`;
   * without trust in what was learnt, one that falls with age alone.
   */
  value(blockClass, bin) {
    if (this.#caution === Infinity) return OBLIVIOUS[bin] ?? 0;
    const worth = this.worth(blockClass, bin);
    return toldApart(worth, this.#caution);
  }
  /** The same, as it was learnt. */
  worth(blockClass, bin) {
    if (this.#madeIn[blockClass] !== this.#round) this.#make(blockClass);
    return this.#worths[blockClass * AGE_BINS + bin] ?? 0;
  }
  /**
   * Worths are made anew from what was counted, each when it is asked for. Those whose logarithms differ by less than
   * `caution` count as equal; Infinity: all of one age do.
   */
  refresh(caution) {
    this.#caution = caution;
    this.#round++;
  }
  #make(blockClass) {
    this.#madeIn[blockClass] = this.#round;
    this.#fillHazards(blockClass);
    for (let bin = 0; bin < AGE_BINS; bin++) this.#worths[blockClass * AGE_BINS + bin] = Math.log(gittinsIndex(this.#hazards, bin));
  }
  #fillHazards(blockClass) {
    const [twins, rhythm] = familiesOf(blockClass);
    const cohort = this.#masses === 0 ? 1 : this.#squares / this.#masses;
    const weight = SHRINKAGE * cohort;
    for (let bin = 0; bin < AGE_BINS; bin++) {
      const all = this.#all.hazard(0, bin, PRIOR_HAZARDS[bin] ?? 0, PRIOR * cohort);
      const byRhythm = this.#rhythms.hazard(rhythm, bin, all, weight);
      const byTwins = this.#twins.hazard(twins, bin, byRhythm, weight);
      this.#hazards[bin] = this.#classes.hazard(blockClass, bin, byTwins, weight);
    }
  }
};
function gittinsIndex(hazards, from) {
  let alive = 1;
  let chance = 0;
  let time = 0;
  let best = 0;
  for (let bin = from; bin < AGE_BINS; bin++) {
    const hazard = hazards[bin] ?? 0;
    chance += alive * hazard;
    time += alive * binWidth(bin) * (1 - hazard / 2);
    alive *= 1 - hazard;
    best = Math.max(best, chance / time);
  }
  return best;
}
function toldApart(worth, caution) {
  return caution === 0 ? worth : Math.floor(worth / caution) * caution;
}

// ts/placement/adaptive/contest.ts
var Holding = class {
  #level;
  #bit;
  /** The longest unused first. */
  #cohorts = [];
  constructor(level, bit) {
    this.#level = level;
    this.#bit = bit;
  }
  add(cohort) {
    this.#cohorts.push(cohort);
  }
  /** Blocks that do not fit are lost. Beyond the last age nothing is told apart any more, nor counted. */
  shrinkTo(blocks) {
    this.#cohorts = this.#cohorts.filter(({ waiting, bin }) => waiting > 0 && bin < AGE_BINS - 1);
    let excess = -blocks;
    for (const { waiting } of this.#cohorts) excess += waiting;
    if (excess <= 0) return;
    for (const cohort of this.#inOrder()) {
      cohort.lostUnder |= this.#bit;
      excess -= cohort.waiting;
      if (excess <= 0) break;
    }
    this.#cohorts = this.#cohorts.filter(({ lostUnder }) => (lostUnder & this.#bit) === 0);
  }
  /** Without sorting them: levels are few, and each has its cohorts in order of age. */
  *#inOrder() {
    const byLevel = /* @__PURE__ */ new Map();
    for (const cohort of this.#cohorts) {
      const level = this.#level(cohort);
      const alike = byLevel.get(level);
      if (alike) alike.push(cohort);
      else byLevel.set(level, [cohort]);
    }
    for (const level of [...byLevel.keys()].sort((a, b) => a - b)) yield* byLevel.get(level) ?? [];
  }
};
var Contest = class {
  #holdings;
  #leads;
  #variances;
  /** The counts that the turn under way has added. */
  #turn;
  /** Orders by level; the first is the one that the others are held against. */
  constructor(levels) {
    this.#holdings = levels.map((level, order2) => new Holding(level, 1 << order2));
    this.#leads = new Float64Array(levels.length);
    this.#variances = new Float64Array(levels.length);
    this.#turn = new Float64Array(levels.length);
  }
  entered(cohort) {
    for (const holding of this.#holdings) holding.add(cohort);
  }
  /** One of the cohort's blocks is used again. */
  returned({ lostUnder }) {
    if (lostUnder === 0) return;
    const first = lostUnder & 1;
    for (let order2 = 1; order2 < this.#turn.length; order2++) this.#turn[order2] = (this.#turn[order2] ?? 0) + first - (lostUnder >> order2 & 1);
  }
  /** The next uses are another turn's: blocks of one come back together, and count as one observation. */
  nextTurn() {
    for (let order2 = 1; order2 < this.#turn.length; order2++) {
      const added = this.#turn[order2] ?? 0;
      this.#leads[order2] = (this.#leads[order2] ?? 0) + added;
      this.#variances[order2] = (this.#variances[order2] ?? 0) + added * added;
    }
    this.#turn.fill(0);
  }
  /** Infinity: nothing has to go yet. */
  shrinkTo(blocks) {
    for (const holding of this.#holdings) holding.shrinkTo(blocks);
  }
  standing(order2) {
    return { lead: this.#leads[order2] ?? 0, variance: this.#variances[order2] ?? 0 };
  }
  /** Leaves a share of what was found so far. */
  forget(share) {
    for (let order2 = 1; order2 < this.#leads.length; order2++) {
      this.#leads[order2] = (this.#leads[order2] ?? 0) * share;
      this.#variances[order2] = (this.#variances[order2] ?? 0) * share;
    }
  }
};

// ts/placement/adaptive/trust.ts
var LARGE_DIFFERENCES = Math.LN2;
var CAUTIONS = [Infinity, 0, LARGE_DIFFERENCES];
var FEW_UP_TO = 0.6;
var NEARLY_ALL_FROM = 0.85;
var LEAST_DEMAND = -3;
var MOST_DEMAND = 2;
var MOST_BEHIND = 0.02;
var MARGIN = 4e-3;
var MEMORY = 0.995;
var FEW = 1e3;
var LOOK_EVERY = 2048;
var LOOK_SHARE = 1 / 8;
var Trust = class {
  #contest;
  #kept = 0;
  #lost = 0;
  #sinceLook = 0;
  #capacity = 0;
  constructor(table) {
    const level = ({ blockClass, bin }, caution) => caution === Infinity ? 0 : toldApart(table.worth(blockClass, bin), caution);
    this.#contest = new Contest(CAUTIONS.map((caution) => (cohort) => level(cohort, caution)));
  }
  entered(cohort) {
    this.#contest.entered(cohort);
  }
  used() {
    this.#sinceLook++;
  }
  /** A block of the cohort came back, and was or was not still there. */
  returned(cohort, wasThere) {
    if (wasThere) this.#kept++;
    else this.#lost++;
    this.#contest.returned(cohort);
  }
  /** A turn begins. `capacity`: blocks that the cache holds, if it is full; else 0. */
  nextTurn(capacity) {
    this.#capacity = capacity;
    this.#contest.nextTurn();
    if (this.#sinceLook < Math.max(LOOK_EVERY, capacity * LOOK_SHARE)) return;
    this.#sinceLook = 0;
    this.#contest.shrinkTo(capacity === 0 ? Infinity : capacity);
  }
  /** The logarithm of the ratio of two worths that count as equal; 0: all differences count; Infinity: none does. */
  refresh() {
    this.#kept *= MEMORY;
    this.#lost *= MEMORY;
    this.#contest.forget(MEMORY);
    return this.#capacity === 0 ? this.#unproven() : this.#winner();
  }
  /** While nothing has to go for good, there is nothing to be proven by. */
  #unproven() {
    return LARGE_DIFFERENCES * this.#plenty();
  }
  #winner() {
    const demand = LEAST_DEMAND + (MOST_DEMAND - LEAST_DEMAND) * this.#plenty();
    const returns = this.#kept + this.#lost;
    let best = { caution: Infinity, score: 0 };
    CAUTIONS.forEach((caution, order2) => {
      if (caution === Infinity) return;
      const { lead, variance } = this.#contest.standing(order2);
      const asked2 = Math.max(demand * Math.sqrt(variance + this.#capacity), -MOST_BEHIND * returns);
      const score = lead - asked2 - MARGIN * returns;
      if (score > best.score) best = { caution, score };
    });
    return best.caution;
  }
  /** 0: most of what comes back is gone; 1: nearly all of it is still there. */
  #plenty() {
    const share = this.#kept / (this.#kept + this.#lost + FEW);
    return Math.min(1, Math.max(0, (share - FEW_UP_TO) / (NEARLY_ALL_FROM - FEW_UP_TO)));
  }
};

// ts/placement/adaptive/adaptive.ts
var REFRESH_EVERY = 2048;
var AWAITED_BONUS = Math.log(4);
var AWAITED_MS = 864e5;
var Lessons = class {
  table = new LifeTable();
  queue = new CohortQueue(this.table);
  #trust = new Trust(this.table);
  /** Milliseconds: the latest beginning of a turn. */
  now = -Infinity;
  #sinceRefresh = 0;
  moveTo(atMs, capacity) {
    this.now = Math.max(this.now, atMs);
    this.queue.advance(this.now);
    this.#trust.nextTurn(capacity);
    if (this.#sinceRefresh < REFRESH_EVERY) return;
    this.#sinceRefresh = 0;
    this.table.refresh(this.#trust.refresh());
  }
  /** A new cohort, as old as the latest turn: the queue needs them in order of age. */
  cohort(blockClass, isAwaited) {
    const cohort = new Cohort(blockClass, this.now, isAwaited);
    this.queue.add(cohort);
    this.#trust.entered(cohort);
    return cohort;
  }
  use(block, cohort, wasThere) {
    if (block.cohort !== null) {
      block.cohort.use(this.table);
      this.#trust.returned(block.cohort, wasThere);
    }
    block.cohort = cohort;
    cohort.join(this.table);
    this.#sinceRefresh++;
    this.#trust.used();
  }
};
var AdaptivePolicy = class {
  name = "adaptive";
  leavesFirst = true;
  drifts = true;
  #lessons = new Lessons();
  begin({ atMs, newTokens, retention, capacity = 0 }) {
    this.#lessons.moveTo(atMs, capacity);
    return new AdaptiveTurn(this.#lessons, newTokens, retention === "day");
  }
  goesBefore = (a, b) => {
    if (a.firstWanted !== b.firstWanted) return a.firstWanted > b.firstWanted;
    if (a.cohort !== b.cohort) {
      const worthA = this.#worth(a);
      const worthB = this.#worth(b);
      if (worthA !== worthB) return worthA < worthB;
    }
    return usedBefore(a, b);
  };
  victims(residents, count9) {
    return selectFirst(residents, count9, this.goesBefore);
  }
  #worth({ cohort }) {
    if (cohort === null) return -Infinity;
    const { table, now } = this.#lessons;
    const value = table.value(cohort.blockClass, cohort.bin);
    return cohort.isAwaited && now - cohort.usedAt < AWAITED_MS ? value + AWAITED_BONUS : value;
  }
};
var AdaptiveTurn = class {
  #lessons;
  #newTokens;
  #isAwaited;
  /** Few: one for each class that its blocks were in. */
  #cohorts = [];
  constructor(lessons, newTokens, isAwaited) {
    this.#lessons = lessons;
    this.#newTokens = newTokens;
    this.#isAwaited = isAwaited;
  }
  used(block, isPartialTail, wasThere) {
    if (block.cohort !== null && this.#cohorts.includes(block.cohort)) return;
    const gapMs = block.cohort === null ? null : this.#lessons.now - block.cohort.usedAt;
    block.uses++;
    const cohort = this.#cohortOf(classOf({ uses: block.uses, gapMs, newTokens: this.#newTokens, isPartialTail }));
    this.#lessons.use(block, cohort, wasThere);
  }
  #cohortOf(blockClass) {
    for (const cohort2 of this.#cohorts) if (cohort2.blockClass === blockClass) return cohort2;
    const cohort = this.#lessons.cohort(blockClass, this.#isAwaited);
    this.#cohorts.push(cohort);
    return cohort;
  }
};

// ts/placement/fifo.ts
var fifo = orderedPolicy("fifo", (a, b) => a.born < b.born, { leavesFirst: false });

// ts/placement/scheduler-aware.ts
function goesBefore(a, b) {
  if (a.firstWanted !== b.firstWanted) return a.firstWanted > b.firstWanted;
  return usedBefore(a, b);
}
var schedulerAware = orderedPolicy("scheduler-aware", goesBefore);

// ts/placement/registry.ts
var makers = {
  fifo: () => fifo,
  lru: () => lru,
  "scheduler-aware": () => schedulerAware,
  adaptive: () => new AdaptivePolicy()
};
var policyNames = Object.keys(makers);
function createPolicy(name2) {
  return makers[name2]();
}

// ts/scheduler/accounts/counters.ts
var FailureCounts = class {
  #counts = /* @__PURE__ */ new Map();
  add(kind, code) {
    const name2 = `${kind} ${code}`;
    const known = this.#counts.get(name2);
    if (known) known.count++;
    else this.#counts.set(name2, { kind, code, count: 1 });
  }
  list() {
    return [...this.#counts.values()].map((counted) => ({ ...counted }));
  }
};
var Counters = class {
  requests = { ok: 0, cancelled: 0, failed: 0, rejected: 0 };
  dropped = {
    evicted: 0,
    write_queue_full: 0,
    damaged: 0,
    reset: 0,
    ttl: 0,
    erased: 0,
    foreign: 0
  };
  /** Blocks whose save or write failed again and again, and is not tried any more. */
  abandoned = { save: 0, write: 0 };
  reused = perTier(() => 0);
  missed = { neverSeen: 0, reasoningDropped: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 };
  failedTransfers = new FailureCounts();
  savedMs = 0;
  promptTokens = 0;
  completionTokens = 0;
  computedTokens = 0;
  recomputedTokens = 0;
  preemptions = 0;
  savedBlocks = 0;
  loadedBlocks = 0;
  promotedBlocks = 0;
  writtenBlocks = 0;
  prefetchedBlocks = 0;
  bufferedBlocks = 0;
  keyed = { present: 0, absent: 0, late: 0, fetched: 0, put: 0, skipped: 0, failed: 0 };
  history = { load: 0, recompute: 0, split: 0 };
};
var Samples = class {
  #values;
  #count = 0;
  constructor(capacity) {
    this.#values = new Float64Array(capacity);
  }
  add(value) {
    this.#values[this.#count++ % this.#values.length] = value;
  }
  /** The value below which the fraction `q` of the kept figures lies; 0 without any. */
  quantile(q) {
    const kept = this.#values.slice(0, Math.min(this.#count, this.#values.length)).sort();
    return kept[Math.min(kept.length - 1, Math.floor(q * kept.length))] ?? 0;
  }
};

// ts/scheduler/core/events.ts
var EventBus = class {
  #listeners = {
    blockTaken: [],
    dramLetGo: [],
    saved: [],
    dramRefused: [],
    flushing: [],
    ssdSlotLeft: [],
    frontWaited: [],
    followerWaited: [],
    transferFailed: [],
    keyedNews: [],
    engineRefused: [],
    conversationForgotten: []
  };
  on(name2, listener) {
    this.#listeners[name2].push(listener);
  }
  emit(name2, ...args) {
    for (const listener of this.#listeners[name2]) listener(...args);
  }
};

// ts/scheduler/core/flushes.ts
var Flushes = class {
  #desk;
  #failures = 0;
  constructor(desk) {
    this.#desk = desk;
  }
  /** Flushes that have failed; a writer remembers the number before it writes. */
  get failures() {
    return this.#failures;
  }
  /**
   * Asks for a flush of everything that was written so far. `ended` gets the error code, if this flush or, since there
   * were `failures` of them, another one failed.
   */
  send(ended) {
    this.#desk.send({ kind: "flush" }, (done2) => {
      if (done2.error !== void 0) this.#failures++;
      ended((failures) => done2.error ?? (failures === this.#failures ? void 0 : "flush_failed"));
    });
  }
};

// ts/directory/keyed-remains.ts
var KeyedRemains = class {
  #most;
  /** In the order in which they left. */
  #users = /* @__PURE__ */ new Map();
  #keys = /* @__PURE__ */ new Map();
  /** @param most Blocks that are remembered; the one that left first is forgotten first. */
  constructor(most) {
    this.#most = most;
  }
  /** The block has left; these conversations used it. */
  left(key, users) {
    this.#forget(key);
    if (users.length === 0 || this.#most === 0) return;
    const [oldest] = this.#users.size >= this.#most ? this.#users.keys() : [];
    if (oldest !== void 0) this.#forget(oldest);
    this.#users.set(key, users);
    for (const user2 of users) {
      const keys = this.#keys.get(user2);
      if (keys) keys.add(key);
      else this.#keys.set(user2, /* @__PURE__ */ new Set([key]));
    }
  }
  /** The conversation is erased: answers the blocks that it alone used. Those that others used too stay with them. */
  take(conversation) {
    const keys = [...this.#keys.get(conversation) ?? []];
    return keys.filter((key) => {
      const others = this.#users.get(key)?.filter((user2) => user2 !== conversation) ?? [];
      if (others.length > 0) this.left(key, others);
      else this.#forget(key);
      return others.length === 0;
    });
  }
  #forget(key) {
    for (const user2 of this.#users.get(key) ?? []) {
      const keys = this.#keys.get(user2);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(user2);
    }
    this.#users.delete(key);
  }
};

// ts/scheduler/core/keyed-desk.ts
var KeyedDesk = class {
  #parts;
  /** Puts under way, by key. */
  #puts = /* @__PURE__ */ new Map();
  #remains;
  #inFlight = 0;
  constructor(parts) {
    this.#parts = parts;
    this.#remains = new KeyedRemains(parts.tier.capacity);
  }
  /** Puts and gets under way. */
  get inFlight() {
    return this.#inFlight;
  }
  /** `ended` gets the answers in the order of `keys`; null: nothing can be said. */
  ask(keys, ended) {
    void this.#news(() => this.#parts.tier.has(keys), (answers) => ended(answers));
  }
  get(key, dramSlot, ended) {
    void this.#move(dramSlot, () => this.#parts.tier.get(key, dramSlot), ended);
  }
  put(key, dramSlot, ended) {
    const put = this.#move(dramSlot, () => this.#parts.tier.put(key, dramSlot), (error) => {
      if (this.#puts.get(key) === put) this.#puts.delete(key);
      ended(error);
    });
    this.#puts.set(key, put);
  }
  /** The block leaves the directory: the tier may still have it. */
  leaving(block) {
    if (block.valid === BLOCK_TOKENS) this.#remains.left(block.key, this.#parts.directory.usersOf(block));
  }
  /** Blocks that the conversation alone used, that have left the directory, and that the tier may still have. */
  remainsOf(conversation) {
    return this.#remains.take(conversation).filter((key) => !this.#parts.directory.blocks.has(key));
  }
  /** Resolves when none of the blocks can be found in the tier, also not by a put that is under way now. */
  async delete(keys) {
    if (keys.length === 0) return;
    await Promise.all(keys.map((key) => this.#puts.get(key)));
    await this.#parts.tier.delete(keys);
  }
  #move(dramSlot, call2, ended) {
    const { dram } = this.#parts.directory.pools;
    dram.pin(dramSlot);
    this.#inFlight++;
    return this.#news(call2, (end) => {
      this.#inFlight--;
      dram.unpin(dramSlot);
      const error = end === null ? "tier_failed" : end.error;
      if (error !== void 0 && error !== "absent") this.#parts.counters.keyed.failed++;
      ended(error);
    });
  }
  /** `handle` gets the value, or null where the call threw or rejected. Resolves when it was handled. */
  async #news(call2, handle) {
    const value = await new Promise((resolve) => resolve(call2())).catch(() => null);
    this.#parts.events.emit("keyedNews", () => handle(value));
  }
};

// ts/scheduler/core/transfer-desk.ts
var NOT_COMPUTED = "not_computed";
var TransferDesk = class {
  #engine;
  #events;
  #waiting = /* @__PURE__ */ new Map();
  #outbox = [];
  #nextId = 0;
  constructor(engine, events4) {
    this.#engine = engine;
    this.#events = events4;
  }
  /** Transfers and saves that have not ended. */
  get inFlight() {
    return this.#waiting.size;
  }
  /** Enqueues a transfer; it goes out with the next `flush`, in order. */
  send(request, ended) {
    this.hold(request, ended).send();
  }
  /** As `send`, but it is enqueued when the caller says so: something else has to end first. */
  hold(request, ended) {
    const transfer = { ...request, id: this.expect(ended, request.kind) };
    return { id: transfer.id, send: () => void this.#outbox.push(transfer) };
  }
  /** An id whose end will be reported; by default of a save, which travels inside a plan. */
  expect(ended, kind = "save") {
    const id3 = this.#nextId;
    this.#nextId = this.#nextId + 1 >>> 0;
    this.#waiting.set(id3, { kind, ended });
    return id3;
  }
  flush() {
    if (this.#outbox.length === 0) return;
    const transfers2 = this.#outbox;
    this.#outbox = [];
    try {
      this.#engine.transfer(transfers2);
    } catch (thrown) {
      this.#events.emit("engineRefused", thrown);
    }
  }
  ended(done2) {
    const expected = this.#waiting.get(done2.id);
    if (!expected) return;
    this.#waiting.delete(done2.id);
    if (done2.error !== void 0 && done2.error !== NOT_COMPUTED) this.#events.emit("transferFailed", expected.kind, done2.error, done2.detail);
    expected.ended(done2);
  }
};

// ts/scheduler/costs/least-squares.ts
var LeastSquares = class {
  #size;
  #fade;
  #choices;
  /** Weighted sums of x·xᵀ and x·y. */
  #products;
  #targets;
  /**
   * `choices`: which of the `size` terms are tried together, until none comes out negative. Each observation weighs `fade`
   * times as much with every one after it; 1: all count alike.
   */
  constructor(size, choices2, fade = 1) {
    this.#size = size;
    this.#fade = fade;
    this.#choices = choices2;
    this.#products = new Float64Array(size * size);
    this.#targets = new Float64Array(size);
  }
  /** `x`: one value a term. */
  add(x, y, weight) {
    const size = this.#size;
    for (let i = 0; i < size; i++) {
      const xi = weight * (x[i] ?? 0);
      for (let j = 0; j < size; j++) {
        const at = i * size + j;
        this.#products[at] = this.#fade * (this.#products[at] ?? 0) + xi * (x[j] ?? 0);
      }
      this.#targets[i] = this.#fade * (this.#targets[i] ?? 0) + xi * y;
    }
  }
  /** Non-negative coefficients, one a term; 0 for a term that is left out. */
  solve() {
    for (const terms of this.#choices) {
      const found = this.#solveFor(terms);
      if (found?.every((value) => value >= 0 && Number.isFinite(value))) return found;
    }
    return Array(this.#size).fill(0);
  }
  /** In the given terms, by elimination; null: they cannot be told apart in what was observed. */
  #solveFor(terms) {
    const at = (i, j) => this.#products[i * this.#size + j] ?? 0;
    const rows4 = terms.map((i) => [...terms.map((j) => at(i, j)), this.#targets[i] ?? 0]);
    for (let pivot = 0; pivot < rows4.length; pivot++) {
      const head3 = rows4[pivot];
      const lead = head3[pivot] ?? 0;
      const term = terms[pivot] ?? 0;
      if (lead <= 1e-9 * at(term, term)) return null;
      for (const other of rows4) {
        if (other === head3) continue;
        const factor = (other[pivot] ?? 0) / lead;
        head3.forEach((value, column) => other[column] = (other[column] ?? 0) - factor * value);
      }
    }
    const found = Array(this.#size).fill(0);
    terms.forEach((term, i) => found[term] = (rows4[i]?.at(-1) ?? 0) / (rows4[i]?.[i] ?? 1));
    return found;
  }
};

// ts/scheduler/costs/prefill-model.ts
var FADE = 0.995;
var LEAST_ROWS = 8;
var LEAST_STEPS = 3;
var CHOICES = [[0, 1, 2], [0, 1], [1, 2], [1]];
var PrefillModel = class {
  #steps = new LeastSquares(3, CHOICES, FADE);
  #count = 0;
  #costs = null;
  /** A step of `rows` prompt rows that attend to `history` tokens on average took `ms`, without waiting for loads. */
  stepTook(rows4, history, ms) {
    if (rows4 < LEAST_ROWS || !(ms > 0)) return;
    this.#steps.add([1, rows4, rows4 * history], ms, 1 / ms ** 2);
    this.#count++;
    this.#costs = null;
  }
  /** Estimated milliseconds to compute the first `tokens` tokens of a prompt, `chunk` rows a step; null: not measured yet. */
  promptMs(tokens, chunk) {
    if (!this.isMeasured) return null;
    if (tokens <= 0) return 0;
    const [step, row3, attended] = this.#known;
    return Math.ceil(tokens / chunk) * step + tokens * row3 + tokens * tokens * attended / 2;
  }
  get isMeasured() {
    return this.#count >= LEAST_STEPS;
  }
  /** Estimated milliseconds of a step without its rows. */
  get stepMs() {
    return this.#known[0];
  }
  /** Estimated milliseconds that `rows` rows behind `history` tokens add to a step. */
  rowsMs(rows4, history) {
    const [, row3, attended] = this.#known;
    return rows4 * (row3 + (history + rows4 / 2) * attended);
  }
  /** How many rows behind `history` tokens are estimated to add at most `ms` milliseconds to a step. */
  rowsWithin(ms, history) {
    if (ms <= 0) return 0;
    const [, row3, attended] = this.#known;
    const each = row3 + history * attended;
    if (attended === 0) return each === 0 ? Infinity : Math.floor(ms / each);
    return Math.floor((Math.sqrt(each * each + 2 * attended * ms) - each) / attended);
  }
  get #known() {
    const [step = 0, row3 = 0, attended = 0] = this.#costs ??= this.#steps.solve();
    return [step, row3, attended];
  }
};

// ts/scheduler/costs/rates.ts
var NEWEST = 0.2;
var PREFILL_ROWS = 32;
var Rates = class {
  /** Milliseconds of a step, by log2 of its rows. */
  #stepMs = [];
  #loadBytesPerMs = 0;
  #prefillMsPerRow = 0;
  stepTook(rows4, ms) {
    if (rows4 >= PREFILL_ROWS) this.#prefillMsPerRow = blend(this.#prefillMsPerRow, ms / rows4);
    const bucket = bucketOf(rows4);
    const before = this.#stepMs[bucket];
    this.#stepMs[bucket] = before === void 0 ? ms : before + NEWEST * (ms - before);
  }
  loadTook(bytes, ms) {
    if (ms <= 0 || bytes <= 0) return;
    this.#loadBytesPerMs = blend(this.#loadBytesPerMs, bytes / ms);
  }
  /** Predicted milliseconds to compute `rows` rows of prefill; 0: none were seen. */
  prefillMs(rows4) {
    return rows4 * this.#prefillMsPerRow;
  }
  /** Predicted milliseconds of a step of `rows` rows, from the nearest size seen; 0: none was seen. */
  stepMs(rows4) {
    const bucket = bucketOf(rows4);
    for (let distance = 0; distance < 32; distance++) {
      const ms = this.#stepMs[bucket + distance] ?? this.#stepMs[bucket - distance];
      if (ms !== void 0) return ms;
    }
    return 0;
  }
  /** Predicted milliseconds to load `bytes`; Infinity before the first load, so that it is waited for. */
  loadMs(bytes) {
    if (bytes === 0) return 0;
    return this.#loadBytesPerMs === 0 ? Infinity : bytes / this.#loadBytesPerMs;
  }
};
function blend(before, newest2) {
  return before === 0 ? newest2 : before + NEWEST * (newest2 - before);
}
function bucketOf(rows4) {
  return Math.ceil(Math.log2(Math.max(1, rows4)));
}

// ts/scheduler/costs/throughput.ts
var NEWEST2 = 0.3;
var WINDOW = 4;
var Throughput = class {
  #inFlight = 0;
  #lastAt = 0;
  #busyMs = 0;
  #ended = 0;
  #ms = 0;
  /** The first transfer's share of its time among those beside it stands in until there is a figure. */
  #isGuess = true;
  started(now) {
    if (this.#inFlight === 0) this.#lastAt = now;
    this.#inFlight++;
  }
  ended(now) {
    this.#busyMs += now - this.#lastAt;
    this.#lastAt = now;
    if (this.#ms === 0) this.#ms = this.#busyMs / this.#inFlight;
    this.#inFlight--;
    if (++this.#ended < WINDOW) return;
    const ms = this.#busyMs / this.#ended;
    this.#ms = this.#isGuess ? ms : this.#ms + NEWEST2 * (ms - this.#ms);
    this.#isGuess = false;
    this.#busyMs = 0;
    this.#ended = 0;
  }
  /** Milliseconds a transfer; 0: none was seen. One that has been under way for longer is believed. */
  msEach(now) {
    return this.#inFlight === 0 ? this.#ms : Math.max(this.#ms, now - this.#lastAt);
  }
};

// ts/scheduler/costs/cost-model.ts
var ARRIVAL_WEIGHT = 4;
var LEAST_PROMPT_SHARE = 0.9;
var CostModel = class {
  #clock;
  /** Told of steps too; null: nothing is said of the machine. */
  #machine;
  #rates = new Rates();
  #prefill = new PrefillModel();
  #reads = new Throughput();
  constructor(clock, machine = null) {
    this.#clock = clock;
    this.#machine = machine;
  }
  stepTook({ rows: rows4, attended, promptRows, promptAttended, ms }) {
    this.#rates.stepTook(rows4, ms);
    this.#machine?.stepTook(rows4, attended, ms);
    if (promptRows >= LEAST_PROMPT_SHARE * rows4) this.#prefill.stepTook(rows4, promptAttended / promptRows, ms);
  }
  loadTook(bytes, ms) {
    this.#rates.loadTook(bytes, ms);
  }
  readBegan() {
    this.#reads.started(this.#clock.now());
  }
  readEnded() {
    this.#reads.ended(this.#clock.now());
  }
  /** S(rows); 0: no step was seen. */
  stepMs(rows4) {
    return this.#rates.stepMs(rows4);
  }
  /** f; 0: no step was seen. */
  get ownMs() {
    return this.#rates.stepMs(1);
  }
  /** s, p and a are known. */
  get isPromptMeasured() {
    return this.#prefill.isMeasured;
  }
  /** s */
  get promptStepMs() {
    return this.#prefill.stepMs;
  }
  /** What `rows` rows of a prompt behind `history` tokens add to a step: p a row, a a row and token. */
  rowsMs(rows4, history) {
    return this.#prefill.rowsMs(rows4, history);
  }
  /** How many rows behind `history` tokens add at most `ms` to a step. */
  rowsWithin(ms, history) {
    return this.#prefill.rowsWithin(ms, history);
  }
  /** The first `tokens` tokens of a prompt, `chunk` rows a step; null: not measured yet. */
  promptMs(tokens, chunk) {
    return this.#prefill.promptMs(tokens, chunk);
  }
  /** `rows` rows of prompts in steps of many; 0: none were seen. */
  prefillMs(rows4) {
    return this.#rates.prefillMs(rows4);
  }
  /** c; 0: no prompt was seen. */
  get blockMs() {
    return this.#rates.prefillMs(BLOCK_TOKENS);
  }
  /** bytes/b; Infinity before the first load, so that it is waited for. */
  loadMs(bytes) {
    return this.#rates.loadMs(bytes);
  }
  /** d; 0: nothing was read yet. */
  get readMs() {
    return this.#reads.msEach(this.#clock.now());
  }
  /**
   * q; Infinity: no other request comes, or nothing was measured. In steps of q milliseconds work takes a share f/q longer, for
   * the request that is computed and the n that wait for it; those who arrive meanwhile, λ a millisecond, wait q/2 each,
   * which weighs w. (1 + n)·f/q + w·λ·q/2 is least at √(2f·(1 + n)/(w·λ)). No less than 2f: half of a step is work.
   */
  quantumMs({ arrivalsPerMs, waiting }) {
    const { ownMs } = this;
    if (arrivalsPerMs === 0 || ownMs === 0 || !this.isPromptMeasured) return Infinity;
    return Math.max(2 * ownMs, Math.sqrt(2 * ownMs * (1 + waiting) / (ARRIVAL_WEIGHT * arrivalsPerMs)));
  }
};

// ts/scheduler/costs/machine.ts
var LEAST_STEPS2 = 8;
var CHOICES2 = [[0, 1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1], [1, 3], [1]];
var STREAMS = STREAM_NAMES.filter((name2) => name2 !== "save");
var MachineMeter = class {
  #engine;
  #limits;
  #costs = new LeastSquares(4, CHOICES2);
  #steps = 0;
  constructor(engine, limits) {
    this.#engine = engine;
    this.#limits = limits;
  }
  /** A step of `rows` rows, which attend to `attended` tokens all together, took `ms`, without waiting for loads. */
  stepTook(rows4, attended, ms) {
    if (!(ms > 0)) return;
    this.#costs.add([1, rows4, Math.min(rows4, FEW_ROWS), attended], ms, 1 / ms ** 2);
    this.#steps++;
  }
  /** null: too little was seen of it. */
  record() {
    if (this.#steps < LEAST_STEPS2) return null;
    const { info: info3 } = this.#engine;
    const { device, layers, slots, dramStagingOnly } = info3;
    const { maxContext, maxBatchTokens, maxRunning } = this.#limits;
    const [base = 0, row3 = 0, few = 0, attended = 0] = this.#costs.solve().map(rounded);
    if (base + row3 === 0) return null;
    return {
      device,
      layers,
      kv_bytes_per_token: info3.blockBytes / BLOCK_TOKENS,
      max_context: maxContext,
      max_batch_tokens: maxBatchTokens,
      max_running: maxRunning,
      tier_bytes: perSlotTier((tier) => tier === "dram" && dramStagingOnly ? 0 : slots[tier] * info3[TIERS[tier].blockBytes]),
      step_ms: { base, row: row3, few_row: few, attended },
      bytes_per_ms: this.#streams()
    };
  }
  #streams() {
    const stats = this.#engine.stats();
    const found = {};
    for (const stream of STREAMS) {
      const rate = stats[`${stream}Bytes`] / stats[`${stream}Ms`];
      if (rate > 0 && Number.isFinite(rate)) found[stream] = rounded(rate);
    }
    return found;
  }
};
function rounded(value) {
  return Number(value.toPrecision(3));
}
function hasChanged(before, now) {
  if (before === null) return true;
  const figures = ({ step_ms, bytes_per_ms }) => [
    ...Object.values(step_ms),
    ...STREAMS.map((stream) => bytes_per_ms[stream] ?? 0)
  ];
  const earlier = figures(before);
  return figures(now).some((figure, i) => Math.abs(figure - (earlier[i] ?? 0)) > 0.1 * Math.max(figure, earlier[i] ?? 0));
}

// ts/scheduler/accounts/trail.ts
var Trail = class {
  constructor(owner) {
    this.owner = owner;
  }
  owner;
  #spans = {
    queued: new Spans(),
    read: new Spans(),
    load: new Spans(),
    prefill: new Spans(),
    decode: new Spans(),
    save: new Spans(),
    write: new Spans()
  };
  /** Told of what is added after the request has ended. */
  onLate = null;
  add(phase, from, to) {
    this.#spans[phase].add(from, to);
    this.onLate?.();
  }
  /** Relative to the acceptance of the request. */
  phases(acceptedAt) {
    const { queued, read, load, prefill, decode: decode4, save, write } = this.#spans;
    const of = (spans2) => spans2.since(acceptedAt);
    return {
      queued: of(queued),
      read: of(read),
      load: of(load),
      prefill: of(prefill),
      decode: of(decode4),
      save: of(save),
      write: of(write)
    };
  }
};
var Journal = class {
  #now;
  /** Whose computation filled the block; forgotten once it is where it shall be. */
  #fillers = /* @__PURE__ */ new WeakMap();
  #owners = /* @__PURE__ */ new WeakMap();
  #lastMoves = { read: /* @__PURE__ */ new WeakMap(), load: /* @__PURE__ */ new WeakMap() };
  constructor(now) {
    this.#now = now;
  }
  /** A read or load of the block has just ended after `ms`. */
  arrived(phase, block, ms) {
    const now = this.#now();
    this.#lastMoves[phase].set(block, [now - ms, now]);
  }
  /** The request uses the block, and waits for it if it is still under way. */
  used(trail, block) {
    for (const phase of ["read", "load"]) {
      const move = this.#lastMoves[phase].get(block);
      if (move) trail.add(phase, ...move);
    }
  }
  filled(trail, block) {
    this.#fillers.set(block, trail);
    this.taken(trail, block);
  }
  /** The request's conversation is the last that used the block. */
  taken(trail, block) {
    this.#owners.set(block, trail.owner);
  }
  /** Forgets that the conversation used the blocks. */
  disown(blocks, { tenant: tenant2, conversation }) {
    for (const block of blocks) {
      const owner = this.#owners.get(block);
      if (owner?.conversation === conversation && owner.tenant === tenant2) this.#owners.delete(block);
    }
  }
  /** The conversation that used the block last; undefined: none since the start. */
  ownerOf(block) {
    return this.#owners.get(block);
  }
  /** A save or write of the block has just ended after `ms`; after the last of them its filler is forgotten. */
  left(phase, block, ms, isLast) {
    const now = this.#now();
    this.#fillers.get(block)?.add(phase, now - ms, now);
    if (isLast) this.#fillers.delete(block);
  }
};

// ts/scheduler/accounts/what-if/groups.ts
var GROUPS = 8;
var T_95 = 2.365;
var GROUP_WORD = 6;
function groupOf(key) {
  return keyWord(key, GROUP_WORD) % GROUPS;
}
var perGroup = (of) => Array.from({ length: GROUPS }, (_, group) => of(group));
function ratesOf(totals, hits, followed) {
  if (totals.prompt === 0) return perGroup(() => 0);
  const share = totals.asked / GROUPS;
  return perGroup((group) => (hits(group) + share - (followed[group] ?? 0)) * GROUPS / totals.prompt);
}
function estimateOf(rates) {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / (rates.length - 1);
  return { hitRate: Math.min(1, Math.max(0, mean)), error: T_95 * Math.sqrt(variance / rates.length) };
}

// ts/scheduler/accounts/what-if/miniature.ts
var HASH_RANGE = 2 ** 32;
var SAMPLE_WORD = 7;
var MOST_RESIDENTS = 1024;
var GHOSTS_A_RESIDENT = 4;
var DRIFT_SHARE = 1 / 8;
var MiniatureBlock = class {
  constructor(key, index2) {
    this.key = key;
    this.index = index2;
  }
  key;
  index;
  heapAt = -1;
  /** The sampled block before it in its chain. */
  parent = null;
  /** Resident blocks that continue it. */
  children = 0;
  lastUse = 0;
  born = 0;
  firstWanted = Infinity;
  uses = 0;
  cohort = null;
};
var Miniature = class {
  /** The capacity that it stands for, in blocks. */
  capacity;
  #policy;
  /** Share of all blocks that are followed. */
  #rate;
  #room;
  #residents = /* @__PURE__ */ new Map();
  /** Those that have left, the longest gone first. */
  #ghosts = /* @__PURE__ */ new Map();
  /** Residents that may go. */
  #leaves;
  /** By group: tokens of followed blocks that were asked for, and of those that were there, scaled up. */
  #followed = new Float64Array(GROUPS);
  #hits = new Float64Array(GROUPS);
  #born = 0;
  #goneSinceRebuild = 0;
  constructor(capacity, policy, mostResidents = MOST_RESIDENTS) {
    this.capacity = capacity;
    this.#policy = policy;
    this.#rate = Math.min(1, mostResidents / capacity);
    this.#room = Math.max(1, Math.round(capacity * this.#rate));
    this.#leaves = new BlockHeap((a, b) => policy.goesBefore(a, b));
  }
  /** Blocks in it and remembered: bounded by the capacity alone. */
  get size() {
    return this.#residents.size + this.#ghosts.size;
  }
  /** Each group's estimate of the hit rate. */
  rates(totals) {
    return ratesOf(totals, (group) => this.#hits[group] ?? 0, this.#followed);
  }
  /** `firstWanted`: as told to `wanted`, of blocks that come. */
  served(turn, firstWanted) {
    this.#count(turn.asked);
    for (const { key, isTail } of turn.asked) if (isTail) this.#takeOver(key);
    const use = this.#policy.begin({
      atMs: turn.atMs,
      newTokens: turn.promptTokens - turn.asked.reduce((sum, { tokens }) => sum + tokens, 0),
      retention: turn.retention,
      capacity: this.#residents.size < this.#room ? 0 : this.#room
    });
    let parent = null;
    for (let index2 = 0; index2 < turn.chain.length; index2++) {
      const key = turn.chain[index2];
      if (!this.#isFollowed(key)) continue;
      const block = this.#blockOf(key, index2, firstWanted);
      block.lastUse = turn.atMs;
      use.used(block, turn.hasTail && index2 === turn.chain.length - 1, this.#residents.has(key));
      this.#enter(block, parent);
      parent = block;
    }
    this.#shrink();
  }
  /** The first queued request that wants the block has this arrival number; Infinity: none does. */
  wanted(key, firstWanted) {
    const block = this.#residents.get(key) ?? this.#ghosts.get(key);
    if (!block) return;
    block.firstWanted = firstWanted;
    if (block.heapAt >= 0) this.#leaves.fix(block);
  }
  halve() {
    for (const counts of [this.#followed, this.#hits]) counts.forEach((value, i) => counts[i] = value / 2);
  }
  #isFollowed(key) {
    return keyWord(key, SAMPLE_WORD) < this.#rate * HASH_RANGE;
  }
  /** A block is of use only if all those before it are there. */
  #count(asked2) {
    let isWhole = true;
    for (const { key, tokens } of asked2) {
      if (!this.#isFollowed(key)) continue;
      const group = groupOf(key);
      const weight = tokens / this.#rate;
      isWhole &&= this.#residents.has(key);
      this.#followed[group] = (this.#followed[group] ?? 0) + weight;
      if (isWhole) this.#hits[group] = (this.#hits[group] ?? 0) + weight;
    }
  }
  /** The tokens of the tail live on in a longer block. */
  #takeOver(key) {
    const block = this.#residents.get(key);
    if (block) this.#leave(block);
    this.#ghosts.delete(key);
  }
  #blockOf(key, index2, firstWanted) {
    const known = this.#residents.get(key) ?? this.#ghosts.get(key);
    if (known) return known;
    const block = new MiniatureBlock(key, index2);
    block.firstWanted = firstWanted(key);
    return block;
  }
  #enter(block, parent) {
    if (this.#residents.has(block.key)) {
      if (block.heapAt >= 0) this.#leaves.fix(block);
      return;
    }
    this.#ghosts.delete(block.key);
    this.#residents.set(block.key, block);
    block.born = ++this.#born;
    block.parent = parent;
    this.#leaves.add(block);
    if (!parent) return;
    parent.children++;
    if (this.#policy.leavesFirst && parent.heapAt >= 0) this.#leaves.remove(parent);
  }
  #shrink() {
    const isStale = this.#goneSinceRebuild > this.#leaves.size * DRIFT_SHARE;
    if (this.#policy.drifts && isStale && this.#residents.size > this.#room) {
      this.#leaves.rebuild();
      this.#goneSinceRebuild = 0;
    }
    while (this.#residents.size > this.#room) this.#evict(this.#leaves.first);
  }
  #evict(block) {
    this.#leave(block);
    this.#goneSinceRebuild++;
    this.#ghosts.set(block.key, block);
    if (this.#ghosts.size <= this.#room * GHOSTS_A_RESIDENT) return;
    for (const oldest of this.#ghosts.keys()) {
      this.#ghosts.delete(oldest);
      return;
    }
  }
  #leave(block) {
    if (block.heapAt >= 0) this.#leaves.remove(block);
    this.#residents.delete(block.key);
    const { parent } = block;
    block.parent = null;
    if (parent && --parent.children === 0 && this.#policy.leavesFirst && this.#residents.has(parent.key)) this.#leaves.add(parent);
  }
};

// ts/scheduler/accounts/what-if/wanted.ts
var WantedKeys = class {
  #tell;
  /** By key: arrival numbers of the requests that want it. */
  #tickets = /* @__PURE__ */ new Map();
  #keys = /* @__PURE__ */ new Map();
  /** Requests that came and are not told yet: most are alone, and nothing has to be told of them. */
  #untold = /* @__PURE__ */ new Map();
  /** `tell` hears of every change of the first request that wants a block; Infinity: none does. */
  constructor(tell) {
    this.#tell = tell;
  }
  /** Requests that wait or run. */
  get size() {
    return this.#keys.size + this.#untold.size;
  }
  /** Request number `ticket` waits. It is told with the next `settle`. */
  want(ticket, keys) {
    this.#untold.set(ticket, [...keys]);
  }
  /** Blocks are about to be given up: from here on all that wait are told of. */
  settle() {
    for (const [ticket, keys] of this.#untold) this.#note(ticket, keys);
    this.#untold.clear();
  }
  /** The request has ended. */
  leave(ticket) {
    if (this.#untold.delete(ticket)) return;
    for (const key of this.#keys.get(ticket) ?? []) {
      const tickets = (this.#tickets.get(key) ?? []).filter((other) => other !== ticket);
      if (tickets.length === 0) this.#tickets.delete(key);
      else this.#tickets.set(key, tickets);
      this.#tell(key, tickets[0] ?? Infinity);
    }
    this.#keys.delete(ticket);
  }
  firstOf(key) {
    return this.#tickets.get(key)?.[0] ?? Infinity;
  }
  #note(ticket, keys) {
    this.#keys.set(ticket, keys);
    for (const key of keys) {
      const tickets = this.#tickets.get(key) ?? [];
      const before = tickets[0] ?? Infinity;
      tickets.push(ticket);
      tickets.sort((a, b) => a - b);
      this.#tickets.set(key, tickets);
      if (ticket < before) this.#tell(key, ticket);
    }
  }
};

// ts/scheduler/accounts/what-if/miniatures.ts
var PARTS = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4];
var LEAST_RATIO = 1.2;
function followedCapacities(own2) {
  const exact = [...new Set(own2.filter((blocks) => blocks > 0))];
  const around = exact.flatMap((blocks) => PARTS.map((part2) => Math.max(1, Math.round(blocks * part2))));
  const kept = [...exact];
  for (const blocks of around) if (kept.every((other) => Math.max(other / blocks, blocks / other) >= LEAST_RATIO)) kept.push(blocks);
  return kept.toSorted((a, b) => a - b);
}
var Miniatures = class {
  /** Ascending by capacity. */
  #all;
  #wanted = new WantedKeys((key, firstWanted) => {
    for (const miniature of this.#all) miniature.wanted(key, firstWanted);
  });
  constructor(policy, capacities2) {
    this.#all = capacities2.map((blocks) => new Miniature(blocks, createPolicy(policy)));
  }
  /** The largest capacity that is followed. */
  get largest() {
    return this.#all.at(-1)?.capacity ?? 0;
  }
  /** Request number `ticket` waits, and wants the blocks `keys`. */
  queued(ticket, keys) {
    this.#wanted.want(ticket, keys);
  }
  /** It wants them no longer. */
  left(ticket) {
    this.#wanted.leave(ticket);
  }
  served(turn) {
    this.#wanted.settle();
    for (const miniature of this.#all) miniature.served(turn, (key) => this.#wanted.firstOf(key));
  }
  /** Each group's estimate at a capacity; between two that are followed, on a straight line over the ratio. */
  rates(blocks, totals) {
    const index2 = this.#all.findIndex(({ capacity }) => capacity >= blocks);
    const right = this.#all[index2 === -1 ? this.#all.length - 1 : index2];
    const left = this.#all[index2 - 1];
    if (!right) return perGroup(() => 0);
    if (index2 === -1 || right.capacity === blocks) return right.rates(totals);
    const to = right.rates(totals);
    if (!left) return to.map((rate) => rate * blocks / right.capacity);
    const share = Math.log(blocks / left.capacity) / Math.log(right.capacity / left.capacity);
    return left.rates(totals).map((from, group) => from + share * ((to[group] ?? 0) - from));
  }
  halve() {
    for (const miniature of this.#all) miniature.halve();
  }
};

// ts/scheduler/accounts/what-if/sampled-stack.ts
var HASH_RANGE2 = 2 ** 32;
var HASH_WORD = 7;
var TIMES_A_BLOCK = 4;
var SampledStack = class {
  #capacity;
  /** Blocks with a smaller hash are followed. */
  #threshold = HASH_RANGE2;
  /** By key: the time of its last use. */
  #lastUse = /* @__PURE__ */ new Map();
  /** Fenwick tree over times: how many blocks were last used then. */
  #counts;
  #now = 0;
  /** Follows at most `capacity` blocks. */
  constructor(capacity) {
    this.#capacity = capacity;
    this.#counts = new Int32Array(TIMES_A_BLOCK * capacity + 1);
  }
  /** Share of all blocks that are followed. */
  get rate() {
    return this.#threshold / HASH_RANGE2;
  }
  /** Blocks that are followed now. */
  get size() {
    return this.#lastUse.size;
  }
  isFollowed(key) {
    return keyWord(key, HASH_WORD) < this.#threshold;
  }
  /** Estimated number of blocks used since the last use of `key`; Infinity: not used that anybody remembers. */
  distance(key) {
    const time = this.#lastUse.get(key);
    return time === void 0 ? Infinity : (this.size - this.#usedUntil(time)) / this.rate;
  }
  /** The block is used now. Of blocks used together, the one that shall stay longest is used last. */
  use(key) {
    if (!this.isFollowed(key)) return;
    this.remove(key);
    if (this.#now + 1 === this.#counts.length) this.#renumber();
    this.#add(++this.#now, 1);
    this.#lastUse.set(key, this.#now);
    while (this.size > this.#capacity) this.#halve();
  }
  /** The block is no longer one of its own. */
  remove(key) {
    const time = this.#lastUse.get(key);
    if (time === void 0) return;
    this.#add(time, -1);
    this.#lastUse.delete(key);
  }
  #halve() {
    this.#threshold /= 2;
    for (const key of [...this.#lastUse.keys()]) if (!this.isFollowed(key)) this.remove(key);
  }
  /** The same order in the smallest times. */
  #renumber() {
    const keys = [...this.#lastUse].toSorted(([, a], [, b]) => a - b);
    this.#counts.fill(0);
    this.#now = 0;
    this.#lastUse = /* @__PURE__ */ new Map();
    for (const [key] of keys) {
      this.#add(++this.#now, 1);
      this.#lastUse.set(key, this.#now);
    }
  }
  #usedUntil(time) {
    let sum = 0;
    for (let at = time; at > 0; at -= at & -at) sum += this.#counts[at] ?? 0;
    return sum;
  }
  #add(time, count9) {
    for (let at = time; at < this.#counts.length; at += at & -at) this.#counts[at] = (this.#counts[at] ?? 0) + count9;
  }
};

// ts/scheduler/accounts/what-if/curve.ts
var MOST_BLOCKS = 16384;
var SINGLE_BINS = 32;
var BINS_AN_OCTAVE = 16;
var BINS = SINGLE_BINS + 35 * BINS_AN_OCTAVE;
var HALF_LIFE = 1e5;
var HitRateCurve = class {
  #stack;
  /** null: the policy is the stack's. */
  #miniatures;
  /** By group and bin of distance: tokens that were asked for, scaled up. */
  #tokens = Array.from({ length: GROUPS }, () => new Float64Array(BINS));
  /** By group: all tokens that were asked for and followed, scaled up. */
  #followed = new Float64Array(GROUPS);
  /** Of all requests. */
  #totals = { prompt: 0, asked: 0 };
  #reused = perTier(() => 0);
  #requests = 0;
  #sinceHalved = 0;
  constructor({ policy, capacities: capacities2, mostBlocks = MOST_BLOCKS }) {
    this.#stack = new SampledStack(mostBlocks);
    this.#miniatures = policy === "lru" ? null : new Miniatures(policy, followedCapacities(capacities2));
  }
  get requests() {
    return this.#requests;
  }
  get samplingRate() {
    return this.#stack.rate;
  }
  get sampledBlocks() {
    return this.#stack.size;
  }
  /** Blocks in use, all together: beyond this capacity the curve is flat. */
  get workingSet() {
    return this.#stack.size / this.#stack.rate;
  }
  /** The share of prompt tokens that a cache without a bound would have had. */
  get attainable() {
    const { prompt, asked: asked2 } = this.#totals;
    return prompt === 0 ? 0 : asked2 / prompt;
  }
  /** The share of prompt tokens that were reused, from any of `tiers`: measured, of the same requests. */
  measured(tiers2) {
    const { prompt } = this.#totals;
    return prompt === 0 ? 0 : tiers2.reduce((sum, tier) => sum + this.#reused[tier], 0) / prompt;
  }
  /** Request number `ticket` waits, and wants the blocks `keys`. */
  queued(ticket, keys) {
    this.#miniatures?.queued(ticket, keys);
  }
  /** It has ended. */
  left(ticket) {
    this.#miniatures?.left(ticket);
  }
  /** `reused`: tokens of the prompt that were not computed. */
  served(turn, reused) {
    const { promptTokens: promptTokens2, asked: asked2, chain } = turn;
    this.#requests++;
    const { prompt, asked: before } = this.#totals;
    this.#totals = { prompt: prompt + promptTokens2, asked: before + asked2.reduce((sum, { tokens }) => sum + tokens, 0) };
    for (const tier of TIER_NAMES) this.#reused[tier] += reused[tier];
    for (const block of asked2) this.#ask(block);
    for (const { key, isTail } of asked2) if (isTail) this.#stack.remove(key);
    for (let at = chain.length - 1; at >= 0; at--) this.#stack.use(chain[at]);
    this.#miniatures?.served(turn);
    if (++this.#sinceHalved === HALF_LIFE) this.#halve();
  }
  /** The share of prompt tokens that a cache of `blocks` blocks would have had. */
  at(blocks) {
    return estimateOf(this.#rates(blocks));
  }
  /** How much the hit rate of a cache of `to` blocks differs from that of one of `from`. */
  difference(from, to) {
    const before = this.#rates(from);
    return estimateOf(this.#rates(to).map((rate, group) => rate - (before[group] ?? 0))).error;
  }
  #ask({ key, tokens }) {
    if (!this.#stack.isFollowed(key)) return;
    const group = groupOf(key);
    const weight = tokens / this.#stack.rate;
    this.#followed[group] = (this.#followed[group] ?? 0) + weight;
    const distance = this.#stack.distance(key);
    const bins = this.#tokens[group];
    if (distance < Infinity) bins[binOf(distance)] = (bins[binOf(distance)] ?? 0) + weight;
  }
  #rates(blocks) {
    if (blocks < 1) return perGroup(() => 0);
    const ofPolicy = this.#miniatures?.rates(blocks, this.#totals);
    if (this.#miniatures && ofPolicy && blocks <= this.#miniatures.largest) return ofPolicy;
    const ofStack = ratesOf(this.#totals, (group) => tokensWithin(this.#tokens[group], blocks), this.#followed);
    return ofPolicy ? ofStack.map((rate, group) => Math.max(rate, ofPolicy[group] ?? 0)) : ofStack;
  }
  #halve() {
    this.#sinceHalved = 0;
    this.#totals = { prompt: this.#totals.prompt / 2, asked: this.#totals.asked / 2 };
    for (const tier of TIER_NAMES) this.#reused[tier] /= 2;
    this.#miniatures?.halve();
    for (const values of [this.#followed, ...this.#tokens]) values.forEach((value, i) => values[i] = value / 2);
  }
};
function binOf(distance) {
  return Math.min(BINS - 1, Math.floor(placeOf(distance)));
}
function placeOf(distance) {
  if (distance < SINGLE_BINS) return distance;
  return Math.min(BINS, SINGLE_BINS + BINS_AN_OCTAVE * Math.log2(distance / SINGLE_BINS));
}
function tokensWithin(bins, blocks) {
  const place = placeOf(blocks);
  const whole = Math.floor(place);
  let sum = 0;
  for (let bin = 0; bin < whole; bin++) sum += bins[bin] ?? 0;
  return sum + (place - whole) * (bins[whole] ?? 0);
}

// ts/scheduler/core/core.ts
var FAILED = {
  load: "a load failed",
  read: "a read failed",
  copy: "a copy failed",
  erase: "an erasure failed"
};
function createCore(engine, options) {
  const { slots, dramStagingOnly } = engine.info;
  const keeps = !options.noReuse;
  const dram = keeps && slots.dram > 0 && !dramStagingOnly;
  const ssd = keeps && slots.ssd > 0 && slots.dram > 0;
  const now = () => options.clock.now();
  const events4 = new EventBus();
  const counters = new Counters();
  events4.on("transferFailed", (kind, code, detail) => {
    counters.failedTransfers.add(kind, code);
    const message2 = FAILED[kind];
    if (message2 !== void 0) options.onFault({ message: message2, code, context: detail === void 0 ? {} : { detail } });
  });
  const journal = new Journal(now);
  const machine = new MachineMeter(engine, options);
  const lastUserOf = (block) => {
    const owner = journal.ownerOf(block);
    return owner ? conversationKey(owner.tenant, owner.conversation) : null;
  };
  const desk = new TransferDesk(engine, events4);
  const { keyedTier: tier } = options;
  if (tier && keeps && !dram) throw new ExitError(2, "keyed_tier_without_dram", "The key-addressed tier needs a dram tier, and the dram tier is off.");
  const directory = new Directory(slots, {
    policy: createPolicy(options.policy),
    now,
    onSsdSlotLeft: (slot) => events4.emit("ssdSlotLeft", slot),
    onBlockLeaving: (block) => keyed2?.leaving(block),
    lastUserOf
  });
  const keyed2 = tier && dram ? new KeyedDesk({ tier, directory, counters, events: events4 }) : null;
  return {
    engine,
    options,
    clock: options.clock,
    events: events4,
    directory,
    counters,
    costs: new CostModel(options.clock, machine),
    machine,
    journal,
    curve: new HitRateCurve({ policy: options.policy, capacities: reachOf(directory) }),
    desk,
    flushes: new Flushes(desk),
    keyed: keyed2,
    tiers: { keeps, dram, ssd, saves: dram || ssd }
  };
}
function reachOf({ pools }) {
  return SLOT_TIERS.map((_, at) => Math.max(...SLOT_TIERS.slice(0, at + 1).map((tier) => pools[tier].total)));
}
function isSaved(block) {
  for (const tier of LOWER_TIERS) if (block.has(tier)) return true;
  return false;
}

// ts/protocol/limits.ts
var MAX_TRUNCATED = 131072;

// ts/scheduler/sequence/block-table.ts
var BlockTable = class {
  /** By block index; what lies outside the view has no entry. */
  #entries = [];
  /** Blocks before this one that are outside the view have left. */
  #leftUpTo = 0;
  /** The engine knows the entries before this one. */
  #told = 0;
  #needsReset = false;
  #sources = [];
  get leftUpTo() {
    return this.#leftUpTo;
  }
  /** Blocks whose rows its slots were filled from, since it has had them. */
  get sources() {
    return this.#sources;
  }
  at(index2) {
    return this.#entries[index2];
  }
  *[Symbol.iterator]() {
    for (const [index2, entry] of this.#entries.entries()) if (entry) yield [index2, entry];
  }
  /** The slots are about to be filled from these blocks. */
  fillFrom(sources) {
    this.#sources = sources;
  }
  /** Block `index` is shared: its hbm copy is filling or present. */
  share(index2, block) {
    this.#entries[index2] = { slot: block.copies.hbm.slot, block, own: null };
  }
  /** Block `index` has a slot of the sequence's own. */
  own(index2, own2) {
    this.#entries[index2] = { slot: own2.slot, block: null, own: own2 };
  }
  /** Block `index` is outside the view from now on, and so is everything before it that is not of the head. */
  leave(index2) {
    const entry = this.#entries[index2];
    this.#entries[index2] = void 0;
    this.#leftUpTo = index2 + 1;
    return entry;
  }
  /** The engine does not know all of the first `blocks` entries. */
  hasNews(blocks) {
    return this.#needsReset || this.#told < blocks;
  }
  /** Tells what the engine does not know of the first `blocks` entries. */
  tell(blocks, reader) {
    if (this.#needsReset) reader.reset();
    this.#needsReset = false;
    for (; this.#told < blocks; this.#told++) {
      const entry = this.#entries[this.#told];
      if (entry) reader.entry(this.#told, entry.slot);
    }
  }
  /** Nothing is in it any more. `isKnown`: the engine knows the sequence. */
  clear(isKnown) {
    this.#entries = [];
    this.#sources = [];
    this.#leftUpTo = 0;
    this.#told = 0;
    this.#needsReset = isKnown;
  }
};

// ts/scheduler/sequence/load-wait.ts
var LoadWait = class {
  #loads = /* @__PURE__ */ new Set();
  #reads = 0;
  #bytes = 0;
  #startedAt = 0;
  #hasFailed = false;
  /** Loads under way for the block table. */
  get loads() {
    return this.#loads;
  }
  /** How many loads are under way. */
  get pending() {
    return this.#loads.size;
  }
  /** Of these, those whose bytes are not in dram yet. */
  get pendingReads() {
    return this.#reads;
  }
  /** Bytes to load in this preparation, all together. */
  get bytes() {
    return this.#bytes;
  }
  /** When this preparation began, in milliseconds. */
  get startedAt() {
    return this.#startedAt;
  }
  /** A load failed: the sequence has to leave hbm and come again. */
  get hasFailed() {
    return this.#hasFailed;
  }
  /** The sequence has got its slots; nothing is loaded yet. */
  begin(now) {
    this.#bytes = 0;
    this.#startedAt = now;
  }
  /** The sequence waits for the load, of `bytes` bytes. */
  join(load, bytes) {
    load.users.add(this);
    this.#loads.add(load);
    if (load.stage === "reading") this.#reads++;
    this.#bytes += bytes;
  }
  /** The bytes of one of the loads are in dram now. */
  promoted() {
    this.#reads--;
  }
  /** One of the loads has ended. */
  ended(load) {
    this.#loads.delete(load);
    if (load.stage === "reading") this.#reads--;
  }
  failed() {
    this.#hasFailed = true;
  }
  /** The sequence no longer waits. A load that has started completes even if no sequence waits for it. */
  leave() {
    for (const load of this.#loads) load.users.delete(this);
    this.#loads.clear();
    this.#reads = 0;
    this.#hasFailed = false;
  }
};

// ts/scheduler/sequence/progress.ts
var Progress = class {
  #computed = 0;
  #planned = 0;
  #expectedLength;
  #highWater = 0;
  #recomputed = 0;
  #lastStep = -1;
  #isTailSettled = false;
  #tailKey = null;
  #front = null;
  /** `length`: known tokens. */
  constructor(length) {
    this.#expectedLength = length;
  }
  /** Tokens whose KV is computed, as far as answered steps say. */
  get computed() {
    return this.#computed;
  }
  /** Tokens whose KV is computed once every submitted plan has run. */
  get planned() {
    return this.#planned;
  }
  /** Length once every submitted plan has run: known tokens and one more for each plan that samples. */
  get expectedLength() {
    return this.#expectedLength;
  }
  /** The most that was ever computed: what is computed again below it counts as recomputed. */
  get highWater() {
    return this.#highWater;
  }
  /** Tokens that were computed again. */
  get recomputed() {
    return this.#recomputed;
  }
  /** The last step that names it; −1: none yet. */
  get lastStep() {
    return this.#lastStep;
  }
  /** The rows of its own last block are complete: it ran since it got its slots, or extends a block in place. */
  get isTailSettled() {
    return this.#isTailSettled;
  }
  /** Key of the last, partly filled block, once the engine has said it. */
  get tailKey() {
    return this.#tailKey;
  }
  /** Set while the front of the history is computed and its back is read. */
  get front() {
    return this.#front;
  }
  /** It begins with other tokens, of which `length` are known. Nothing is planned yet. */
  begin(length) {
    this.#expectedLength = length;
  }
  /**
   * It has its slots: they hold the first `there` of its `length` known tokens, or will when their loads have ended.
   * `front`: of a history whose back is read from there on.
   */
  acquired(there, length, front) {
    this.#isTailSettled = false;
    this.#front = front;
    this.#computed = there;
    this.#planned = there;
    this.#expectedLength = length;
  }
  /** Its last block is one that was complete, and that it extends in place. */
  tookOver() {
    this.#isTailSettled = true;
  }
  /** The tokens before `token` are there, and need no computing. */
  skipTo(token) {
    this.#planned = token;
  }
  /** Front and back have met, or the sequence leaves its slots. */
  endFront() {
    this.#front = null;
  }
  /** The next `count` rows are in the plan of `step`, which samples a token behind them or does not. */
  plan(step, count9, samples) {
    this.#front?.claim(this.#planned, this.#planned + count9);
    this.#planned += count9;
    if (samples) this.#expectedLength++;
    this.#lastStep = step;
  }
  /** Rows from `from` on were not sampled, for what may come was not known in time: they are planned again. */
  planAgain(from, length) {
    this.#planned = from;
    this.#expectedLength = length;
  }
  /** Rows [from, to) are computed. */
  advance(from, to) {
    this.#front?.answered(to - from);
    this.#recomputed += Math.max(0, Math.min(to, this.#highWater) - from);
    this.#highWater = Math.max(this.#highWater, to);
    this.#computed = to;
    this.#isTailSettled = true;
  }
  /** The answer is complete. `computed`: tokens whose KV counts; undefined: all that is computed. */
  finish(computed, tailKey) {
    this.#computed = computed ?? this.#computed;
    this.#tailKey = tailKey;
  }
};

// ts/scheduler/sequence/prompt-split.ts
var Serving = class {
  #tiers = [];
  #split = null;
  #isSettled = false;
  #unanswered = /* @__PURE__ */ new Set();
  /** Before the first rows are computed, it is only what was meant; null: not even that is known. */
  get split() {
    return this.#split;
  }
  /** Once rows are computed; null: none are. */
  get settled() {
    return this.#isSettled ? this.#split : null;
  }
  /** The tiers of its blocks when the request was queued are known. */
  get hasTiers() {
    return this.#tiers.length > 0;
  }
  /** Where matched block `index` lay when the request was queued. */
  tierOf(index2) {
    return this.#tiers[index2];
  }
  /** The request is queued, and its matched blocks lie in these tiers, by block index. */
  queued(tiers2) {
    this.#tiers = tiers2;
  }
  /** Keys of blocks of which no tier said in time whether it has them. */
  get unanswered() {
    return this.#unanswered;
  }
  leaveUnanswered(keys) {
    this.#unanswered = new Set(keys);
  }
  /** The sequence has got its slots; what was settled stays. */
  acquired(split) {
    if (!this.#isSettled) this.#split = split();
  }
  /** Rows of it are computed. */
  settle() {
    this.#isSettled = true;
  }
};
function splitOf(directory, sequence, match) {
  const reused = perTier(() => 0);
  const tiers2 = [];
  let inView = 0;
  for (const { index: index2, block, rows: rows4 } of match.sources) {
    const tier = sequence.serving.tierOf(index2) ?? block.tier ?? "ssd";
    tiers2[index2] = tier;
    reused[tier] += rows4;
    inView += rows4;
  }
  const { promptLength, start } = sequence;
  const { length } = match;
  const misses = missesOf(directory, sequence, length, promptLength, false);
  const found = match.sources.map(({ block, rows: rows4 }) => ({ key: block.key, tokens: rows4, isTail: block.valid < BLOCK_TOKENS }));
  const asked2 = [...found, ...misses.asked];
  return { reused, computed: promptLength - length, outsideView: start.leftOut + length - inView, misses, asked: asked2, length, tiers: tiers2 };
}
function countComputed(directory, sequence, from, to) {
  const { split } = sequence.serving;
  const { highWater } = sequence.progress;
  if (!split) return;
  const end = Math.min(to, split.length);
  for (let start = Math.max(from, highWater); start < end; ) {
    const index2 = Math.floor(start / BLOCK_TOKENS);
    const next = Math.min(end, (index2 + 1) * BLOCK_TOKENS);
    const tier = split.tiers[index2];
    if (tier !== void 0) {
      split.reused[tier] -= next - start;
      split.computed += next - start;
      split.misses = joinMisses(split.misses, missesOf(directory, sequence, start, next, true));
    }
    start = next;
  }
}
function missesOf(directory, sequence, from, to, wereThere) {
  const { root, keys, tokens, start, wishes: wishes3, serving: { unanswered } } = sequence;
  const withoutReasoning = (wishes3.withoutReasoning ?? []).map(([a, b]) => [a - start.leftOut, b - start.leftOut]);
  return explainMisses(directory, { root, keys, tokens: tokens.view(0, to), from, to, wereThere, withoutReasoning, unanswered });
}

// ts/scheduler/sequence/standing.ts
var Standing = class {
  #overtaken = 0;
  #overtakenAt = 0;
  #stoodBack = 0;
  #refusedAt = -1;
  /** Younger requests that were admitted before it. */
  get overtaken() {
    return this.#overtaken;
  }
  /** When the first of them was, in milliseconds. */
  get overtakenAt() {
    return this.#overtakenAt;
  }
  /** Plans in a row in which its prompt stood back behind shorter ones. */
  get stoodBack() {
    return this.#stoodBack;
  }
  /** A younger request is admitted. */
  overtake(now) {
    if (this.#overtaken++ === 0) this.#overtakenAt = now;
  }
  /** Its prompt stands back in a plan, or is in it. */
  standBack(isBack) {
    this.#stoodBack = isBack ? this.#stoodBack + 1 : 0;
  }
  /** There is no room for it, as the directory is at `version`. */
  refuse(version) {
    this.#refusedAt = version;
  }
  wasRefused(version) {
    return this.#refusedAt === version;
  }
  /** It may be tried again, whether the directory has changed or not. */
  retry() {
    this.#refusedAt = -1;
  }
};

// ts/scheduler/sequence/timing.ts
var Timing = class {
  constructor(accepted) {
    this.accepted = accepted;
    this.#queued = accepted;
  }
  accepted;
  #queued;
  #prepared = 0;
  #joined = 0;
  #firstToken = 0;
  /** Since when it has waited for its slots. */
  get queued() {
    return this.#queued;
  }
  /** When it first got its slots. */
  get prepared() {
    return this.#prepared;
  }
  /** When it first ran. */
  get joined() {
    return this.#joined;
  }
  /** When its answer began. */
  get firstToken() {
    return this.#firstToken;
  }
  queue(now) {
    this.#queued = now;
  }
  prepare(now) {
    if (this.#prepared === 0) this.#prepared = now;
  }
  join(now) {
    if (this.#joined === 0) this.#joined = now;
  }
  answer(now) {
    if (this.#firstToken === 0) this.#firstToken = now;
  }
};

// ts/scheduler/sequence/tokens.ts
var TokenList = class {
  #ids;
  #length;
  constructor(ids) {
    this.#ids = ids;
    this.#length = ids.length;
  }
  get length() {
    return this.#length;
  }
  push(id3) {
    if (this.#length === this.#ids.length) {
      const grown = new Uint32Array(Math.max(64, this.#ids.length * 2));
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids[this.#length++] = id3;
  }
  /** Token ids [from, to): a view that must not be kept; the list may move. */
  view(from = 0, to = this.#length) {
    return this.#ids.subarray(from, Math.min(to, this.#length));
  }
  /** Token ids [from, to): a copy that may be kept. */
  copy(from, to) {
    return this.#ids.slice(from, Math.min(to, this.#length));
  }
};

// ts/scheduler/sequence/waited.ts
var WaitedFor = class {
  #ms = { turn: 0, room: 0, history: 0, another: 0 };
  #cause = "turn";
  #since;
  /** It waits from `now` on, in milliseconds. */
  constructor(now) {
    this.#since = now;
  }
  /** From now on it waits for this. */
  for(cause, now) {
    this.#ms[this.#cause] += now - this.#since;
    this.#cause = cause;
    this.#since = now;
  }
  /** It waits no longer. */
  end(now) {
    this.for("turn", now);
  }
  /** It waits again. */
  again(now) {
    this.#cause = "turn";
    this.#since = now;
  }
  /** The reason that took longest; null: it did not wait. */
  get longest() {
    let longest = null;
    for (const cause of QUEUED_FOR) if (this.#ms[cause] > (longest === null ? 0 : this.#ms[longest])) longest = cause;
    return longest;
  }
};

// ts/scheduler/sequence/wants.ts
var Wants = class {
  constructor(blocks) {
    this.blocks = blocks;
  }
  blocks;
  /** The first block that was not looked at yet. */
  #next = 0;
  /** Reads under way. */
  #reads = 0;
  #isStuck = false;
  /** Blocks that are not in memory yet, as far as it was looked. */
  get missing() {
    return this.blocks.length - this.#next + this.#reads;
  }
  /** dram had no room for the next block. */
  get isStuck() {
    return this.#isStuck;
  }
  /** The first block that has to be read; blocks before it are in memory, on their way or gone. */
  next() {
    let block = this.blocks[this.#next];
    while (block && (block.gone || isInMemory(block))) block = this.blocks[++this.#next];
    return block;
  }
  /** There was room for the next block, or there was none. */
  foundRoom(hasRoom) {
    this.#isStuck = !hasRoom;
  }
  /** The next block is being read. */
  readBegan() {
    this.#reads++;
    this.#next++;
  }
  /** One of the reads has ended, well or not. */
  readEnded() {
    this.#reads--;
  }
};
function isInMemory(block) {
  return block.has("dram") || block.copies.hbm.state !== "absent";
}

// ts/scheduler/sequence/sequence.ts
var NO_WISHES = { retention: "none", systemTokens: 0 };
var NO_WANTS = new Wants([]);
var Sequence = class {
  constructor(spec, ticket, starts, turn, answer2, tenant2, requestId, acceptedAt, wishes3 = NO_WISHES) {
    this.ticket = ticket;
    this.starts = starts;
    this.turn = turn;
    this.answer = answer2;
    this.tenant = tenant2;
    this.requestId = requestId;
    this.wishes = wishes3;
    const [start] = starts;
    this.history = spec.tokens;
    this.#start = start;
    this.#spec = { ...spec, tokens: start.tokens };
    this.#tokens = new TokenList(start.tokens);
    this.#keys = fullKeys(start);
    this.progress = new Progress(start.tokens.length);
    this.times = new Timing(acceptedAt);
    this.waited = new WaitedFor(acceptedAt);
    this.trail = new Trail({ conversation: turn.conversation, tenant: tenant2 });
  }
  ticket;
  starts;
  turn;
  answer;
  tenant;
  requestId;
  wishes;
  /** The whole prompt as the client sent it; `tokens` may have begun without a part of it. */
  history;
  /** Which of its tokens are computed and planned. */
  progress;
  /** Its blocks in hbm. */
  table = new BlockTable();
  /** The loads that it waits for until its blocks are in hbm. */
  loading = new LoadWait();
  /** How its prompt is served. */
  serving = new Serving();
  /** When its phases began. */
  times;
  /** How often others went before it. */
  standing = new Standing();
  /** For what it waited in the queue. */
  waited;
  /** When its phases ran. */
  trail;
  #state = "waiting";
  #leaving = null;
  #isAdded = false;
  #spec;
  #start;
  #tokens;
  #keys;
  #turnUse = null;
  #isEndedByToken = false;
  #wants = NO_WANTS;
  get state() {
    return this.#state;
  }
  /** Why no further plan names it; null: plans may. */
  get leaving() {
    return this.#leaving;
  }
  /** The engine knows the sequence. */
  get isAdded() {
    return this.#isAdded;
  }
  get id() {
    return this.#spec.sequence;
  }
  get root() {
    return this.#spec.root;
  }
  get spec() {
    return this.#spec;
  }
  /** Where it begins. */
  get start() {
    return this.#start;
  }
  /** Known tokens: those that it began with, and what was sampled. */
  get tokens() {
    return this.#tokens;
  }
  get promptLength() {
    return this.#start.tokens.length;
  }
  /** Keys of the full blocks known so far, in chain order. */
  get keys() {
    return this.#keys;
  }
  /** Tells placement which blocks the turn uses; null: it has none yet. */
  get turnUse() {
    return this.#turnUse;
  }
  /** Blocks it wants while it waits. */
  get wants() {
    return this.#wants;
  }
  /** Tokens of the answer so far. */
  get answerLength() {
    return this.#tokens.length - this.promptLength;
  }
  /** Tokens that were generated, the one that ended the answer among them: it was sampled, and is not part of the answer. */
  get generatedLength() {
    return this.answerLength + (this.#isEndedByToken ? 1 : 0);
  }
  /** An end or stop token ended the answer. */
  endedByToken() {
    this.#isEndedByToken = true;
  }
  /** Rows that the next plan may have. */
  get plannableRows() {
    return this.progress.front?.rows ?? this.remainingRows;
  }
  /** Tokens that may still be planned: the rest of what is known, and one for each token yet to be sampled. */
  get remainingRows() {
    const mostRows2 = this.promptLength + this.#spec.maxTokens - 1;
    return Math.min(this.progress.expectedLength, mostRows2) - this.progress.planned;
  }
  /** Key of the block before block `index`. */
  parentKey(index2) {
    return index2 === 0 ? this.root : this.#keys[index2 - 1];
  }
  /** Before the engine knows the sequence: begins with other tokens. */
  begin(start) {
    if (start === this.#start) return;
    this.#start = start;
    this.#spec = { ...this.#spec, tokens: start.tokens };
    this.#tokens = new TokenList(start.tokens);
    this.#keys = fullKeys(start);
    this.progress.begin(start.tokens.length);
    this.serving.queued([]);
  }
  /** Block `index` is full, and this is its key. */
  named(index2, key) {
    this.#keys[index2] = key;
  }
  /** The turn begins, unless it has. */
  beginTurn(begin) {
    return this.#turnUse ??= begin();
  }
  /** While it waits, it wants these blocks. */
  want(blocks) {
    this.#wants = new Wants(blocks);
    for (const block of blocks) block.want(this.ticket);
  }
  /** It wants nothing any more. */
  unwant() {
    for (const block of this.#wants.blocks) block.unwant(this.ticket);
    this.#wants = NO_WANTS;
  }
  /** It has got its slots. */
  prepare(now) {
    this.#state = "preparing";
    this.times.prepare(now);
    this.waited.end(now);
  }
  /** Plans may name it. */
  run(now) {
    this.#state = "running";
    this.times.join(now);
  }
  /** Its front has met its back: it waits for the rest of its loads like every other one. */
  meet() {
    this.progress.endFront();
    if (this.#state === "running") this.#state = "preparing";
  }
  /** The engine knows it from now on. */
  added() {
    this.#isAdded = true;
  }
  /** No further plan names it. A client that cancels is heard whatever the reason was before; else the first reason stays. */
  leave(reason) {
    if (reason === "cancelled" || this.#leaving === null) this.#leaving = reason;
  }
  /** It has left hbm, and goes back to the queue. */
  wait(now) {
    this.#state = "waiting";
    this.#leaving = null;
    this.times.queue(now);
    this.waited.again(now);
    this.standing.retry();
  }
  /** Nothing is computed for it any more. */
  end() {
    this.#state = "ended";
    this.#leaving = null;
  }
};
function fullKeys({ keys, tokens }) {
  return keys.slice(0, Math.floor(tokens.length / BLOCK_TOKENS));
}

// ts/service/messages.ts
function messageTexts(messages3) {
  return messages3.map((message2) => ({ ...message2, content: contentText(message2.content) }));
}
function contentText(content2) {
  return typeof content2 === "string" ? content2 : content2.map(({ text: text5 }) => text5).join("");
}
function chatText({ tools, templateArguments: templateArguments2 }, messages3, defaults) {
  return {
    messages: messages3,
    ...tools ? { tools: tools.definitions } : {},
    templateArguments: { ...defaults, ...templateArguments2 }
  };
}
function toolsText(definitions) {
  if (definitions === void 0) return "";
  return canonicalValue(definitions.map(({ name: name2, description: description2 = null, parameters }) => ({ name: name2, description: description2, parameters })));
}

// ts/service/call-ids.ts
import { randomInt } from "node:crypto";
var ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
function random(length) {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
}
function callIds(format2, earlier) {
  if (format2 === "mistral") return () => random(9);
  if (format2 !== "kimi") return () => `call_${random(24)}`;
  let next = earlier;
  return (name2) => `functions.${name2}:${next++}`;
}

// ts/service/constraint.ts
var FIELDS = {
  json_object: "response_format",
  json_schema: "response_format",
  regex: "structured_outputs.regex",
  choice: "structured_outputs.choice",
  grammar: "structured_outputs.grammar"
};
async function compileConstraint(text5, { constraint: constraint2, constraintField, tools }) {
  const source = constraint2 ?? callsOf2(tools);
  if (source === void 0) return void 0;
  try {
    return await text5.compile(source);
  } catch (error) {
    throw refusal(error, constraint2 === void 0 ? "tools" : constraintField ?? FIELDS[constraint2.kind]);
  }
}
function callsOf2(tools) {
  if (tools === void 0 || tools.choice === "none") return void 0;
  if (tools.choice === "auto" && !tools.definitions.some(({ strict }) => strict)) return void 0;
  return { kind: "calls", tools: tools.definitions, choice: tools.choice, parallel: tools.parallel && typeof tools.choice !== "object" };
}
function refusal(error, field) {
  if (!(error instanceof EngineError) || !error.code.startsWith("grammar")) return error;
  const { code, message: message2, context } = error;
  if (code === "grammars_busy") return new ApiError("queue_full", message2, null, context, { cause: error });
  return new ApiError("invalid_value", `${field}: ${message2}`, field, { ...context, reason: code }, { cause: error });
}

// ts/service/turn.ts
var TurnOutput = class {
  /** @param newCallId Makes the id of the answer's next call, of this name. */
  constructor(conversation, onCancel, newCallId, promptTokens2 = 0) {
    this.conversation = conversation;
    this.onCancel = onCancel;
    this.newCallId = newCallId;
    this.promptTokens = promptTokens2;
  }
  conversation;
  onCancel;
  newCallId;
  promptTokens;
  #pending = [];
  /** Tokens that came with no content. They go with the next content. */
  #tokens = [];
  #logprobs = [];
  /** Kind of the last part. */
  #kind = "content";
  #calls = 0;
  #done = null;
  #error = null;
  #isClosed = false;
  #wake = null;
  /** Calls that the answer has made so far. */
  get calls() {
    return this.#calls;
  }
  cancel() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onCancel();
    this.#notify();
  }
  delta(parts, token, logprob) {
    if (this.#isClosed) return;
    if (token !== void 0) this.#tokens.push(token);
    if (logprob !== void 0) this.#logprobs.push(logprob);
    for (const part2 of parts) this.#add(part2);
    if (parts.length === 0 && this.#kind === "content") this.#content("");
    this.#notify();
  }
  finish(done2) {
    if (this.#isClosed) return;
    if (this.#logprobs.length > 0) this.#content("");
    this.#isClosed = true;
    this.#done = done2;
    this.#notify();
  }
  fail(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#notify();
  }
  async *[Symbol.asyncIterator]() {
    try {
      for (; ; ) {
        const event = this.#take();
        if (event) yield event;
        if (event?.type === "done") return;
        if (event) continue;
        if (this.#error) throw this.#error;
        if (this.#isClosed) return;
        await new Promise((resolve) => this.#wake = resolve);
      }
    } finally {
      this.cancel();
    }
  }
  #add(part2) {
    this.#kind = part2.kind;
    if (part2.kind === "content") this.#content(part2.text);
    else if (part2.kind === "call") this.#call(part2.name);
    else this.#text(part2.kind, part2.text);
  }
  /** Takes along the tokens that have come up to it. */
  #content(text5) {
    let last = this.#pending.at(-1);
    if (last?.type !== "delta") this.#pending.push(last = { type: "delta", text: "", tokens: [], logprobs: [] });
    last.text += text5;
    last.tokens.push(...this.#tokens);
    last.logprobs.push(...this.#logprobs);
    this.#tokens = [];
    this.#logprobs = [];
  }
  #text(type, text5) {
    const last = this.#pending.at(-1);
    if (last?.type === type) last.text += text5;
    else this.#pending.push({ type, text: text5 });
  }
  #call(name2) {
    this.#calls++;
    this.#pending.push({ type: "call", id: this.newCallId(name2), name: name2 });
  }
  #take() {
    const event = this.#pending.shift();
    if (event) return event;
    const done2 = this.#done;
    this.#done = null;
    return done2;
  }
  #notify() {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
};

// ts/service/intake.ts
var IntakeDesk = class {
  #core;
  #conversations;
  #starts;
  #nextTicket = 0;
  constructor(core, conversations, starts) {
    this.#core = core;
    this.#conversations = conversations;
    this.#starts = starts;
  }
  /** Rejects with `context_length_exceeded` or `invalid_value`. Nothing is stored or enqueued yet. */
  async take(request, onCancel) {
    const acceptedAt = this.#core.clock.now();
    const ticket = this.#nextTicket++;
    const messages3 = chatTexts(request);
    const resolution = this.#resolve(request, messages3);
    const [prompt, constraint2] = await Promise.all([
      this.#encode(request, messages3, resolution).catch((error) => {
        throw this.#refusalOf(request, error);
      }),
      compileConstraint(this.#core.engine.text, request)
    ]);
    const spec = { ...this.#specOf(request, prompt, ticket), ...constraint2 === void 0 ? {} : { constraint: constraint2 } };
    const starts = await this.#starts.find(spec);
    const newCallId = callIds(this.#core.engine.info.outputFormat, callsIn(request));
    const turn = new TurnOutput(resolution.id, () => onCancel(sequence), newCallId, prompt.tokens.length);
    const answer2 = resolution.parent === null ? null : new AnswerHash(resolution.parent);
    const { systemTokens, withoutReasoning } = prompt;
    const wishes3 = { retention: request.retention ?? "none", systemTokens, withoutReasoning };
    const sequence = new Sequence(spec, ticket, starts, turn, answer2, request.tenant, request.requestId, acceptedAt, wishes3);
    return { sequence, resolution, turn, leaf: null };
  }
  /** Tokens of the prompt that `take` would make, or of one that is too long for the context. Nothing is stored. */
  async count(request) {
    const bounded = { ...request, truncation: "auto" };
    const messages3 = chatTexts(bounded);
    try {
      return (await this.#encode(bounded, messages3, this.#resolve(bounded, messages3))).tokens.length;
    } catch (error) {
      throw this.#refusalOf(bounded, error);
    }
  }
  #resolve(request, messages3) {
    const { tenant: tenant2, cacheSalt, conversation, conversationHint: hint } = request;
    return this.#conversations.resolve({ tenant: tenant2, cacheSalt, conversation, hint, messages: messages3, tools: toolsText(request.tools?.definitions) });
  }
  /** An error of the encoding as the client is told it: a prompt that is too long was refused before all of it was tokenised. */
  #refusalOf(request, error) {
    return error instanceof PromptTooLong ? this.#tooLong(request, `at least ${error.atLeast}`, error.atLeast) : error;
  }
  /** `texts`: the messages of a chat. */
  async #encode(request, texts2, resolution) {
    const { prompt } = request;
    const mostTokens2 = this.#mostTokens(request);
    const { text: text5, info: info3 } = this.#core.engine;
    if (prompt.kind === "text") return rawPrompt(await text5.encodePrompt(prompt.text, mostTokens2), 0);
    if (prompt.kind === "chat") {
      const messages3 = (texts2 ?? []).map((message2, i) => {
        const stored = resolution.stored[i];
        return stored ? { ...message2, stored } : message2;
      });
      const { templateArguments: templateArguments2 } = this.#core.options;
      return text5.encodeChat(chatText(request, messages3, templateArguments2), resolution.date, mostTokens2);
    }
    const unknown = prompt.tokens.find((token) => token >= info3.vocabSize);
    if (unknown !== void 0) {
      throw new ApiError("invalid_value", `prompt: Token ${unknown} is not in the vocabulary of ${info3.vocabSize} tokens.`, "prompt", {
        token: unknown,
        vocab_size: info3.vocabSize
      });
    }
    return rawPrompt(prompt.tokens, prompt.systemTokens ?? 0);
  }
  #specOf(request, { tokens, systemTokens, startsInReasoning }, ticket) {
    const { engine, options } = this.#core;
    if (tokens.length === 0) throw new ApiError("invalid_value", "The prompt has no tokens.", "prompt");
    const view = request.truncation === "auto" ? this.#viewOf(systemTokens) : null;
    if (view === null) this.#checkLength(request, tokens.length);
    const room = options.maxContext - (view === null ? tokens.length : 0);
    return {
      // Unique among the living: the queue and the running ones are far fewer than 2^32.
      sequence: ticket >>> 0,
      tokens,
      root: engine.text.root(request.tenant, request.cacheSalt),
      view,
      sampling: request.sampling,
      stop: request.stop,
      stopTokens: request.stopTokens,
      ignoreEos: request.ignoreEos,
      maxTokens: Math.max(1, Math.min(request.maxTokens ?? room, room)),
      ...request.prompt.kind === "chat" ? { output: readingOf(request, startsInReasoning) } : {}
    };
  }
  #viewOf(systemTokens) {
    const { contextWindow, truncationRatio, maxContext } = this.#core.options;
    if (contextWindow !== null) return viewParameters(contextWindow, truncationRatio, systemTokens);
    const message2 = `Truncation needs a window of at least ${MIN_WINDOW} tokens; the context has ${maxContext}.`;
    throw new ApiError("unsupported_parameter", message2, "truncation", { max_model_len: maxContext, min_window: MIN_WINDOW });
  }
  #checkLength(request, length) {
    if (length >= this.#core.options.maxContext) throw this.#tooLong(request, `${length}`, length);
  }
  #mostTokens({ truncation }) {
    const { maxContext } = this.#core.options;
    return truncation === "auto" ? Math.max(maxContext - 1, MAX_TRUNCATED) : maxContext - 1;
  }
  /** @param counted How many tokens the prompt has, in words; `length` of them are known. */
  #tooLong(request, counted, length) {
    const { maxContext } = this.#core.options;
    const isTruncated = request.truncation === "auto";
    const limit = isTruncated ? this.#mostTokens(request) : maxContext;
    const advice = isTruncated ? `the limit with truncation "auto" is ${limit}.` : `the context limit, prompt and answer, is ${limit}. Set truncation to "auto" to continue.`;
    const param = request.prompt.kind === "chat" ? "messages" : "prompt";
    const counts = { prompt_tokens: length, max_model_len: limit };
    return new ApiError("context_length_exceeded", `The prompt has ${counted} tokens; ${advice}`, param, counts);
  }
};
function rawPrompt(tokens, systemTokens) {
  return { tokens, systemTokens, startsInReasoning: false, withoutReasoning: [] };
}
function readingOf({ tools }, startsInReasoning) {
  const calls = tools !== void 0 && tools.choice !== "none";
  return { tools: tools?.definitions ?? [], calls, startsInReasoning };
}
function callsIn({ prompt }) {
  return prompt.kind === "chat" ? prompt.messages.reduce((calls, message2) => calls + (message2.toolCalls?.length ?? 0), 0) : 0;
}
function chatTexts({ prompt }) {
  return prompt.kind === "chat" ? messageTexts(prompt.messages) : null;
}

// ts/service/integrity-watch.ts
var IntegrityWatch = class {
  #clock;
  #tables;
  #cancel = null;
  constructor(clock, tables) {
    this.#clock = clock;
    this.#tables = tables;
  }
  /** Checks everything, unless something happens before the end, or a check is under way. */
  begin() {
    if (this.#cancel !== null || !this.#tables.isIdle()) return;
    const pieces = this.#tables.check()[Symbol.iterator]();
    const version = this.#tables.version();
    this.#next(pieces, version);
  }
  stop() {
    this.#cancel?.();
    this.#cancel = null;
  }
  #next(pieces, version) {
    this.#cancel = null;
    if (!this.#tables.isIdle() || this.#tables.version() !== version) return;
    if (this.#isOver(pieces)) return;
    this.#cancel = this.#clock.after(0, () => this.#next(pieces, version), { background: true });
  }
  #isOver(pieces) {
    try {
      return pieces.next().done === true;
    } catch (thrown) {
      this.#tables.broken(thrown);
      return true;
    }
  }
};

// ts/directory/aliases.ts
var MOST_ALIASES = 65536;
var HEAD_BYTES2 = 12;
var Aliases = class {
  #aliases = /* @__PURE__ */ new Map();
  #table;
  #now;
  #most;
  /** `table` null: in memory only. */
  constructor(table, now, most = MOST_ALIASES) {
    this.#table = table;
    this.#now = now;
    this.#most = most;
    const stored = [];
    for (const { key, value } of table?.entries() ?? []) {
      const alias = decode3(value);
      if (alias) stored.push([Buffer.from(key).toString("latin1"), alias]);
      else table?.remove(key);
    }
    stored.sort(([, a], [, b]) => a.renewedAt - b.renewedAt);
    for (const [name2, alias] of stored) this.#aliases.set(name2, alias);
    this.#trim();
  }
  get size() {
    return this.#aliases.size;
  }
  /** The epoch in which the conversation with the longest known part of this chain began; null: none is known. */
  find(keys, view) {
    for (const key of keys.toReversed()) {
      const alias = this.#aliases.get(nameOf(key, view));
      if (alias) return alias.epoch;
    }
    return null;
  }
  put(key, view, epoch, conversation) {
    const name2 = nameOf(key, view);
    const alias = { epoch, renewedAt: this.#now(), conversation };
    this.#aliases.delete(name2);
    this.#aliases.set(name2, alias);
    this.#table?.put(Buffer.from(name2, "latin1"), encode3(alias));
    this.#trim();
  }
  /** Forgets those of a conversation. */
  erase(conversation) {
    for (const [name2, alias] of this.#aliases) if (alias.conversation === conversation) this.#forget(name2);
  }
  #trim() {
    for (const name2 of this.#aliases.keys()) {
      if (this.#aliases.size <= this.#most) return;
      this.#forget(name2);
    }
  }
  #forget(name2) {
    this.#aliases.delete(name2);
    this.#table?.remove(Buffer.from(name2, "latin1"));
  }
};
function nameOf(key, { window, head: head3, step }) {
  const view = Buffer.alloc(12);
  view.writeUInt32LE(window, 0);
  view.writeUInt32LE(head3, 4);
  view.writeUInt32LE(step, 8);
  return key + view.toString("latin1");
}
function encode3({ epoch, renewedAt, conversation }) {
  const head3 = Buffer.alloc(HEAD_BYTES2);
  head3.writeUInt32LE(epoch, 0);
  head3.writeDoubleLE(renewedAt, 4);
  return Buffer.concat([head3, Buffer.from(conversation, "utf8")]);
}
function decode3(value) {
  if (value.length < HEAD_BYTES2) return null;
  const bytes = Buffer.from(value);
  const epoch = bytes.readUInt32LE(0);
  return epoch > 0 ? { epoch, renewedAt: bytes.readDoubleLE(4), conversation: bytes.toString("utf8", HEAD_BYTES2) } : null;
}

// ts/directory/store.ts
var META = Buffer.from("meta");
var KEY_BYTES = 32;
var HEAD_BYTES3 = 2 * KEY_BYTES + 4 + 4 + 12 + 8 + 2;
var AWAITED = 32768;
var BlockStore = class {
  #table;
  /** As the records say it. */
  #lastUse = /* @__PURE__ */ new WeakMap();
  constructor(table) {
    this.#table = table;
  }
  /** Gives every stored block its ssd slot in an empty directory. Records that cannot serve are removed. */
  restore(directory, fingerprint) {
    const awaited = /* @__PURE__ */ new Set();
    const records = [...this.#table.entries()];
    const mark = Buffer.from(fingerprint);
    const isForeign = !records.some(({ key, value }) => META.equals(key) && mark.equals(value));
    const slots = /* @__PURE__ */ new Set();
    let foreign = 0;
    let damaged = 0;
    for (const { key, value } of records) {
      if (META.equals(key)) continue;
      const entry = isForeign ? null : decodeEntry(value);
      if (entry && isUsable(entry, key, directory, slots)) {
        slots.add(entry.slot);
        continue;
      }
      if (isForeign) foreign++;
      else damaged++;
      this.#table.remove(key);
    }
    const reserved = new Map(directory.reserveFree("ssd", slots).map((own2) => [own2.slot, own2]));
    let restored = 0;
    for (const { key, value } of records) {
      const entry = META.equals(key) || isForeign ? null : decodeEntry(value);
      const own2 = entry && reserved.get(entry.slot);
      if (!own2) continue;
      const block = restoreEntry(entry, own2, directory);
      if (block) restored++;
      else {
        damaged++;
        this.#table.remove(key);
      }
      if (block && entry.isAwaited) awaited.add(block);
    }
    this.#table.put(META, mark);
    recall(directory, awaited);
    return { restored, foreign, damaged };
  }
  /** The block's ssd copy is durable. */
  put(block) {
    this.#lastUse.set(block, block.lastUse);
    this.#table.put(slotKey2(block.copies.ssd.slot), encodeEntry(block));
  }
  /** Writes the last use of every durable block again, so that it is known after a restart. */
  refresh(blocks) {
    for (const block of blocks) if (block.durable && this.#lastUse.get(block) !== block.lastUse) this.put(block);
  }
  /** The slot no longer holds a block. */
  removed(slot) {
    this.#table.remove(slotKey2(slot));
  }
};
function slotKey2(slot) {
  const key = Buffer.alloc(5);
  key.write("s");
  key.writeUInt32BE(slot, 1);
  return key;
}
function isUsable(entry, key, directory, slots) {
  return entry.slot < directory.pools.ssd.total && !slots.has(entry.slot) && slotKey2(entry.slot).equals(key);
}
function restoreEntry(entry, own2, directory) {
  if (directory.blocks.has(entry.key)) {
    own2.dispose();
    return null;
  }
  const block = directory.obtain(entry.key, entry.parent, entry.index, entry.tokens, entry.view);
  own2.become(block, "present");
  block.durable = true;
  block.lastUse = entry.lastUse;
  return block;
}
function recall(directory, awaited) {
  const blocks = [...directory.inTier.ssd].sort((a, b) => a.lastUse - b.lastUse);
  for (let from = 0, to = 0; from < blocks.length; from = to) {
    const { lastUse } = blocks[from];
    while (blocks[to]?.lastUse === lastUse) to++;
    const ofTurn = blocks.slice(from, to);
    const newTokens = ofTurn.reduce((sum, { valid }) => sum + valid, 0);
    const retention = ofTurn.some((block) => awaited.has(block)) ? "day" : "none";
    const turn = directory.policy.begin({ atMs: Math.min(lastUse, directory.now()), newTokens, retention });
    for (const block of ofTurn) turn.used(block, block.valid < BLOCK_TOKENS, true);
  }
}
function encodeEntry(block) {
  const bytes = Buffer.alloc(HEAD_BYTES3 + 4 * block.valid);
  bytes.write(block.key, 0, "latin1");
  bytes.write(block.parent, KEY_BYTES, "latin1");
  let at = 2 * KEY_BYTES;
  at = bytes.writeUInt32LE(block.copies.ssd.slot, at);
  at = bytes.writeUInt32LE(block.index, at);
  for (const parameter of [block.view?.window, block.view?.head, block.view?.step]) at = bytes.writeUInt32LE(parameter ?? 0, at);
  at = bytes.writeDoubleLE(block.lastUse, at);
  at = bytes.writeUInt16LE(block.valid | (block.cohort?.isAwaited ? AWAITED : 0), at);
  for (const token of block.tokens) at = bytes.writeUInt32LE(token, at);
  return bytes;
}
function decodeView(bytes, at) {
  const [window, head3, step] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8)];
  return window === 0 ? null : { window, head: head3, step };
}
function decodeEntry(value) {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < HEAD_BYTES3) return null;
  const countAndHint = bytes.readUInt16LE(HEAD_BYTES3 - 2);
  const count9 = countAndHint & ~AWAITED;
  if (count9 < 1 || count9 > BLOCK_TOKENS || bytes.length !== HEAD_BYTES3 + 4 * count9) return null;
  const tokens = new Uint32Array(count9);
  for (let i = 0; i < count9; i++) tokens[i] = bytes.readUInt32LE(HEAD_BYTES3 + 4 * i);
  return {
    key: bytes.toString("latin1", 0, KEY_BYTES),
    parent: bytes.toString("latin1", KEY_BYTES, 2 * KEY_BYTES),
    slot: bytes.readUInt32LE(2 * KEY_BYTES),
    index: bytes.readUInt32LE(2 * KEY_BYTES + 4),
    view: decodeView(bytes, 2 * KEY_BYTES + 8),
    lastUse: bytes.readDoubleLE(2 * KEY_BYTES + 20),
    isAwaited: (countAndHint & AWAITED) !== 0,
    tokens
  };
}

// ts/service/kept-keys.ts
var KEY_BYTES2 = 32;
var SEPARATOR2 = "\0";
var MOST_RECORDS2 = 16;
var BLOCKS_A_RECORD = 64;
var MOST_GONE = 64;
var KeptKeys = class {
  #table;
  #records = /* @__PURE__ */ new Map();
  constructor(table) {
    this.#table = table;
  }
  /** Tells the keys of each conversation that `isKnown`, in as many calls as there are records; removes all others. */
  restore(isKnown, tell) {
    for (const { key, value } of this.#table.entries()) {
      const [tenant2, id3, number] = Buffer.from(key).toString("utf8").split(SEPARATOR2);
      const conversation = `${tenant2}${SEPARATOR2}${id3}`;
      if (!isKnown(conversation)) {
        this.#table.remove(key);
        continue;
      }
      const records = this.#recordsOf(conversation);
      records.count = Math.max(records.count, Number(number ?? 0) + 1);
      records.keys += Math.floor(value.length / KEY_BYTES2);
      tell(conversation, keysOf(value));
    }
  }
  /** `added`: keys that the conversation did not have; `all`: its blocks, those included. */
  add(conversation, added, all) {
    const records = this.#recordsOf(conversation);
    const isFull2 = records.count >= MOST_RECORDS2 + all.size / BLOCKS_A_RECORD;
    if (isFull2 || records.keys + added.length > 2 * all.size + MOST_GONE) {
      this.forget(conversation);
      return this.#put(conversation, Array.from(all, ({ key }) => key));
    }
    this.#put(conversation, added);
  }
  forget(conversation) {
    const count9 = this.#records.get(conversation)?.count ?? 0;
    for (let number = 0; number < count9; number++) this.#table.remove(recordKey(conversation, number));
    this.#records.delete(conversation);
  }
  #put(conversation, keys) {
    const records = this.#recordsOf(conversation);
    this.#table.put(recordKey(conversation, records.count), Buffer.from(keys.join(""), "latin1"));
    records.count++;
    records.keys += keys.length;
  }
  #recordsOf(conversation) {
    const known = this.#records.get(conversation);
    if (known) return known;
    const none = { count: 0, keys: 0 };
    this.#records.set(conversation, none);
    return none;
  }
};
function recordKey(conversation, number) {
  return Buffer.from(number === 0 ? conversation : `${conversation}${SEPARATOR2}${number}`, "utf8");
}
function* keysOf(value) {
  const text5 = Buffer.from(value).toString("latin1");
  for (let at = 0; at + KEY_BYTES2 <= text5.length; at += KEY_BYTES2) yield text5.slice(at, at + KEY_BYTES2);
}

// ts/service/referrers.ts
var Referrers = class {
  #directory;
  #kept;
  /** @param isKnown Says of a stored conversation whether it still is one. */
  constructor(directory, table, isKnown) {
    this.#directory = directory;
    this.#kept = table && new KeptKeys(table);
    this.#kept?.restore(isKnown, (conversation, keys) => this.#link(conversation, keys));
  }
  /** The conversation uses the blocks with these keys, as far as they are there. */
  refer(conversation, keys) {
    const added = this.#link(conversation, keys);
    if (added.length > 0) this.#kept?.add(conversation, added, this.blocksOf(conversation));
  }
  blocksOf(conversation) {
    return this.#directory.users.blocksOf(conversation);
  }
  /** Conversations that use the block. */
  of(block) {
    return this.#directory.users.of(block);
  }
  /** The conversation is no longer known. Its blocks stay until placement gives them up. */
  forget(conversation) {
    this.#directory.users.forgetConversation(conversation);
    this.#kept?.forget(conversation);
  }
  /** Answers which pairs are new, by the block's key. */
  #link(conversation, keys) {
    const added = [];
    for (const key of keys) {
      const block = this.#directory.blocks.get(key);
      if (!block || this.of(block).has(conversation)) continue;
      this.#directory.users.add(conversation, block);
      added.push(key);
    }
    return added;
  }
};

// ts/service/kept.ts
function restoreKept(core, dataDir, secret) {
  const { options, engine, clock, directory, events: events4 } = core;
  const database = dataDir === null ? null : options.openDatabase(dataDir);
  const conversations = new Conversations({
    database,
    secret,
    textFingerprint: engine.info.textFingerprint,
    maxRecordBytes: options.maxRecordBytes,
    maxConversations: options.maxConversations,
    newId: options.newConversationId,
    now: () => clock.now(),
    onForgotten: (key) => events4.emit("conversationForgotten", key)
  });
  const store = database && core.tiers.ssd ? restoreBlocks(core, database) : null;
  const isKnown = (key) => conversations.byKey(key) !== void 0;
  const referrers = new Referrers(directory, database?.table("referrers") ?? null, isKnown);
  events4.on("conversationForgotten", (key) => referrers.forget(key));
  const remains = database && { left: database.table("remains"), writing: database.table("writing"), committed: () => database.flushed() };
  if (remains) directory.remains.keepIn(remains, { slot: (slot) => directory.pools.ssd.isFree(slot), conversation: isKnown });
  const aliases = new Aliases(database?.table("aliases") ?? null, () => clock.now());
  return { database, conversations, store, referrers, aliases };
}
var FOREIGN = "the blocks on the ssd are of another model, setting or format; they are dropped";
function restoreBlocks({ directory, engine, counters, events: events4, options }, database) {
  const store = new BlockStore(database.table("blocks"));
  const report = store.restore(directory, engine.info.fingerprint);
  const foreign = report.foreign + (database.droppedBlocks ?? 0);
  if (foreign > 0) options.onFault({ message: FOREIGN, code: "foreign_blocks", context: { blocks: foreign } });
  counters.dropped.foreign += foreign;
  counters.dropped.damaged += report.damaged;
  events4.on("ssdSlotLeft", (slot) => store.removed(slot));
  return store;
}

// ts/service/kept-responses.ts
var ENTRY_BYTES = 1024;
var Thread = class {
  constructor(last) {
    this.last = last;
  }
  last;
  /** Oldest first. */
  get responses() {
    const newestFirst = [];
    for (let entry = this.last; entry !== null; entry = entry.before) newestFirst.push(entry.response);
    return newestFirst.toReversed();
  }
};
var MemoryResponses = class {
  #options;
  /** By tenant and id, the least recently used first. */
  #entries = /* @__PURE__ */ new Map();
  /** By tenant and id of an output item. */
  #items = /* @__PURE__ */ new Map();
  #bytes = 0;
  constructor(options) {
    this.#options = options;
  }
  /** Of all texts that are held, those included that only followers need. */
  get bytes() {
    return this.#bytes;
  }
  get size() {
    return this.#entries.size;
  }
  keep(response, before) {
    const last = before instanceof Thread ? before.last : null;
    const bytes = ENTRY_BYTES + 2 * (response.input.length + response.body.length);
    if (last?.isErased || bytes > this.#options.maxBytes) return;
    const entry = { response, before: last, bytes, lastUse: this.#options.now(), followers: 0, isNamed: true, isErased: false };
    if (last) this.#hold(last);
    this.#bytes += bytes;
    this.#entries.set(keyOf2(response.tenant, response.id), entry);
    for (const item2 of response.items) this.#items.set(keyOf2(response.tenant, item2), entry);
    this.#makeRoom();
  }
  find(tenant2, id3) {
    return this.#living(this.#entries.get(keyOf2(tenant2, id3)))?.response ?? null;
  }
  ownerOf(tenant2, item2) {
    return this.#living(this.#items.get(keyOf2(tenant2, item2)))?.response ?? null;
  }
  thread(tenant2, id3) {
    const entry = this.#living(this.#entries.get(keyOf2(tenant2, id3)));
    return entry === null ? null : new Thread(entry);
  }
  forget(tenant2, id3) {
    const entry = this.#living(this.#entries.get(keyOf2(tenant2, id3)));
    if (entry !== null) this.#unname(entry);
    return entry !== null;
  }
  /** Forgets the responses of a conversation, by its key; answers their number. */
  eraseConversation(key) {
    const own2 = [...this.#entries.values()].filter(({ response }) => conversationKey(response.tenant, response.conversation) === key);
    for (const entry of own2) {
      entry.isErased = true;
      this.#unname(entry);
    }
    return own2.length;
  }
  /** Forgets what was not used for the time to live. */
  expire() {
    const oldest = this.#options.now() - this.#options.ttlMs;
    for (const entry of this.#entries.values()) {
      if (entry.lastUse > oldest) return;
      this.#unname(entry);
    }
  }
  /** The entry, used now; null where there is none or its time is over. */
  #living(entry) {
    if (entry === void 0) return null;
    const now = this.#options.now();
    if (entry.lastUse <= now - this.#options.ttlMs) {
      this.#unname(entry);
      return null;
    }
    const key = keyOf2(entry.response.tenant, entry.response.id);
    entry.lastUse = now;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }
  #makeRoom() {
    this.expire();
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.#options.maxBytes) return;
      this.#unname(entry);
    }
  }
  #unname(entry) {
    const { tenant: tenant2, id: id3, items: items2 } = entry.response;
    this.#entries.delete(keyOf2(tenant2, id3));
    for (const item2 of items2) if (this.#items.get(keyOf2(tenant2, item2)) === entry) this.#items.delete(keyOf2(tenant2, item2));
    entry.isNamed = false;
    this.#letGo(entry);
  }
  /** One follower more; an entry that was let go counts again, and so do those before it. */
  #hold(from) {
    for (let entry = from; entry !== null; entry = entry.before) {
      const wasHeld = entry.isNamed || entry.followers > 0;
      entry.followers++;
      if (wasHeld) return;
      this.#bytes += entry.bytes;
    }
  }
  /** Counts the bytes of an entry no longer where neither its id nor a follower needs it, and of those before it. */
  #letGo(from) {
    for (let entry = from; entry !== null && !entry.isNamed && entry.followers === 0; entry = entry.before) {
      this.#bytes -= entry.bytes;
      if (entry.before) entry.before.followers--;
    }
  }
};
function keyOf2(tenant2, id3) {
  return `${tenant2}\0${id3}`;
}

// ts/directory/seal.ts
import { createCipheriv, createDecipheriv, createHmac as createHmac2, createSecretKey, randomBytes as randomBytes2 } from "node:crypto";
var CIPHER = "aes-256-gcm";
var NONCE_BYTES = 12;
var TAG_BYTES = 16;
var PREFIX_BYTES = 8;
var SEAL_BYTES = NONCE_BYTES + TAG_BYTES;
var Sealer = class {
  #key;
  #nonce = Buffer.alloc(NONCE_BYTES);
  #count = 0;
  constructor(secret, purpose) {
    const key = createHmac2("sha256", secret).update(`attentionstore seal 1\0${purpose}`, "utf8").digest();
    this.#key = createSecretKey(key);
  }
  /** nonce, sealed bytes, tag. `name` must be the same at `open`: a value at another's place does not open. */
  seal(name2, value) {
    const cipher = createCipheriv(CIPHER, this.#key, this.#nextNonce(), { authTagLength: TAG_BYTES });
    cipher.setAAD(name2);
    return Buffer.concat([this.#nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
  }
  /** null: it was not sealed under this key and name, or is damaged. */
  open(name2, sealed) {
    if (sealed.length < SEAL_BYTES) return null;
    const end = sealed.length - TAG_BYTES;
    const cipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    cipher.setAAD(name2);
    cipher.setAuthTag(sealed.subarray(end));
    const value = cipher.update(sealed.subarray(NONCE_BYTES, end));
    try {
      cipher.final();
      return value;
    } catch {
      return null;
    }
  }
  #nextNonce() {
    if (this.#count === 0) randomBytes2(PREFIX_BYTES).copy(this.#nonce);
    this.#nonce.writeUInt32LE(this.#count, PREFIX_BYTES);
    this.#count = this.#count + 1 >>> 0;
    return this.#nonce;
  }
};

// ts/directory/store-format.ts
import { open } from "lmdb";
import { existsSync, mkdirSync as mkdirSync2, readFileSync as readFileSync2, renameSync, rmSync as rmSync2, writeFileSync as writeFileSync2 } from "node:fs";
import { join as join2 } from "node:path";
var FORMAT = "2";
var CARRIED = ["conversations"];
function prepareStore(dataDir, seal) {
  const path = join2(dataDir, "store");
  const [aside, old] = [`${path}.new`, `${path}.old`];
  if (!existsSync(path) && isOfFormat(aside)) renameSync(aside, path);
  rmSync2(aside, { recursive: true, force: true });
  const droppedBlocks = existsSync(join2(path, "data.mdb")) && !isOfFormat(path) ? convert(path, aside, seal) : 0;
  if (existsSync(aside)) {
    renameSync(path, old);
    renameSync(aside, path);
  }
  rmSync2(old, { recursive: true, force: true });
  if (!isOfFormat(path)) markedFolder(path);
  return { path, droppedBlocks };
}
function openEnvironment(path) {
  return open({ path, maxDbs: 8, keyEncoding: "binary", encoding: "binary", noSubdir: false, overlappingSync: false });
}
function openTable(root, name2) {
  return root.openDB({ name: name2, keyEncoding: "binary", encoding: "binary" });
}
function convert(from, to, seal) {
  const [before, after] = [openEnvironment(from), openEnvironment(markedFolder(to))];
  for (const name2 of CARRIED) {
    const target = openTable(after, name2);
    after.transactionSync(() => {
      for (const { key, value } of openTable(before, name2).getRange()) target.putSync(key, Buffer.from(seal(name2, key, value)));
    });
  }
  const blocks = [...openTable(before, "blocks").getKeys()].filter(isSlot).length;
  void before.close();
  void after.close();
  return blocks;
}
function isSlot(key) {
  return key[0] === "s".charCodeAt(0);
}
function isOfFormat(folder) {
  const mark = join2(folder, "format");
  return existsSync(mark) && readFileSync2(mark, "utf8") === FORMAT;
}
function markedFolder(path) {
  mkdirSync2(path, { recursive: true, mode: 448 });
  writeFileSync2(join2(path, "format"), FORMAT, { mode: 384 });
  return path;
}

// ts/directory/database.ts
function openDatabase(dataDir) {
  const secret = serverSecret(dataDir);
  const sealerOf = (table) => new Sealer(secret, `table ${table}`);
  const { path, droppedBlocks } = prepareStore(dataDir, (table, key, value) => sealerOf(table).seal(key, value));
  const root = openEnvironment(path);
  let isClosed = false;
  return {
    droppedBlocks,
    table: (name2) => lmdbTable(root, name2, sealerOf(name2), () => isClosed),
    flushed: async () => {
      if (!isClosed) await root.flushed;
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await root.flushed;
      await root.close();
    }
  };
}
var EMPTY = new Uint8Array();
function lmdbTable(root, name2, sealer, isClosed) {
  const database = openTable(root, name2);
  return {
    *entries() {
      for (const { key, value } of database.getRange()) yield { key, value: sealer.open(key, value) ?? EMPTY };
    },
    put: (key, value) => {
      if (!isClosed()) void database.put(key, sealer.seal(key, value));
    },
    remove: (key) => {
      if (!isClosed()) void database.remove(key);
    }
  };
}

// ts/protocol/defaults.ts
var DEFAULTS = {
  /** Which blocks are given up first. */
  policy: "adaptive",
  /** Share of window without head that is left out at a time. */
  truncationRatio: 0.5,
  /** Most requests that wait. */
  maxQueue: 256,
  /** What is done about history on ssd. */
  history: "auto",
  /** Bytes of responses that clients may name again, and milliseconds since their last use. */
  maxResponseBytes: 64 * 2 ** 20,
  responseTtlMs: 24 * 60 * 60 * 1e3
};

// ts/scheduler/core/options.ts
function contextThatFits(slots) {
  return Math.max(0, slots - 1) * BLOCK_TOKENS;
}
function windowOf(tokens) {
  const window = Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
  return window < MIN_WINDOW ? null : window;
}
function serviceOptions(info3, given) {
  const maxBatchTokens = given.maxBatchTokens ?? info3.maxBatchTokens;
  const maxContext = given.maxContext ?? Math.min(info3.modelContext, contextThatFits(info3.slots.hbm));
  return {
    dataDir: null,
    maxContext,
    contextWindow: windowOf(maxContext),
    truncationRatio: DEFAULTS.truncationRatio,
    reuseAfterTruncation: true,
    maxQueue: DEFAULTS.maxQueue,
    maxRunning: Math.min(256, maxBatchTokens),
    maxBatchTokens,
    policy: DEFAULTS.policy,
    keyedTier: null,
    noReuse: false,
    overlap: true,
    preload: true,
    preloadLayers: null,
    prefetch: true,
    history: DEFAULTS.history,
    syncSave: false,
    sessionTtlMs: null,
    commitIntervalMs: 250,
    maxRecordBytes: 64 * 1024 * 1024,
    maxConversations: 1e5,
    templateArguments: {},
    maxResponseBytes: DEFAULTS.maxResponseBytes,
    responseTtlMs: DEFAULTS.responseTtlMs,
    openDatabase,
    clock: systemClock,
    newConversationId: () => `conv_${crypto.randomUUID()}`,
    onRequestLogged: null,
    onFault: () => {
    },
    ...given
  };
}

// ts/service/records/request-log.ts
import { createHmac as createHmac3 } from "node:crypto";
var RequestLog = class {
  #core;
  #salt;
  #write;
  #startedAt;
  #last = Promise.resolve();
  #machine = null;
  constructor(core, salt, write) {
    this.#core = core;
    this.#salt = salt;
    this.#write = write;
    this.#startedAt = core.clock.now();
  }
  /** Lines come in the order in which answers end. */
  add(sequence, usage2) {
    const before = this.#last;
    const answer2 = sequence.tokens.view(sequence.promptLength);
    const tokens = new Uint32Array(sequence.history.length + answer2.length);
    tokens.set(sequence.history);
    tokens.set(answer2, sequence.history.length);
    const keys = this.#core.engine.text.keys(sequence.root, tokens, null);
    this.#last = keys.then(
      (found) => before.then(() => this.#line(sequence, usage2, found)),
      () => before
    );
  }
  /** Ends when every line is written. */
  close() {
    return this.#last;
  }
  #line(sequence, usage2, keys) {
    this.#write({
      t_ms: sequence.times.accepted - this.#startedAt,
      conversation: usage2.conversation,
      tenant: sequence.tenant,
      input_tokens: usage2.promptTokens,
      system_tokens: sequence.wishes.systemTokens,
      // Those that lie in the blocks: without the token that ended the answer.
      output_tokens: sequence.answerLength,
      block_hashes: keys.map((key) => this.#hash(key)),
      reused: sumTiers(usage2.reusedTokens),
      outside_view: usage2.outsideViewTokens,
      ...this.#news()
    });
  }
  #news() {
    const machine = this.#core.machine.record();
    if (machine === null || !hasChanged(this.#machine, machine)) return {};
    this.#machine = machine;
    return { machine };
  }
  #hash(key) {
    return createHmac3("sha256", this.#salt).update(key, "latin1").digest("hex").slice(0, 16);
  }
};

// ts/scheduler/costs/look-ahead.ts
var NEWEST3 = 0.1;
var LookAhead = class {
  #meanBlocks = 0;
  /** A request was queued that finds `blocks` blocks of its conversation. */
  queued(blocks) {
    if (blocks === 0) return;
    this.#meanBlocks = this.#meanBlocks === 0 ? blocks : this.#meanBlocks + NEWEST3 * (blocks - this.#meanBlocks);
  }
  /** How many of the queue's first requests come back to conversations that fit into `slots` together; at least 1. */
  length(slots) {
    return this.#meanBlocks === 0 ? Infinity : Math.max(1, Math.floor(slots / this.#meanBlocks));
  }
};

// ts/scheduler/costs/traffic.ts
var MEMORY_MS = 5e3;
var LEAST_ARRIVALS = 0.1;
var DOUBT_MS = 1e3;
var Traffic = class {
  #clock;
  #present;
  /** Arrivals that found others, and milliseconds in which a request was present; faded as of `#at`. */
  #count = 0;
  #busyMs = 0;
  #at = 0;
  /** `present`: how many requests wait, are prepared or run. */
  constructor(clock, present) {
    this.#clock = clock;
    this.#present = present;
  }
  /** A request arrives; it is not among those present yet. */
  arrives() {
    this.#advance();
    if (this.#isBusy) this.#count++;
  }
  /** A request has ended; it is not among those present any more. */
  ended() {
    this.#advance(true);
  }
  /** Arrivals a millisecond while a request is present; 0: none that matter. */
  get arrivalsPerMs() {
    this.#advance();
    return this.#count < LEAST_ARRIVALS ? 0 : this.#count / (this.#busyMs + DOUBT_MS);
  }
  /** The company of one of those present. */
  get besideOne() {
    return { others: this.#present() - 1, arrivalsPerMs: this.arrivalsPerMs };
  }
  get #isBusy() {
    return this.#present() > 0;
  }
  /** `wasBusy`: a request was present since the last time. */
  #advance(wasBusy = this.#isBusy) {
    const now = this.#clock.now();
    const kept = Math.exp((this.#at - now) / MEMORY_MS);
    this.#count *= kept;
    this.#busyMs = this.#busyMs * kept + (wasBusy ? MEMORY_MS * (1 - kept) : 0);
    this.#at = now;
  }
};

// ts/scheduler/accounts/prefetch-ledger.ts
var PrefetchLedger = class {
  #unused = /* @__PURE__ */ new Set();
  #hits = 0;
  #wasted = 0;
  /** The block was brought into dram ahead of need. */
  fetched(block) {
    if (this.#unused.has(block)) this.#wasted++;
    this.#unused.add(block);
  }
  /** A request takes the block into its table. */
  used(block) {
    if (this.#unused.delete(block)) this.#hits++;
  }
  /** Blocks that were used, and blocks that left memory before anybody used them. */
  counts() {
    for (const block of this.#unused) {
      if (block.has("dram") || block.has("hbm")) continue;
      this.#unused.delete(block);
      this.#wasted++;
    }
    return { hits: this.#hits, wasted: this.#wasted };
  }
};

// ts/scheduler/costs/load-or-recompute.ts
var NO_COMPANY = { others: 0, arrivalsPerMs: 0 };
var LEAST_GAIN = 0.05;
function costMs(ms, { others, arrivalsPerMs }) {
  return ms * (others + arrivalsPerMs * ms / 2);
}
function worthwhileFront(readMs, computeMs, { others, arrivalsPerMs }) {
  const gain = readMs - others * computeMs;
  if (gain <= 0) return 0;
  return arrivalsPerMs === 0 ? Infinity : gain / (arrivalsPerMs * computeMs ** 2);
}
function chooseHistory(question) {
  const { blocks, readMs, queueMs, computeMs, company } = question;
  const load = { choice: "load", front: 0, ms: queueMs + blocks * readMs };
  const meeting = Math.min(blocks, Math.max(0, (queueMs + blocks * readMs) / (computeMs + readMs)));
  const planAt = (front) => ({
    choice: front === 0 ? "load" : front === blocks ? "recompute" : "split",
    front,
    ms: Math.max(front * computeMs, front === blocks ? 0 : queueMs + (blocks - front) * readMs)
  });
  const fronts = [meeting, Math.ceil(meeting), blocks, Math.min(meeting, worthwhileFront(readMs, computeMs, company))];
  const worth = ({ front, ms }) => load.ms - ms - costMs(front * computeMs, company);
  const best = fronts.map((front) => planAt(Math.floor(front))).reduce((a, b) => worth(b) > worth(a) ? b : a);
  return worth(best) > 0 && load.ms - best.ms > LEAST_GAIN * load.ms ? best : load;
}
var PROBE_MS = 1e3;
function frontBlocks({ left, readMs, computeMs, busyMs, company }) {
  if (readMs === 0) return 0;
  if (computeMs === 0) return left * readMs >= PROBE_MS ? 1 : 0;
  const meeting = Math.max(0, Math.min(left, Math.floor((left * readMs - busyMs) / (computeMs + readMs))));
  const isNextSooner = meeting < left && busyMs + (meeting + 1) * computeMs < (left - meeting) * readMs;
  return Math.min(isNextSooner ? meeting + 1 : meeting, Math.floor(worthwhileFront(readMs, computeMs, company)));
}

// ts/scheduler/costs/chooser.ts
var HistoryChooser = class {
  #history;
  #costs;
  #traffic;
  #backlog;
  /** `history`: what an operator fixed, or `auto`. `backlog`: reads that are waited for, under way or not yet. */
  constructor(history, costs, traffic, backlog) {
    this.#history = history;
    this.#costs = costs;
    this.#traffic = traffic;
    this.#backlog = backlog;
  }
  /** For a waiting request of whose history `blocks` blocks lie on ssd alone. */
  choose(blocks) {
    if (this.#history !== "auto") return this.#history;
    const { readMs, blockMs: computeMs } = this.#costs;
    const company = this.#traffic.besideOne;
    if (readMs === 0 || computeMs === 0) return company.others === 0 ? "split" : "load";
    return chooseHistory({ blocks, readMs, queueMs: this.#backlog() * readMs, computeMs, company }).choice;
  }
};

// ts/scheduler/moves/acquire-plan.ts
function planAcquisition({ found, choice: choice3, tokens, window, isPinned }) {
  const match = choice3 === "recompute" ? withoutTail(found) : found;
  const steps = match.sources.map((source) => ({ source, way: wayOf2(source, choice3, isPinned) }));
  return { match, steps, slots: slotsNeeded(match, steps, tokens, window) };
}
function needsSlot(way) {
  return way !== "share" && way !== "take over";
}
function isOnDisk({ block }) {
  return block.copies.hbm.state === "absent" && !block.has("dram");
}
function wayOf2(source, choice3, isPinned) {
  const { block, rows: rows4 } = source;
  const inHbm = block.has("hbm");
  if (choice3 !== "load" && isOnDisk(source)) return "defer";
  if (rows4 === BLOCK_TOKENS) return inHbm || block.copies.hbm.state === "filling" ? "share" : "load";
  if (!inHbm) return "load own";
  const isSoleOwner = block.valid === rows4 && block.refs === 0 && block.wants === 0 && !isPinned(block.copies.hbm.slot);
  return isSoleOwner ? "take over" : "copy";
}
function withoutTail(match) {
  const last = match.sources.at(-1);
  if (!last || last.rows === BLOCK_TOKENS || !isOnDisk(last)) return match;
  return { length: last.index * BLOCK_TOKENS, sources: match.sources.slice(0, -1) };
}
function slotsNeeded({ length, sources }, steps, tokens, window) {
  const there = steps.filter(({ way }) => !needsSlot(way)).length;
  const toCome = Math.ceil((tokens + 1) / BLOCK_TOKENS) - Math.ceil(length / BLOCK_TOKENS);
  return Math.min(sources.length + toCome, window / BLOCK_TOKENS) - there;
}

// ts/directory/inquiry.ts
var Inquiry = class {
  #answers = /* @__PURE__ */ new Map();
  constructor(keys) {
    for (const key of keys) this.#answers.set(key, "unknown");
  }
  /** The keys that were asked about, each once. */
  get keys() {
    return [...this.#answers.keys()];
  }
  /** Those without an answer. */
  get unanswered() {
    return this.keys.filter((key) => this.of(key) === "unknown");
  }
  /** A key that was not asked about counts as absent. */
  of(key) {
    return this.#answers.get(key) ?? "absent";
  }
  /** The answers, in the order of `keys`; a key without one counts as absent. */
  answered(answers) {
    for (const [i, key] of this.keys.entries()) this.#answers.set(key, answers[i] === true ? "present" : "absent");
  }
};

// ts/scheduler/moves/keyed/fetcher.ts
var MOST_ANSWER_MS = 250;
var UNMEASURED_MS = 2e3;
var MOST_FETCHES = 16;
var Fetcher = class {
  #core;
  #desk;
  #room;
  #lower;
  #held = /* @__PURE__ */ new Map();
  /** Gets under way, and who waits for each. */
  #fetches = /* @__PURE__ */ new Map();
  /** `lower` sees to it that a block reaches every slot tier below it. */
  constructor(core, desk, room, lower) {
    this.#core = core;
    this.#desk = desk;
    this.#room = room;
    this.#lower = lower;
  }
  /** How many sequences are held: for each of them news will come. */
  get holding() {
    return this.#held.size;
  }
  /** The tier has not told yet which of the sequence's blocks it has, or some of them are being fetched. */
  isHeld(sequence) {
    return this.#held.has(sequence);
  }
  /** Holds a waiting sequence if there is something to ask for it. `again`: it is held no longer, and more may be there. */
  begin(sequence, seek, again) {
    const sought = seek(() => "unknown");
    if (sought.length === 0 || this.#held.has(sequence)) return;
    const inquiry = new Inquiry(sought.map(({ key }) => key));
    const held2 = { sequence, inquiry, toFetch: [], pending: /* @__PURE__ */ new Set(), wanted: [], again, isAnswered: false, cancelTimer: () => {
    } };
    this.#held.set(sequence, held2);
    this.#wait(held2, Math.min(MOST_ANSWER_MS, this.#computeMs(sought.length) ?? MOST_ANSWER_MS));
    this.#desk.ask(inquiry.keys, (answers) => this.#answered(held2, answers, seek));
  }
  /** No time is waited for any more. */
  close() {
    for (const { cancelTimer } of this.#held.values()) cancelTimer();
  }
  /** Milliseconds that computing this number of blocks takes; null: not known. */
  #computeMs(blocks) {
    const { blockMs } = this.#core.costs;
    return blockMs === 0 ? null : blocks * blockMs;
  }
  #wait(held2, ms) {
    const { clock, events: events4 } = this.#core;
    held2.cancelTimer();
    held2.cancelTimer = clock.after(ms, () => events4.emit("keyedNews", () => this.#late(held2)));
  }
  #answered(held2, answers, seek) {
    if (!this.#isWaiting(held2)) return;
    const { inquiry, toFetch } = held2;
    const counts = this.#core.counters.keyed;
    if (answers === null) counts.failed++;
    held2.isAnswered = true;
    inquiry.answered(answers ?? []);
    for (const key of inquiry.keys) counts[inquiry.of(key) === "present" ? "present" : "absent"]++;
    toFetch.push(...seek((key) => inquiry.of(key)));
    this.#wait(held2, this.#computeMs(toFetch.length) ?? UNMEASURED_MS);
    this.#fetch(held2);
  }
  /** False: it is held no longer; a sequence that was cancelled, or admitted because it waited too long, is let go. */
  #isWaiting(held2) {
    if (this.#held.get(held2.sequence) !== held2) return false;
    if (held2.sequence.state === "waiting") return true;
    this.#release(held2);
    return false;
  }
  #fetch(held2) {
    if (!this.#isWaiting(held2) || !held2.isAnswered) return;
    while (held2.toFetch.length > 0 && this.#fetches.size < MOST_FETCHES) {
      if (!this.#fetchOne(held2, held2.toFetch.shift())) held2.toFetch.length = 0;
    }
    if (held2.toFetch.length === 0 && held2.pending.size === 0) this.#release(held2);
  }
  /** False: dram has no room for it now, so neither for those behind it. */
  #fetchOne(held2, { key, parent, index: index2, tokens }) {
    const { directory } = this.#core;
    const known = directory.blocks.get(key);
    if (known) {
      this.#fetches.get(known)?.add(held2);
      if (this.#fetches.has(known)) this.#want(held2, known);
      return true;
    }
    const dram = this.#room.take("dram", { for: "later", mayTake: (other) => other.firstWanted > held2.sequence.ticket });
    if (!dram) return false;
    const block = directory.obtain(key, parent, index2, tokens);
    dram.become(block, "filling");
    this.#fetches.set(block, /* @__PURE__ */ new Set([held2]));
    this.#want(held2, block);
    this.#desk.get(key, dram.slot, (error) => this.#ended(block, error));
    return true;
  }
  /** A block that is fetched for a request is not given up before its turn. */
  #want(held2, block) {
    held2.pending.add(block);
    held2.wanted.push(block);
    block.want(held2.sequence.ticket);
  }
  #ended(block, error) {
    const users = this.#fetches.get(block) ?? [];
    this.#fetches.delete(block);
    if (!block.gone) {
      if (error === void 0) this.#arrived(block);
      else this.#failed(block, error);
    }
    for (const held2 of users) held2.pending.delete(block);
    for (const held2 of [...this.#held.values()]) this.#fetch(held2);
  }
  /** A block that the ssd does not have could never leave dram. */
  #arrived(block) {
    const { directory, counters } = this.#core;
    directory.complete(block, "dram");
    counters.keyed.fetched++;
    this.#lower(block);
  }
  /** Meanwhile the block may have been computed: then only this copy is given up. */
  #failed(block, error) {
    const { directory, counters } = this.#core;
    const isDamaged = error === "kv_damaged";
    if (isDamaged) this.#desk.delete([block.key]).catch(() => counters.keyed.failed++);
    const cause = isDamaged ? "damaged" : block.isBack ? "evicted" : void 0;
    directory.removeCopy(block, "dram", cause);
    if (!block.gone) this.#lower(block);
    else if (isDamaged) counters.dropped.damaged++;
  }
  /** The request goes on with the blocks that are there; those that come later are for others. */
  #late(held2) {
    if (!this.#isWaiting(held2)) return;
    const { unanswered } = held2.inquiry;
    this.#core.counters.keyed.late += unanswered.length;
    held2.sequence.serving.leaveUnanswered(unanswered);
    this.#release(held2);
  }
  #release(held2) {
    const { sequence, wanted } = held2;
    if (!this.#held.delete(sequence)) return;
    held2.cancelTimer();
    for (const block of held2.pending) this.#fetches.get(block)?.delete(held2);
    for (const block of wanted) block.unwant(sequence.ticket);
    if (sequence.state === "waiting") held2.again();
  }
};
function soughtOf(root, keys, tokens, indices) {
  return indices.map((index2) => ({
    key: keys[index2],
    parent: index2 === 0 ? root : keys[index2 - 1],
    index: index2,
    tokens: tokens.slice(index2 * BLOCK_TOKENS, (index2 + 1) * BLOCK_TOKENS)
  }));
}

// ts/scheduler/sequence/front.ts
var Front = class {
  /** `length`: tokens of the whole history. */
  constructor(length) {
    this.length = length;
    this.nextRead = Math.ceil(length / BLOCK_TOKENS);
    this.tail = length % BLOCK_TOKENS === 0 ? -1 : this.nextRead - 1;
  }
  length;
  /** View blocks that are neither computed nor there, and where their bytes lie; null: they must be computed. */
  missing = /* @__PURE__ */ new Map();
  /** Rows of the front that may be planned now. */
  rows = 0;
  /** Rows that are planned and not answered. */
  unanswered = 0;
  /** Reads asked for that have not ended, and the next block to ask for, from the back. */
  asked = 0;
  nextRead;
  /** Of the last block only some rows are of use, and it may be missing too. */
  tail;
  /** The history ends before its last, partly used block: a front that stands there computes on. */
  dropTail() {
    this.missing.delete(this.tail);
    this.length = this.tail * BLOCK_TOKENS;
  }
  /** Nothing is read: everything that is missing is computed. */
  giveUp() {
    for (const index2 of this.missing.keys()) this.missing.set(index2, null);
  }
  /** `rows` of the planned ones are computed. */
  answered(rows4) {
    this.unanswered -= rows4;
  }
  /** Rows [from, to) are planned: their blocks are the front's now. */
  claim(from, to) {
    this.rows -= to - from;
    this.unanswered += to - from;
    for (let index2 = Math.floor(from / BLOCK_TOKENS); index2 * BLOCK_TOKENS < to; index2++) this.missing.delete(index2);
  }
};

// ts/scheduler/sequence/start.ts
function mostRolled({ tokens, view }) {
  return view === null ? Infinity : tokens.length - epochOf(view, tokens.length - 1) * view.step;
}

// ts/scheduler/moves/acquire.ts
var Acquirer = class {
  #core;
  #room;
  #loader;
  #chooser;
  constructor(core, room, loader, chooser) {
    this.#core = core;
    this.#room = room;
    this.#loader = loader;
    this.#chooser = chooser;
  }
  /** Marks the blocks that a waiting sequence will want, and remembers in which tiers they are. */
  noteWants(sequence) {
    if (!this.#core.tiers.keeps) return;
    const { sources } = this.#match(sequence);
    sequence.want(sources.map((source) => source.block));
    if (sequence.serving.hasTiers || sequence.isAdded) return;
    const tiers2 = [];
    for (const { index: index2, block } of sources) tiers2[index2] = block.tier ?? void 0;
    sequence.serving.queued(tiers2);
  }
  /** Full blocks that a waiting sequence would want, that no slot holds, and of which it is not known that they are nowhere. */
  elsewhere(sequence, existenceOf) {
    const { root, spec, starts } = sequence;
    const view = viewOf(spec.view);
    return starts.flatMap(({ keys, tokens }) => {
      const { elsewhere = [] } = this.#core.directory.match(root, keys, tokens, view, (block) => this.#isOfView(block, spec.view), existenceOf);
      return soughtOf(root, keys, tokens, elsewhere.map(({ index: index2 }) => index2));
    });
  }
  /**
   * Fills the block table and starts the loads; false: there is not room enough now, and nothing has changed. `reserve`
   * slots are left for the growth of what runs already.
   */
  acquire(sequence, reserve) {
    const found = this.#match(sequence);
    sequence.unwant();
    const onDisk = found.sources.filter(isOnDisk).length;
    const choice3 = this.#choose(found, onDisk);
    const { hbm } = this.#core.directory.pools;
    const { tokens, spec } = sequence;
    const plan = planAcquisition({
      found,
      choice: choice3,
      tokens: tokens.length,
      window: spec.view?.window ?? Infinity,
      isPinned: (slot) => hbm.isPinned(slot)
    });
    const unprotect = this.#protect(plan.steps);
    const fits = this.#room.hasHbm(plan.slots + reserve);
    const slots = fits ? this.#takeSlots(plan.steps) : null;
    if (slots) this.#apply(sequence, plan, slots);
    if (slots && onDisk > 0) this.#core.counters.history[choice3]++;
    if (slots && choice3 === "recompute") sequence.progress.front?.giveUp();
    unprotect();
    if (!slots) this.noteWants(sequence);
    return slots !== null;
  }
  /** Once the engine knows the sequence, it stays with its start. */
  #match(sequence) {
    if (!this.#core.tiers.keeps) return { length: 0, sources: [] };
    const { directory } = this.#core;
    const { root, spec, starts } = sequence;
    const view = viewOf(spec.view);
    const isUsable2 = (block) => this.#isOfView(block, spec.view);
    if (sequence.isAdded || starts.length === 1) return directory.match(root, sequence.keys, sequence.tokens.view(), view, isUsable2);
    const most = mostRolled({ ...spec, tokens: sequence.history });
    for (const start of starts) {
      const match = directory.match(root, start.keys, start.tokens, view, isUsable2);
      if (start.tokens.length - match.length > most) continue;
      sequence.begin(start);
      return match;
    }
    throw new Error("the last start of a sequence computes more than its view holds");
  }
  /**
   * From the window on, rows depend on what was seen when they were computed; then the view is part of a block's key. A
   * block that continues such a one was computed under its view.
   */
  #isOfView({ key, parent, index: index2, tokens }, view) {
    if (index2 * BLOCK_TOKENS < MIN_WINDOW || keyedView(view, index2 - 1) !== null) return true;
    return this.#core.engine.text.blockKey(parent, index2, tokens, view) === key;
  }
  /** A history of which the view leaves something out is not computed from there. */
  #choose({ length, sources }, onDisk) {
    const isWhole = sources.length === Math.ceil(length / BLOCK_TOKENS);
    return onDisk === 0 || !isWhole ? "load" : this.#chooser.choose(onDisk);
  }
  /** While room is made, none of the sources may be chosen as a victim. Returns what ends the protection. */
  #protect(steps) {
    const { pools } = this.#core.directory;
    const pinned = [];
    for (const { source } of steps) {
      for (const tier of SLOT_TIERS) if (source.block.has(tier)) pinned.push([pools[tier], source.block.copies[tier].slot]);
    }
    for (const [pool, slot] of pinned) pool.pin(slot);
    return () => {
      for (const [pool, slot] of pinned) pool.unpin(slot);
    };
  }
  /** An hbm slot for each step that needs one; null, and nothing taken, if there are not enough. */
  #takeSlots(steps) {
    const slots = [];
    for (const { way } of steps) {
      const slot = needsSlot(way) ? this.#room.take("hbm") : null;
      if (!slot && needsSlot(way)) {
        for (const taken of slots) taken?.dispose();
        return null;
      }
      slots.push(slot);
    }
    return slots;
  }
  #apply(sequence, { match, steps }, slots) {
    const { directory, clock, journal, events: events4 } = this.#core;
    sequence.loading.begin(clock.now());
    sequence.table.fillFrom(match.sources.map(({ block }) => block));
    sequence.serving.acquired(() => splitOf(directory, sequence, match));
    const turnUse = sequence.beginTurn(() => this.#beginTurn(sequence, match.length));
    const firstDeferred = steps.find(({ way }) => way === "defer");
    const there = firstDeferred ? firstDeferred.source.index * BLOCK_TOKENS : match.length;
    sequence.progress.acquired(there, sequence.tokens.length, firstDeferred ? new Front(match.length) : null);
    steps.forEach(({ source, way }, i) => {
      directory.use(source.block, turnUse);
      events4.emit("blockTaken", source.block);
      journal.taken(sequence.trail, source.block);
      this.#enter(sequence, source, way, slots[i] ?? null);
    });
    this.#leaveBehind(sequence, match.length);
  }
  /** Tokens without a block and without the ghost of one are new. */
  #beginTurn({ keys, promptLength, wishes: { retention } }, length) {
    const { blocks, ghosts, policy, now, fullCapacity: capacity } = this.#core.directory;
    let known = 0;
    while (known < keys.length && (blocks.has(keys[known]) || ghosts.get(keys[known]))) known++;
    const newTokens = promptLength - Math.max(length, known * BLOCK_TOKENS);
    return policy.begin({ atMs: now(), newTokens, retention, capacity });
  }
  /** Blocks that the first computed token does not see are seen by no token after it. */
  #leaveBehind({ spec, keys }, length) {
    const { from, to } = hiddenBlocks(spec.view, length);
    for (const key of keys.slice(from, to)) {
      const block = this.#core.directory.blocks.get(key);
      if (block) this.#core.directory.leaveBehind(block);
    }
  }
  /** `own`: the slot of a step that needs one. */
  #enter(sequence, { index: index2, block, rows: rows4 }, way, own2) {
    const { directory } = this.#core;
    if (way === "share") {
      sequence.table.share(index2, block);
      directory.ref(block);
      if (!block.has("hbm")) this.#loader.joinShared(sequence.loading, block);
      return;
    }
    const slot = own2 ?? directory.takeOver(block);
    if (way === "load") {
      slot.become(block, "filling");
      sequence.table.share(index2, block);
      directory.ref(block);
      return this.#loader.loadShared(sequence.loading, block);
    }
    sequence.table.own(index2, slot);
    if (way === "take over") sequence.progress.tookOver();
    else if (way === "copy") this.#copy(sequence, index2, block, rows4);
    else if (way === "load own") this.#loader.loadOwn(sequence.loading, block, slot.slot);
    else sequence.progress.front?.missing.set(index2, block);
  }
  /** Runs before the next step, so no step waits for it; both slots stay as they are until it is done. */
  #copy(sequence, index2, source, valid) {
    const { directory, desk, counters } = this.#core;
    const { hbm } = directory.pools;
    const fromHbmSlot = source.copies.hbm.slot;
    const toHbmSlot = sequence.table.at(index2)?.slot;
    hbm.pin(fromHbmSlot);
    hbm.pin(toHbmSlot);
    desk.send({ kind: "copy", fromHbmSlot, toHbmSlot, valid }, ({ error }) => {
      hbm.unpin(fromHbmSlot);
      hbm.unpin(toHbmSlot);
      if (error === void 0) return;
      if (!source.gone) counters.dropped.damaged++;
      directory.orphan(source);
      if (sequence.table.at(index2)?.slot === toHbmSlot) sequence.loading.failed();
    });
  }
};

// ts/scheduler/moves/front-runner.ts
var READ_AHEAD_MS = 20;
var MOST_READS = 8;
var PATIENCE_MS = 250;
var FrontRunner = class {
  #core;
  #reads;
  #loader;
  #traffic;
  #cancelTimer = null;
  constructor(core, reads, loader, traffic) {
    this.#core = core;
    this.#reads = reads;
    this.#loader = loader;
    this.#traffic = traffic;
  }
  close() {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
  /** Asks for reads from the back, moves the front over what is there, and says how far it may compute. */
  advance(sequence) {
    const { front } = sequence.progress;
    if (!front) return;
    this.#ask(sequence, front);
    this.#skip(sequence, front);
    front.rows = sequence.loading.pendingReads > 0 ? 0 : this.#rowsOf(sequence, front);
    if (front.missing.size === 0 && sequence.progress.planned >= front.length) return sequence.meet();
    if (front.rows === 0 && front.unanswered === 0) this.#lookAgain();
  }
  /** A disk that has stopped reports nothing. */
  #lookAgain() {
    const { clock, costs } = this.#core;
    this.#cancelTimer ??= clock.after(costs.blockMs || PATIENCE_MS, () => {
      this.#cancelTimer = null;
      this.#core.events.emit("frontWaited");
    });
  }
  #skip({ progress }, front) {
    if (progress.planned % BLOCK_TOKENS > 0) return;
    let index2 = progress.planned / BLOCK_TOKENS;
    while (index2 * BLOCK_TOKENS < front.length && !front.missing.has(index2)) index2++;
    progress.skipTo(Math.min(index2 * BLOCK_TOKENS, front.length));
  }
  #rowsOf({ progress: { planned } }, front) {
    const begun = planned % BLOCK_TOKENS;
    if (begun > 0) return BLOCK_TOKENS - begun;
    const { costs, options } = this.#core;
    const question = {
      left: front.missing.size,
      readMs: costs.readMs,
      computeMs: costs.blockMs,
      busyMs: costs.prefillMs(front.unanswered),
      // A way that an operator fixed is not weighed.
      company: options.history === "auto" ? this.#traffic.besideOne : NO_COMPANY
    };
    const first = planned / BLOCK_TOKENS;
    const wished = frontBlocks(question);
    let count9 = 0;
    while (front.missing.has(first + count9) && (count9 < wished || front.missing.get(first + count9) === null)) count9++;
    if (first === front.tail && count9 > 0) front.dropTail();
    const most = front.tail < 0 ? count9 : Math.max(0, front.tail - first);
    return Math.min(count9, most) * BLOCK_TOKENS;
  }
  #ask(sequence, front) {
    const depth = Math.max(2, Math.min(MOST_READS, Math.ceil(READ_AHEAD_MS / this.#core.costs.readMs)));
    while (front.asked < depth && front.nextRead * BLOCK_TOKENS > sequence.progress.planned) {
      const index2 = --front.nextRead;
      const block = front.missing.get(index2);
      if (block) this.#fetch(sequence, front, index2, block);
    }
  }
  #fetch(sequence, front, index2, block) {
    if (block.has("dram") || index2 !== front.tail && block.copies.hbm.state !== "absent") return this.#take(sequence, front, index2, block);
    if (!block.has("ssd")) return void front.missing.set(index2, null);
    const isWanted = () => sequence.progress.front === front && front.missing.get(index2) === block;
    front.asked++;
    this.#reads.want(block, {
      isWanted,
      promoted: () => {
        front.asked--;
        if (isWanted()) this.#take(sequence, front, index2, block);
      },
      lost: () => {
        front.asked--;
        if (isWanted()) front.missing.set(index2, null);
      }
    });
  }
  /** The block is in memory: it becomes part of the table, and what has to be loaded is. */
  #take(sequence, front, index2, block) {
    const own2 = sequence.table.at(index2)?.own;
    if (!own2) throw new Error("a block of the front without a slot");
    front.missing.delete(index2);
    if (index2 === front.tail) return this.#loader.loadOwn(sequence.loading, block, own2.slot);
    const { hbm } = block.copies;
    if (hbm.state === "absent") {
      own2.become(block, "filling");
      this.#loader.loadShared(sequence.loading, block);
    } else {
      own2.dispose();
      if (hbm.state === "filling") this.#loader.joinShared(sequence.loading, block);
    }
    sequence.table.share(index2, block);
    this.#core.directory.ref(block);
  }
};

// ts/scheduler/moves/keyed/putter.ts
var MOST_PUTS = 8;
var MOST_WAITING = 4096;
var Putter = class {
  #core;
  #desk;
  #waiting = /* @__PURE__ */ new Set();
  #inFlight = 0;
  constructor(core, desk) {
    this.#core = core;
    this.#desk = desk;
    core.events.on("saved", (block) => this.#want(block));
  }
  get isIdle() {
    return this.#inFlight === 0 && this.#waiting.size === 0;
  }
  /** Starts what may start. */
  pump() {
    for (const block of this.#waiting) {
      if (this.#inFlight >= MOST_PUTS) return;
      this.#waiting.delete(block);
      if (!block.gone && block.has("dram")) this.#put(block);
      else this.#core.counters.keyed.skipped++;
    }
  }
  #want(block) {
    if (block.valid < BLOCK_TOKENS) return;
    if (this.#waiting.size < MOST_WAITING) this.#waiting.add(block);
    else this.#core.counters.keyed.skipped++;
  }
  #put(block) {
    this.#inFlight++;
    this.#desk.put(block.key, block.copies.dram.slot, (error) => {
      this.#inFlight--;
      if (error === void 0) this.#core.counters.keyed.put++;
    });
  }
};

// ts/scheduler/moves/loader.ts
var Loader = class {
  #core;
  #reads;
  /** Loads that fill a block's own hbm copy, so that a second sequence waits for the same one. */
  #shared = /* @__PURE__ */ new Map();
  #inFlight = 0;
  constructor(core, reads) {
    this.#core = core;
    this.#reads = reads;
  }
  get isIdle() {
    return this.#inFlight === 0 && this.#shared.size === 0;
  }
  /** Fills the hbm copy of a block, which the caller has just given a slot (`filling`), for a sequence. */
  loadShared(waiting, block) {
    const load = this.#begin(waiting, block, block.copies.hbm.slot, true);
    this.#shared.set(block, load);
    this.#advance(load);
  }
  /** Fills the hbm copy of a block that lies in dram, in a reserved slot, before anybody's turn. */
  loadAhead(block, hbm) {
    hbm.become(block, "filling");
    const load = { source: block, slot: hbm.slot, isShared: true, users: /* @__PURE__ */ new Set(), stage: "loading" };
    this.#shared.set(block, load);
    this.#send(load);
  }
  /** The sequence needs a block that is being loaded for another one. */
  joinShared(waiting, block) {
    const load = this.#shared.get(block);
    if (!load) throw new Error("a filling hbm copy without a load");
    this.#join(waiting, load);
  }
  /** Fills a slot of the sequence's own with the rows of `source`. */
  loadOwn(waiting, source, slot) {
    this.#advance(this.#begin(waiting, source, slot, false));
  }
  #begin(waiting, source, slot, isShared) {
    const stage = source.has("dram") ? "loading" : "reading";
    const load = { source, slot, isShared, users: /* @__PURE__ */ new Set(), stage };
    this.#join(waiting, load);
    return load;
  }
  #join(waiting, load) {
    waiting.join(load, this.#core.engine.info.blockBytes);
  }
  #advance(load) {
    if (load.stage === "loading") return this.#send(load);
    this.#reads.want(load.source, { promoted: () => this.#promoted(load), lost: () => this.#failed(load) });
  }
  #promoted(load) {
    if (!load.isShared && load.users.size === 0) return;
    load.stage = "loading";
    for (const user2 of load.users) user2.promoted();
    this.#send(load);
  }
  #send(load) {
    const { directory, desk } = this.#core;
    const dramSlot = load.source.copies.dram.slot;
    directory.pools.dram.pin(dramSlot);
    directory.pools.hbm.pin(load.slot);
    this.#inFlight++;
    desk.send({ kind: "load", dramSlot, hbmSlot: load.slot }, (done2) => {
      this.#inFlight--;
      directory.pools.dram.unpin(dramSlot);
      directory.pools.hbm.unpin(load.slot);
      this.#ended(load, done2);
    });
  }
  #ended(load, done2) {
    const { directory, counters, journal, costs } = this.#core;
    if (done2.error !== void 0 || load.isShared && load.source.gone) {
      if (!load.source.gone) counters.dropped.damaged++;
      return this.#failed(load);
    }
    costs.loadTook(done2.bytes, done2.ms);
    journal.arrived("load", load.source, done2.ms);
    counters.loadedBlocks++;
    if (load.isShared) {
      directory.complete(load.source, "hbm");
      this.#shared.delete(load.source);
    }
    this.#release(load);
    this.#core.events.emit("dramLetGo", load.source);
  }
  #failed(load) {
    if (load.isShared) this.#shared.delete(load.source);
    this.#core.directory.orphan(load.source);
    for (const user2 of load.users) user2.failed();
    this.#release(load);
  }
  #release(load) {
    for (const user2 of load.users) user2.ended(load);
    load.users.clear();
  }
};

// ts/scheduler/costs/hidden-loads.ts
function mayJoin(question) {
  const { remainingMs, totalMs, stepMs: stepMs2, layers, preloadLayers } = question;
  if (remainingMs <= 0) return true;
  if (preloadLayers !== null) return remainingMs <= totalMs * (1 - Math.min(preloadLayers, layers) / layers);
  return remainingMs <= 0.9 * stepMs2 * (layers - 1) / layers;
}
function readBufferBytes({ loadMs, prefillMs, bytes }) {
  if (!Number.isFinite(loadMs) || loadMs <= prefillMs) return 0;
  return bytes * (loadMs - prefillMs) / loadMs;
}

// ts/scheduler/moves/prefetcher.ts
var NEAR = 2;
var FEW_BLOCKS = 4;
var Prefetcher = class {
  #core;
  #room;
  #reads;
  #loader;
  #lookAhead;
  #writer;
  #chooser;
  #ledger;
  #isOn;
  /** Versions of the tiers at which they had no slot for what is fetched. */
  #refusedAt = { hbm: -1, dram: -1 };
  constructor(core, parts) {
    this.#core = core;
    this.#room = parts.room;
    this.#reads = parts.reads;
    this.#loader = parts.loader;
    this.#lookAhead = parts.lookAhead;
    this.#writer = parts.writer;
    this.#chooser = parts.chooser;
    this.#ledger = parts.ledger;
    core.events.on("blockTaken", (block) => parts.ledger.used(block));
    this.#isOn = core.options.prefetch && core.tiers.dram && core.options.history !== "recompute";
  }
  /**
   * Nothing that a waiting request wants lies on ssd alone, or nothing can be done about it before its turn, or computing
   * it is better than waiting for the disk.
   */
  isReady(sequence) {
    const { wants } = sequence;
    if (!this.#isOn || wants.isStuck) return true;
    wants.next();
    const { missing } = wants;
    return missing === 0 || this.#chooser.choose(missing) !== "load";
  }
  /** Starts what may start, for the requests within the look-ahead window, in the queue's order, beside it who lacks few. */
  pump(queue) {
    if (!this.#isOn) return;
    const { length } = this;
    let place = 0;
    for (const sequence of queue) {
      if (place >= length) return;
      if (place < NEAR) this.#buffer(sequence);
      if (this.#reads.hasRoomAhead(lacksFew(sequence.wants))) this.#promote(sequence);
      place++;
    }
  }
  /** Requests that are fetched for: as many as have conversations that fit what of dram does not wait for the disk. */
  get length() {
    return this.#lookAhead.length(this.#core.directory.pools.dram.total - this.#writer.backlog);
  }
  #promote({ wants, ticket }) {
    for (let block = wants.next(); block; block = wants.next()) {
      const waiter = { promoted: () => wants.readEnded(), lost: () => wants.readEnded() };
      if (!this.#reads.join(block, waiter) && !this.#start(wants, ticket, block, waiter)) return;
      wants.readBegan();
    }
  }
  #start(wants, ticket, block, waiter) {
    const isFew = lacksFew(wants);
    if (!this.#reads.hasRoomAhead(isFew)) return false;
    const dram = this.#take("dram", (other) => other.firstWanted > ticket);
    wants.foundRoom(dram !== null);
    if (!dram) return false;
    this.#reads.startAhead(block, dram, { promoted: () => this.#fetched(block), lost: () => {
    } }, isFew);
    return this.#reads.join(block, waiter);
  }
  #fetched(block) {
    this.#core.counters.prefetchedBlocks++;
    this.#ledger.fetched(block);
  }
  /** dram → hbm for as much of the history as computing the new tokens would not hide. */
  #buffer(sequence) {
    const { engine, costs } = this.#core;
    const { blockBytes } = engine.info;
    const history = sequence.wants.blocks.filter((block) => !block.gone && block.valid === BLOCK_TOKENS);
    const newTokens = sequence.tokens.length - history.length * BLOCK_TOKENS;
    const bytes = readBufferBytes({
      loadMs: costs.loadMs(history.length * blockBytes),
      prefillMs: costs.prefillMs(newTokens),
      bytes: history.length * blockBytes
    });
    for (const block of history.slice(0, Math.ceil(bytes / blockBytes))) {
      if (block.copies.hbm.state !== "absent" || !block.has("dram")) continue;
      const hbm = this.#take("hbm", (other) => other.wants === 0);
      if (!hbm) return;
      this.#core.counters.bufferedBlocks++;
      this.#loader.loadAhead(block, hbm);
    }
  }
  /** Walking a tier in vain again before it changes would be in vain too. */
  #take(tier, mayTake) {
    const pool = this.#core.directory.pools[tier];
    if (pool.free === 0 && this.#refusedAt[tier] === pool.version) return null;
    const taken = this.#room.take(tier, { for: "later", mayTake });
    if (!taken) this.#refusedAt[tier] = pool.version;
    return taken;
  }
};
function lacksFew({ missing }) {
  return missing <= FEW_BLOCKS;
}

// ts/scheduler/moves/publisher.ts
var Publisher = class {
  #core;
  #room;
  constructor(core, room) {
    this.#core = core;
    this.#room = room;
  }
  /**
   * The prompt's rows behind its last full block, which are all computed, become a block of the directory. `published`
   * runs when others find it, if it was not there before.
   */
  publishTail(sequence, published) {
    const { promptLength, spec } = sequence;
    const index2 = Math.floor(promptLength / BLOCK_TOKENS);
    const entry = sequence.table.at(index2);
    if (!entry?.own) return "there";
    const { directory, engine } = this.#core;
    const tokens = sequence.tokens.copy(index2 * BLOCK_TOKENS, promptLength);
    const parent = sequence.parentKey(index2);
    const key = engine.text.blockKey(parent, index2, tokens, spec.view);
    const known = directory.blocks.get(key);
    if (known) return known.tier === null ? "coming" : "there";
    const slot = this.#room.take("hbm", { for: "later" });
    if (!slot) return "refused";
    const block = directory.obtain(key, parent, index2, tokens, spec.view);
    slot.become(block, "filling");
    block.releasable = true;
    if (sequence.turnUse) directory.use(block, sequence.turnUse);
    this.#copy(sequence, entry.slot, block, published);
    return "coming";
  }
  /** Runs before the next step on the engine's compute stream: no row that is written later is in it. */
  #copy(sequence, fromHbmSlot, block, published) {
    const { directory, desk, journal } = this.#core;
    const { hbm } = directory.pools;
    const toHbmSlot = block.copies.hbm.slot;
    hbm.pin(fromHbmSlot);
    hbm.pin(toHbmSlot);
    desk.send({ kind: "copy", fromHbmSlot, toHbmSlot, valid: block.valid }, ({ error }) => {
      hbm.unpin(fromHbmSlot);
      hbm.unpin(toHbmSlot);
      if (block.gone) return;
      if (error !== void 0) return directory.orphan(block);
      directory.complete(block, "hbm");
      journal.filled(sequence.trail, block);
      published();
    });
  }
};

// ts/scheduler/moves/reads.ts
var BUSY_MS = 40;
var LEAST_READS = 4;
var MOST_READS2 = 16;
var MOST_READS_AHEAD = 8;
var MOST_FEW_READS = 2;
var Reads = class {
  #core;
  #room;
  #reads = /* @__PURE__ */ new Map();
  #queue = [];
  #inFlight = 0;
  #fewInFlight = 0;
  constructor(core, room) {
    this.#core = core;
    this.#room = room;
  }
  get isIdle() {
    return this.#reads.size === 0;
  }
  /** Reads that admitted requests wait for, under way or not yet. */
  get backlog() {
    return this.#queue.length + this.#inFlight;
  }
  /** A read ahead of need may start; `isFew`: for a request that lacks only few blocks. */
  hasRoomAhead(isFew = false) {
    if (isFew && this.#fewInFlight < MOST_FEW_READS) return true;
    return this.#queue.length === 0 && this.#inFlight < Math.min(MOST_READS_AHEAD, this.#mostReads);
  }
  /** A disk of unknown speed gets few. */
  get #mostReads() {
    const ms = this.#core.costs.readMs;
    return ms === 0 ? LEAST_READS : Math.min(MOST_READS2, Math.max(LEAST_READS, Math.ceil(BUSY_MS / ms)));
  }
  /** Brings a block that lies on ssd only into dram. The ssd slot cannot be rewritten from now on. */
  want(block, waiter) {
    if (this.join(block, waiter)) return;
    this.#queue.push(this.#open(block, waiter, false));
  }
  /** Waits for a read that was asked for already; false: there is none. */
  join(block, waiter) {
    const known = this.#reads.get(block);
    known?.waiters.push(waiter);
    return known !== void 0;
  }
  /** Reads a block that lies on ssd only into the reserved dram slot, ahead of need. */
  startAhead(block, dram, waiter, isFew = false) {
    this.#start(this.#open(block, waiter, isFew), dram);
  }
  /** Starts what may start. */
  pump() {
    const most = this.#mostReads;
    while (this.#inFlight < most && this.#queue.length > 0) {
      if (this.#dropUnwanted()) continue;
      const dram = this.#room.take("dram");
      if (!dram) return;
      this.#start(this.#queue.shift(), dram);
    }
  }
  /** The first in the queue is dropped if no waiter wants it any more. */
  #dropUnwanted() {
    const read = this.#queue[0];
    if (read.waiters.some((waiter) => waiter.isWanted?.() ?? true)) return false;
    this.#queue.shift();
    this.#settle(read, false);
    return true;
  }
  #open(block, waiter, isFew) {
    const read = { block, ssdSlot: block.copies.ssd.slot, waiters: [waiter], isFew };
    this.#core.directory.pools.ssd.pin(read.ssdSlot);
    this.#reads.set(block, read);
    return read;
  }
  #start(read, dram) {
    const { directory, desk, costs } = this.#core;
    const { block, ssdSlot } = read;
    if (block.gone || block.copies.dram.state !== "absent") {
      dram.dispose();
      this.#settle(read, !block.gone && block.has("dram"));
      return;
    }
    const { slot } = dram;
    dram.become(block, "filling");
    directory.pools.dram.pin(slot);
    this.#inFlight++;
    if (read.isFew) this.#fewInFlight++;
    costs.readBegan();
    const { key, valid } = block;
    desk.send({ kind: "read", ssdSlot, dramSlot: slot, key, valid }, (done2) => this.#ended(read, slot, done2));
  }
  #ended(read, slot, done2) {
    const { directory, counters, journal, costs } = this.#core;
    this.#inFlight--;
    if (read.isFew) this.#fewInFlight--;
    costs.readEnded();
    directory.pools.dram.unpin(slot);
    const { block } = read;
    if (block.gone) return this.#settle(read, false);
    if (done2.error === void 0) {
      directory.complete(block, "dram");
      journal.arrived("read", block, done2.ms);
      counters.promotedBlocks++;
    } else {
      directory.orphan(block);
      counters.dropped.damaged++;
    }
    this.#settle(read, done2.error === void 0);
  }
  #settle(read, isPromoted) {
    const { block, ssdSlot, waiters } = read;
    this.#reads.delete(block);
    if (isPromoted) this.#tell(block, waiters);
    else for (const waiter of waiters) waiter.lost();
    this.#core.directory.pools.ssd.unpin(ssdSlot);
  }
  /** The bytes stay in dram until the last waiter was told: the first may have no use for them, and the next one may. */
  #tell(block, waiters) {
    const { dram } = this.#core.directory.pools;
    const { slot } = block.copies.dram;
    dram.pin(slot);
    for (const waiter of waiters) waiter.promoted();
    dram.unpin(slot);
    this.#core.events.emit("dramLetGo", block);
  }
};

// ts/directory/evictor.ts
var Evictor = class {
  #directory;
  #tier;
  constructor(directory, tier) {
    this.#directory = directory;
    this.#tier = tier;
  }
  /**
   * The block to give up of those that may go, or null: before everything else what no conversation sees any more,
   * whatever the policy. A leaf that has to stay must not hold up the whole chain before it: if no leaf may go, any other
   * block that may does.
   */
  next(mayGo) {
    const left = this.#leftBehind(mayGo);
    if (left) return left;
    const leaf = this.#directory.orders[this.#tier].first(mayGo);
    return leaf ?? this.#directory.policy.victims(this.#others(mayGo), 1)[0] ?? null;
  }
  #leftBehind(mayGo) {
    const left = this.#directory.leftBehind[this.#tier];
    for (const block of left) {
      if (block.reachable) left.delete(block);
      else if (mayGo(block)) return block;
    }
    return null;
  }
  *#others(mayGo) {
    for (const block of this.#directory.inTier[this.#tier]) if (mayGo(block)) yield block;
  }
};

// ts/scheduler/moves/room.ts
var NOW = { for: "now" };
function always(rule) {
  return { now: [rule], later: [rule] };
}
var Room = class {
  #core;
  #evictors;
  #rules;
  /** A dram slot was asked for in vain since the last flush of the ssd tier. */
  #isDramShort = false;
  /** Arrival number of the last request inside the eviction window: what it or an older one wants is not lost. */
  #windowEnd = Infinity;
  /** Decisions under way for which what the window wants may be lost. */
  #lastResorts = 0;
  constructor(core) {
    this.#core = core;
    const { directory } = core;
    this.#evictors = perSlotTier((tier) => new Evictor(directory, tier));
    const safe2 = (block) => this.#isIdle(block, "hbm") && this.#isSafeToDrop(block);
    const unsaved = (block) => this.#isIdle(block, "hbm") && this.#mayGoUnsaved(block);
    const saved = (block) => this.#isIdle(block, "hbm") && isSaved(block);
    const own2 = {
      hbm: { now: [safe2, unsaved], later: [saved] },
      dram: always((block) => this.#mayLeaveDram(block))
    };
    this.#rules = perSlotTier((tier) => own2[tier] ?? always((block) => this.#isIdle(block, tier) && !this.#isProtected(block, tier)));
    core.events.on("dramRefused", () => this.#isDramShort = true);
    core.events.on("flushing", () => this.#isDramShort = false);
  }
  get isDramShort() {
    return this.#isDramShort;
  }
  /** From now on nothing is lost that request `ticket` or an older one wants. */
  protectUpTo(ticket) {
    this.#windowEnd = ticket;
  }
  /** Nothing else can go on: while `decide` runs, what the window wants may be lost after all. */
  asLastResort(decide) {
    this.#lastResorts++;
    try {
      decide();
    } finally {
      this.#lastResorts--;
    }
  }
  /** A slot of the tier, by eviction if need be; null: nothing may go for it now. */
  take(tier, claim = NOW) {
    const free = this.#core.directory.reserve(tier);
    if (free) return free;
    const { mayTake } = claim;
    for (const rule of this.#rules[tier][claim.for]) {
      const victim = this.#evictors[tier].next(mayTake ? (block) => mayTake(block) && rule(block) : rule);
      if (!victim) continue;
      this.#evict(victim, tier);
      const slot = this.#core.directory.reserve(tier);
      if (slot) return slot;
    }
    if (tier === "dram" && claim.for === "now") this.#core.events.emit("dramRefused");
    return null;
  }
  /** Whether `count` slots of hbm could be had now. */
  hasHbm(count9) {
    let lacking = count9 - this.#core.directory.pools.hbm.free;
    if (lacking <= 0) return true;
    for (const block of this.#core.directory.inTier.hbm) {
      const mayGo = this.#isIdle(block, "hbm") && (this.#isSafeToDrop(block) || this.#mayGoUnsaved(block));
      if (mayGo && --lacking === 0) return true;
    }
    return false;
  }
  /** A slot of hbm becomes available as soon as something in flight has ended. */
  get isHbmOnItsWay() {
    const { pools, inTier } = this.#core.directory;
    if (pools.hbm.cooling > 0) return true;
    for (const block of inTier.hbm) {
      if (block.refs > 0) continue;
      const isBusy = !pools.hbm.isIdle(block.copies.hbm.slot);
      if (isBusy || !this.#isDramShort && !this.#isSafeToDrop(block)) return true;
    }
    return false;
  }
  #evict(block, tier) {
    const { directory, counters, tiers: tiers2 } = this.#core;
    const isUnsaved = tier === "hbm" && tiers2.saves && !isSaved(block) && !block.releasable;
    const cause = isUnsaved ? "write_queue_full" : "evicted";
    directory.removeCopy(block, tier, cause);
    if (block.gone) counters.dropped[cause]++;
    else if (tier === "ssd" || !tiers2.ssd) block.releasable = true;
  }
  #isIdle(block, tier) {
    if (!block.has(tier) || tier === "hbm" && block.refs > 0) return false;
    return this.#core.directory.pools[tier].isIdle(block.copies[tier].slot);
  }
  /** Its bytes are below, or nothing below would take them. */
  #isSafeToDrop(block) {
    if (!this.#core.tiers.saves || isSaved(block)) return true;
    return block.releasable && !this.#isProtected(block, "hbm");
  }
  /** Compute never waits for the ssd: a block that no request wants is dropped, but only while dram cannot take it. */
  #mayGoUnsaved(block) {
    return this.#isDramShort && (block.wants === 0 || this.#lastResorts > 0);
  }
  /** Nothing leaves dram before its copy on ssd is durable. */
  #mayLeaveDram(block) {
    if (!this.#isIdle(block, "dram") || this.#isProtected(block, "dram")) return false;
    return !this.#core.tiers.ssd || block.durable || block.releasable;
  }
  /** A request inside the eviction window wants the block, and no other tier has it. */
  #isProtected(block, tier) {
    if (block.wants === 0 || block.firstWanted > this.#windowEnd || this.#lastResorts > 0) return false;
    return SLOT_TIERS.every((other) => other === tier || !block.has(other));
  }
};

// ts/scheduler/moves/retries.ts
var MOST_FAILURES = 3;
var Retries = class {
  #core;
  #kind;
  #message;
  #failures = /* @__PURE__ */ new WeakMap();
  /** `message`: said of a block that is given up. */
  constructor(core, kind, message2) {
    this.#core = core;
    this.#kind = kind;
    this.#message = message2;
  }
  /** A transfer of the block has failed. False: it is not tried again, and the block may go without a copy below. */
  failed(block, code, detail, where = {}) {
    const failures = (this.#failures.get(block) ?? 0) + 1;
    this.#failures.set(block, failures);
    if (failures < MOST_FAILURES) return true;
    block.releasable = true;
    if (failures > MOST_FAILURES) return false;
    this.#core.counters.abandoned[this.#kind]++;
    const context = { failures, block: block.index, tokens: block.valid, ...where, ...detail === void 0 ? {} : { detail } };
    this.#core.options.onFault({ message: this.#message, code, context });
    return false;
  }
};

// ts/scheduler/moves/saver.ts
var MOST_SAVES = 16;
var Saver = class {
  #core;
  #room;
  #writer;
  #unsaved = /* @__PURE__ */ new Set();
  #saving = /* @__PURE__ */ new Set();
  #retries;
  #inFlight = 0;
  constructor(core, room, writer) {
    this.#core = core;
    this.#room = room;
    this.#writer = writer;
    this.#retries = new Retries(core, "save", "a block is no longer saved to dram");
  }
  /** Saves under way, in plans and beside them. */
  get inFlight() {
    return this.#inFlight;
  }
  get isIdle() {
    return this.#inFlight === 0 && this.#unsaved.size === 0;
  }
  /** A save of view block `index`, which this plan fills; null: dram has no room now, the block is saved later. */
  plan(sequence, index2, hbmSlot) {
    const dram = this.#takeDram();
    if (!dram) return null;
    const dramSlot = dram.slot;
    const record2 = { sequence, index: index2, dram, block: null, isAnswered: false, done: null };
    const id3 = this.#core.desk.expect((done2) => {
      this.#unpin(hbmSlot, dramSlot);
      record2.done = done2;
      this.#settle(record2);
    });
    this.#pin(hbmSlot, dramSlot);
    return { save: { id: id3, sequence, index: index2, dramSlot, valid: BLOCK_TOKENS }, record: record2 };
  }
  /** The step of a planned save is answered; `block` is what it filled, null if it filled nothing. */
  answered(record2, block) {
    record2.block = block;
    record2.isAnswered = true;
    if (block) this.#saving.add(block);
    this.#settle(record2);
  }
  /** Sees to it that a block in hbm is saved, unless it is or cannot be. */
  want(block) {
    if (!this.#core.tiers.saves || block.gone || block.releasable || this.#saving.has(block)) return;
    if (block.has("hbm") && !isSaved(block)) this.#unsaved.add(block);
  }
  pump() {
    for (const block of this.#unsaved) {
      if (this.#inFlight >= MOST_SAVES) return;
      const isPending = !block.gone && block.has("hbm") && block.copies.dram.state === "absent" && !block.has("ssd");
      const dram = isPending ? this.#takeDram() : null;
      if (isPending && !dram) return;
      this.#unsaved.delete(block);
      if (dram) this.#save(block, dram);
    }
  }
  #save(block, dram) {
    const hbmSlot = block.copies.hbm.slot;
    const dramSlot = dram.slot;
    this.#pin(hbmSlot, dramSlot);
    this.#saving.add(block);
    this.#core.desk.send({ kind: "save", hbmSlot, dramSlot, valid: block.valid }, (done2) => {
      this.#unpin(hbmSlot, dramSlot);
      this.#arrived(block, dram, done2);
    });
  }
  #settle(record2) {
    if (record2.isAnswered && record2.done) this.#arrived(record2.block, record2.dram, record2.done);
  }
  #arrived(block, dram, done2) {
    const { counters, journal, tiers: tiers2 } = this.#core;
    if (block) this.#saving.delete(block);
    if (done2.error !== void 0 || block === null || block.gone || block.copies.dram.state !== "absent") {
      dram.dispose();
      if (block && done2.error !== void 0 && this.#retries.failed(block, done2.error, done2.detail)) this.want(block);
      return;
    }
    dram.become(block, "present");
    journal.left("save", block, done2.ms, !tiers2.ssd);
    counters.savedBlocks++;
    this.#writer.want(block);
    this.#core.events.emit("saved", block);
    this.#dropSuperseded(block);
  }
  /** The shorter blocks that this one continues are no longer needed in memory; on ssd it stays until the block is durable there. */
  #dropSuperseded(block) {
    const { directory } = this.#core;
    for (const old of directory.superseded(block)) {
      if (old.copies.hbm.state !== "filling") directory.removeCopy(old, "hbm");
      if (old.copies.dram.state !== "filling" && old.copies.ssd.state !== "filling") directory.removeCopy(old, "dram");
    }
  }
  /** Staging slots are shared with promotion: saves and writes take at most half of them. */
  #takeDram() {
    const { directory, tiers: tiers2 } = this.#core;
    const held2 = this.#inFlight + this.#writer.backlog;
    if (!tiers2.dram && held2 >= Math.max(1, directory.pools.dram.total >> 1)) {
      this.#core.events.emit("dramRefused");
      return null;
    }
    return this.#room.take("dram");
  }
  #pin(hbmSlot, dramSlot) {
    this.#inFlight++;
    this.#core.directory.pools.hbm.pin(hbmSlot);
    this.#core.directory.pools.dram.pin(dramSlot);
  }
  #unpin(hbmSlot, dramSlot) {
    this.#inFlight--;
    this.#core.directory.pools.hbm.unpin(hbmSlot);
    this.#core.directory.pools.dram.unpin(dramSlot);
  }
};

// ts/scheduler/moves/warmer.ts
var MOST_CHANGES_IN_VAIN = 256;
var Warmer = class {
  #core;
  #room;
  #reads;
  #loader;
  constructor(core, room, reads, loader) {
    this.#core = core;
    this.#room = room;
    this.#reads = reads;
    this.#loader = loader;
  }
  /** @param next Lets what was started go on, and resolves at its next end; false: nothing is under way. */
  async warm(blocks, next) {
    const now = this.#core.clock.now();
    for (const block of blocks) block.lastUse = now;
    const promotedBlocks = await this.#promote(blocks, next);
    const loading = blocks.filter((block) => this.#load(block));
    while (loading.some((block) => !block.gone && block.copies.hbm.state === "filling") && await next()) ;
    return { promotedBlocks, loadedBlocks: loading.filter((block) => block.has("hbm")).length };
  }
  /** In the order of the tokens, as many as dram can take without losing others of them. */
  async #promote(blocks, next) {
    const own2 = new Set(blocks);
    const missing = blocks.filter(isOnDiskOnly);
    let promoted = 0;
    let pending = 0;
    let inVain = 0;
    const waiter = {
      promoted: () => {
        promoted++;
        pending--;
      },
      lost: () => pending--
    };
    for (; ; ) {
      inVain = pending > 0 ? 0 : inVain + 1;
      while (missing.length > 0 && this.#read(missing[0], own2, waiter, () => pending++)) missing.shift();
      const isOver = pending === 0 && (missing.length === 0 || inVain > MOST_CHANGES_IN_VAIN);
      if (isOver || !await next()) return promoted;
    }
  }
  /** False: it cannot be started now. */
  #read(block, own2, waiter, started) {
    if (!isOnDiskOnly(block)) return true;
    if (!this.#reads.join(block, waiter)) {
      const mayTake = (other) => other.wants === 0 && !own2.has(other);
      const dram = this.#reads.hasRoomAhead() ? this.#room.take("dram", { for: "later", mayTake }) : null;
      if (!dram) return false;
      this.#reads.startAhead(block, dram, waiter);
    }
    started();
    return true;
  }
  #load(block) {
    if (block.valid < BLOCK_TOKENS || !block.has("dram") || block.copies.hbm.state !== "absent") return false;
    const hbm = this.#core.directory.reserve("hbm");
    if (!hbm) return false;
    this.#loader.loadAhead(block, hbm);
    return true;
  }
};
function isOnDiskOnly(block) {
  return !block.gone && block.has("ssd") && block.copies.dram.state === "absent" && block.copies.hbm.state === "absent";
}

// ts/scheduler/moves/writer.ts
var MOST_WRITES = 8;
var MOST_BEGUN = 2 * MOST_WRITES;
function described({ key, parent, index: index2, view, lastUse, tokens }) {
  return { key, parent, index: index2, view: view ?? void 0, lastUse: Math.max(0, Math.floor(lastUse)), tokens };
}
var Writer = class {
  #core;
  #room;
  #store;
  #dirty = /* @__PURE__ */ new Set();
  #retries;
  /** The last write of each block: what ends for an earlier one says nothing of the copy that is there. */
  #latest = /* @__PURE__ */ new WeakMap();
  /** Written, not flushed. */
  #written = [];
  /** Writes that have a slot and have not ended; of these, those that may be sent, and those that were. */
  #inFlight = 0;
  #ready = [];
  #sent = /* @__PURE__ */ new Set();
  #isFlushing = false;
  #isClosed = false;
  #cancelTimer = null;
  /** Those that wait for a flush. */
  #hurries = 0;
  constructor(core, room, store) {
    this.#core = core;
    this.#room = room;
    this.#store = store;
    this.#retries = new Retries(core, "write", "a block is no longer written to the ssd");
    core.events.on("dramLetGo", (block) => this.releaseStaging(block));
  }
  /** Blocks that hold a dram slot until they are durable. */
  get backlog() {
    return this.#dirty.size + this.#inFlight + this.#written.length;
  }
  get isIdle() {
    return this.#inFlight === 0 && !this.#isFlushing && this.#written.length === 0 && this.#dirty.size === 0;
  }
  /** Sees to it that a block in dram is written, unless it is or cannot be. */
  want(block) {
    if (this.#core.tiers.ssd && !block.gone && block.copies.ssd.state === "absent" && block.has("dram") && !block.releasable) {
      this.#dirty.add(block);
    }
  }
  pump() {
    const most = this.#core.directory.remains.isKept ? MOST_BEGUN : MOST_WRITES;
    for (const block of this.#dirty) {
      if (this.#inFlight >= most) break;
      const isPending = !block.gone && block.has("dram") && block.copies.ssd.state === "absent";
      const ssd = isPending ? this.#room.take("ssd") : null;
      if (isPending && !ssd) break;
      this.#dirty.delete(block);
      if (ssd) this.#write(block, ssd);
    }
    this.#pumpFlush();
  }
  /** Flushes at every chance until the returned function is called. Others may hurry at the same time. */
  hurry() {
    this.#hurries++;
    let isOver = false;
    return () => {
      if (!isOver) this.#hurries--;
      isOver = true;
    };
  }
  /** Nothing is sent any more. */
  close() {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
  /** A staging slot is given back as soon as its block is durable and nothing reads it. */
  releaseStaging(block) {
    const { directory, tiers: tiers2 } = this.#core;
    if (tiers2.dram || block.gone || !block.has("dram") || !(block.durable || block.releasable)) return;
    if (directory.pools.dram.isIdle(block.copies.dram.slot)) directory.removeCopy(block, "dram");
  }
  #write(block, ssd) {
    const { slot } = ssd;
    const { directory, desk, engine } = this.#core;
    const dramSlot = block.copies.dram.slot;
    ssd.become(block, "filling");
    directory.pools.dram.pin(dramSlot);
    directory.pools.ssd.pin(slot);
    this.#inFlight++;
    const write = { block, slot, failures: this.#core.flushes.failures };
    this.#latest.set(block, write);
    const held2 = desk.hold({ kind: "write", dramSlot, ssdSlot: slot, block: described(block) }, (done2) => {
      this.#inFlight--;
      if (this.#sent.delete(held2)) this.#sendReady();
      directory.pools.dram.unpin(dramSlot);
      directory.pools.ssd.unpin(slot);
      this.#ended(write, done2);
    });
    const announced = directory.remains.writing(slot, directory.usersOf(block));
    const send2 = () => {
      this.#ready.push(held2);
      this.#sendReady();
    };
    if (!announced) return send2();
    const refuse = () => engine.onEvents([{ kind: "transfer", id: held2.id, error: "store_failed", bytes: 0, ms: 0 }]);
    void announced.then(send2, refuse).then(() => this.#isClosed || desk.flush());
  }
  #sendReady() {
    while (this.#sent.size < MOST_WRITES && !this.#isClosed) {
      const next = this.#ready.shift();
      if (!next) return;
      this.#sent.add(next);
      next.send();
    }
  }
  #ended(write, done2) {
    const { block } = write;
    if (!this.#isCopy(write, "filling")) return;
    const { directory, counters, journal } = this.#core;
    if (done2.error !== void 0) return this.#failed(write, done2.error, done2.detail);
    journal.left("write", block, done2.ms, true);
    directory.complete(block, "ssd");
    counters.writtenBlocks++;
    this.#written.push(write);
  }
  /** It was not written, or not flushed: what a failed flush has lost is on the disk only if it is written again. */
  #failed({ block, slot }, code, detail) {
    const { directory, counters } = this.#core;
    this.#retries.failed(block, code, detail, { ssd_slot: slot });
    directory.removeCopy(block, "ssd", "damaged");
    if (block.gone) counters.dropped.damaged++;
    this.want(block);
    this.releaseStaging(block);
  }
  #pumpFlush() {
    if (this.#isFlushing || this.#written.length === 0) return;
    if (this.#hurries > 0 || this.#room.isDramShort || this.#written.length >= 64) return this.#flush();
    this.#cancelTimer ??= this.#core.clock.after(this.#core.options.commitIntervalMs, () => {
      this.#cancelTimer = null;
      this.#flush();
      this.#core.desk.flush();
    });
  }
  #flush() {
    if (this.#isFlushing || this.#written.length === 0) return;
    const batch = this.#written;
    this.#written = [];
    this.#isFlushing = true;
    this.#core.events.emit("flushing");
    this.#core.flushes.send((errorSince) => {
      this.#isFlushing = false;
      for (const write of batch) {
        if (!this.#isCopy(write, "present")) continue;
        const error = errorSince(write.failures);
        if (error === void 0) this.#becameDurable(write.block);
        else this.#failed(write, error);
      }
    });
  }
  /** The block's copy on ssd is the one that this write made, and in this state. */
  #isCopy(write, state) {
    const { block, slot } = write;
    const { ssd } = block.copies;
    return !block.gone && this.#latest.get(block) === write && ssd.state === state && ssd.slot === slot;
  }
  #becameDurable(block) {
    const { directory } = this.#core;
    block.durable = true;
    directory.pools.dram.version++;
    this.#store?.put(block);
    directory.remains.overwritten(block.copies.ssd.slot);
    for (const old of directory.superseded(block)) {
      if (SLOT_TIERS.some((tier) => old.copies[tier].state === "filling")) continue;
      for (const tier of SLOT_TIERS) directory.removeCopy(old, tier);
    }
    this.releaseStaging(block);
  }
};

// ts/scheduler/moves/moves.ts
var Moves = class {
  room;
  saver;
  prefetcher;
  prefetches = new PrefetchLedger();
  warmer;
  #core;
  #writer;
  #reads;
  #loader;
  #acquirer;
  #fronts;
  /** The key-addressed tier; null: there is none. */
  #keyed;
  #publisher;
  /** @param store Names what is durable; null: nothing is kept. */
  constructor(core, store, traffic, lookAhead) {
    this.#core = core;
    const room = new Room(core);
    const writer = new Writer(core, room, store);
    const reads = new Reads(core, room);
    const loader = new Loader(core, reads);
    const chooser = new HistoryChooser(core.options.history, core.costs, traffic, () => reads.backlog);
    this.room = room;
    this.saver = new Saver(core, room, writer);
    this.prefetcher = new Prefetcher(core, { room, reads, loader, lookAhead, writer, chooser, ledger: this.prefetches });
    this.warmer = new Warmer(core, room, reads, loader);
    this.#writer = writer;
    this.#reads = reads;
    this.#loader = loader;
    this.#acquirer = new Acquirer(core, room, loader, chooser);
    this.#fronts = new FrontRunner(core, reads, loader, traffic);
    const { keyed: keyed2 } = core;
    this.#keyed = keyed2 && { fetcher: new Fetcher(core, keyed2, room, (block) => this.lower(block)), putter: new Putter(core, keyed2) };
    this.#publisher = new Publisher(core, room);
  }
  /** Nothing moves, and nothing is about to. */
  get isIdle() {
    const isKeyedIdle = this.#keyed?.putter.isIdle ?? true;
    return this.saver.isIdle && this.#writer.isIdle && this.#reads.isIdle && this.#loader.isIdle && isKeyedIdle && this.inFlight === 0;
  }
  /** Transfers under way: something will be reported. */
  get inFlight() {
    return this.#core.desk.inFlight + (this.#core.keyed?.inFlight ?? 0);
  }
  /** Waiting requests of which the key-addressed tier has still to tell: something will be reported too. */
  get holding() {
    return this.#keyed?.fetcher.holding ?? 0;
  }
  /** The key-addressed tier has not told yet, or not brought yet, the blocks that a waiting request would use; bounded. */
  isHeld(sequence) {
    return this.#keyed?.fetcher.isHeld(sequence) ?? false;
  }
  /** Nothing that can be had soon is missing for a waiting request. */
  isReady(sequence) {
    return this.prefetcher.isReady(sequence);
  }
  /** Marks what a waiting sequence will want. */
  noteWants(sequence) {
    this.#acquirer.noteWants(sequence);
  }
  /** Asks the key-addressed tier for the blocks that a sequence would want and that no slot holds. The sequence has just come. */
  seek(sequence) {
    const again = () => {
      sequence.unwant();
      this.noteWants(sequence);
    };
    this.#keyed?.fetcher.begin(sequence, (existenceOf) => this.#acquirer.elsewhere(sequence, existenceOf), again);
  }
  /** Gives a sequence its blocks and leaves `reserve` slots of hbm; false: there is no room, and nothing has changed. */
  acquire(sequence, reserve) {
    return this.#acquirer.acquire(sequence, reserve);
  }
  /** A sequence whose front is computed while its back is read goes on. */
  advanceFront(sequence) {
    this.#fronts.advance(sequence);
  }
  /** The last, partly filled block of a computed prompt is copied for others; `published` runs when they find it. */
  publishTail(sequence, published) {
    return this.#publisher.publishTail(sequence, published);
  }
  /** Starts what may start downwards: saves and writes. Before anything is evicted: what is saved need not be lost. */
  pumpDown() {
    this.saver.pump();
    this.#writer.pump();
    this.#keyed?.putter.pump();
  }
  /** Starts what may start upwards: reads, and what requests that wait will need. */
  pumpUp(waiting) {
    this.#reads.pump();
    this.prefetcher.pump(waiting);
  }
  /** Sees to it that a block reaches every tier below it. */
  lower(block) {
    this.saver.want(block);
    this.#writer.want(block);
  }
  /** Writes are flushed at every chance, until each caller has called the function that it got. */
  hurry() {
    return this.#writer.hurry();
  }
  /** Nothing is looked at again later. */
  close() {
    this.#writer.close();
    this.#fronts.close();
    this.#keyed?.fetcher.close();
  }
};

// ts/scheduler/loop/admission.ts
var MOST_OVERTAKES = 16;
var MOST_OVERTAKEN_MS = 1e4;
var Admission = class {
  #queue;
  #moves;
  #followers;
  #clock;
  constructor(queue, moves, followers, clock) {
    this.#queue = queue;
    this.#moves = moves;
    this.#followers = followers;
    this.#clock = clock;
  }
  /**
   * The oldest that is ready or must not be overtaken any more, and for which `hasRoom`; if nothing runs (`isIdle`) and
   * none is ready, the oldest of all that are not held. Room is not asked for twice: a request no smaller than one without room has none.
   */
  next(isIdle, hasRoom) {
    let smallest = Infinity;
    let unheld;
    for (const sequence of this.#queue) {
      if (this.#followers.follows(sequence)) {
        this.#waits(sequence, "another");
        continue;
      }
      const isDue = this.#isDue(sequence);
      if (!isDue && this.#isHeld(sequence)) {
        this.#waits(sequence, "history");
        continue;
      }
      unheld ??= sequence;
      const size = sequence.tokens.length;
      const isReady = isDue || this.#isReady(sequence);
      if (isReady && size < smallest) {
        if (hasRoom(sequence)) return sequence;
        smallest = size;
      }
      this.#waits(sequence, isReady ? "room" : "history");
      if (isDue) return void 0;
    }
    const oldest = isIdle && smallest === Infinity ? unheld : void 0;
    return oldest && hasRoom(oldest) ? oldest : void 0;
  }
  #waits(sequence, cause) {
    sequence.waited.for(cause, this.#clock.now());
  }
  /** Leaves the queue. The requests before it were overtaken. */
  admit(sequence) {
    for (const other of this.#queue) {
      if (other === sequence) break;
      if (!this.#followers.follows(other)) other.standing.overtake(this.#clock.now());
    }
    this.#followers.forget(sequence);
    this.#queue.remove(sequence);
  }
  /** Waiting requests whose blocks are being fetched. */
  get preparing() {
    let count9 = 0;
    for (const sequence of this.#queue) if (!this.#isReady(sequence)) count9++;
    return count9;
  }
  #isReady(sequence) {
    return !this.#isHeld(sequence) && this.#moves.isReady(sequence);
  }
  #isHeld(sequence) {
    return this.#moves.isHeld?.(sequence) ?? false;
  }
  #isDue({ standing: { overtaken, overtakenAt } }) {
    return overtaken >= MOST_OVERTAKES || overtaken > 0 && this.#clock.now() - overtakenAt >= MOST_OVERTAKEN_MS;
  }
};

// ts/scheduler/loop/followers.ts
var LEAST_SHARED = 16;
var MOST_OF_PREDICTION = 4;
var LEAST_BOUND_MS = 1e3;
var UNMEASURED_BOUND_MS = 1e4;
var Followers = class {
  #core;
  #moves;
  #active;
  #following = /* @__PURE__ */ new Map();
  /** When the wait of a request that has followed ends, in milliseconds: one bound for all its leaders. */
  #bounds = /* @__PURE__ */ new WeakMap();
  /** Each runs when a bound is reached; what it returned cancels it. */
  #timers = /* @__PURE__ */ new Map();
  /** The roster at which a request found none to follow. */
  #foundNone = /* @__PURE__ */ new WeakMap();
  #roster = 0;
  /** @param active Sequences that prepare or run, oldest first. */
  constructor(core, moves, active) {
    this.#core = core;
    this.#moves = moves;
    this.#active = active;
  }
  /** A sequence prepares now, or does so no longer. */
  rosterChanged() {
    this.#roster++;
  }
  /** The request waits no longer. */
  forget(sequence) {
    this.#following.delete(sequence);
    this.#timers.get(sequence)?.();
    this.#timers.delete(sequence);
  }
  /** Nothing is looked at again later. */
  close() {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }
  /** Whether a waiting request does better to go on waiting than to run now. */
  follows(sequence) {
    if (!this.#core.tiers.keeps) return false;
    const known = this.#following.get(sequence);
    if (known && this.#isComing(sequence, known)) return true;
    this.#following.delete(sequence);
    if (!known && this.#foundNone.get(sequence) === this.#roster) return false;
    const found = this.#find(sequence);
    if (found) {
      this.#following.set(sequence, found);
      return this.#isComing(sequence, found);
    }
    this.#foundNone.set(sequence, this.#roster);
    return false;
  }
  /** The shared tokens, or the copy that others may use of the last of them, are still being made. */
  #isComing(sequence, { leader, length }) {
    if (!mayLead(leader) || this.#isOverdue(sequence)) return false;
    const end = Math.min(Math.ceil(length / BLOCK_TOKENS) * BLOCK_TOKENS, leader.promptLength);
    if (leader.progress.computed < end) return true;
    const isWorthACopy = end % BLOCK_TOKENS > 0 && length % BLOCK_TOKENS >= LEAST_SHARED;
    return isWorthACopy && this.#moves.publishTail(leader, () => this.#published(leader)) === "coming";
  }
  #isOverdue(sequence) {
    return this.#core.clock.now() >= (this.#bounds.get(sequence) ?? Infinity);
  }
  /** All that follow want the published block, so that each copies it and none takes it over from the others. */
  #published(leader) {
    for (const [follower, following] of this.#following) {
      if (following.leader !== leader) continue;
      follower.unwant();
      this.#moves.noteWants(follower);
    }
  }
  /** The leader that shares the most, if waiting for it is sooner; of equal ones the oldest. */
  #find(sequence) {
    if (sequence.isAdded || this.#isOverdue(sequence)) return null;
    const there = this.#tokensThere(sequence);
    let best = null;
    for (const leader of this.#active()) {
      if (!mayLead(leader) || !areAlike(leader, sequence)) continue;
      const length = sharedTokens(leader, sequence);
      if (length - there < LEAST_SHARED || length <= (best?.length ?? 0)) continue;
      best = { leader, length };
    }
    return best && this.#isSooner(sequence, best, there) ? best : null;
  }
  /** Leading tokens that are in some tier. */
  #tokensThere(sequence) {
    const { blocks, children } = this.#core.directory;
    const { keys, tokens } = sequence;
    const missing = keys.findIndex((key) => (blocks.get(key)?.tier ?? null) === null);
    const index2 = missing < 0 ? keys.length : missing;
    const from = index2 * BLOCK_TOKENS;
    const part2 = children.best(sequence.parentKey(index2), tokens.view(from, from + BLOCK_TOKENS), () => true);
    return from + (part2?.rows ?? 0);
  }
  /**
   * Waiting takes the leader's loads and rows, and the step that begins after them. Going ahead takes the request's own
   * rows, and as many of the leader's beside them. Sets the bound of the wait too.
   */
  #isSooner(sequence, { leader, length }, there) {
    const { costs } = this.#core;
    if (!costs.isPromptMeasured) {
      const isComputed = leader.progress.computed >= length;
      if (length - there < BLOCK_TOKENS && !isComputed) return false;
      this.#bind(sequence, UNMEASURED_BOUND_MS);
      return true;
    }
    const leaderMs = rowsMs(costs, Math.min(leader.progress.computed, length), length);
    const ownMs = rowsMs(costs, there, length);
    const waitMs = this.#loadMs(leader) + leaderMs + costs.promptStepMs;
    if (waitMs > ownMs + Math.min(leaderMs, ownMs)) return false;
    this.#bind(sequence, Math.max(LEAST_BOUND_MS, MOST_OF_PREDICTION * waitMs));
    return true;
  }
  /** The rest of the loads that the leader waits for, reads from ssd included. */
  #loadMs({ loading }) {
    const { costs, engine } = this.#core;
    if (loading.pending === 0 && loading.pendingReads === 0) return 0;
    return loading.pendingReads * costs.readMs + costs.loadMs(loading.pending * engine.info.blockBytes);
  }
  /** One bound for all leaders of a request. */
  #bind(sequence, boundMs) {
    const { clock, events: events4 } = this.#core;
    if (this.#bounds.has(sequence)) return;
    this.#bounds.set(sequence, clock.now() + boundMs);
    this.#timers.set(sequence, clock.after(boundMs, () => events4.emit("followerWaited")));
  }
};
function rowsMs(costs, from, to) {
  return costs.rowsMs(to - from, from);
}
function mayLead({ state, leaving, loading }) {
  return (state === "preparing" || state === "running") && leaving === null && !loading.hasFailed;
}
function areAlike(leader, sequence) {
  const [mine, other] = [sequence.spec.view, leader.spec.view];
  const seesAlike = mine === other || mine?.window === other?.window && mine?.head === other?.head && mine?.step === other?.step;
  return leader.root === sequence.root && seesAlike && leader.start.leftOut === 0 && sequence.starts.length === 1;
}
function sharedTokens(leader, sequence) {
  const most = Math.min(leader.promptLength, sequence.promptLength - 1);
  const blocks = sharedBlocks(leader.keys, sequence.keys, Math.floor(most / BLOCK_TOKENS));
  const end = Math.min(most, (blocks + 1) * BLOCK_TOKENS);
  const [mine, other] = [sequence.tokens.view(0, end), leader.tokens.view(0, end)];
  let length = blocks * BLOCK_TOKENS;
  while (length < end && mine[length] === other[length]) length++;
  return length;
}
function sharedBlocks(one, other, most) {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (one[middle - 1] === other[middle - 1]) low = middle;
    else high = middle - 1;
  }
  return low;
}

// ts/scheduler/loop/joiner.ts
var Joiner = class {
  #core;
  constructor(core) {
    this.#core = core;
  }
  /** Among `active`; `isComputing`: a step is under way. */
  mayRun(sequence, active, isComputing) {
    const { options, costs, engine } = this.#core;
    const { front } = sequence.progress;
    if (front) return front.rows > 0;
    if (sequence.loading.hasFailed || sequence.loading.pendingReads > 0) return false;
    if (sequence.loading.pending === 0) return true;
    if (!options.preload) return false;
    const others = active.filter((other) => other.state === "running" && other.plannableRows > 0);
    if (others.length === 0 && !isComputing) return true;
    const { layers } = engine.info;
    const stepMs2 = costs.stepMs(others.length + Math.min(sequence.remainingRows, options.maxBatchTokens));
    return mayJoin({ ...this.#loadOf(sequence), stepMs: stepMs2, layers, preloadLayers: options.preloadLayers });
  }
  #loadOf({ loading }) {
    const { costs, engine, clock } = this.#core;
    const totalMs = costs.loadMs(loading.bytes);
    const elapsed = clock.now() - loading.startedAt;
    const outstandingMs = costs.loadMs(loading.pending * engine.info.blockBytes);
    return { remainingMs: Math.min(outstandingMs, Math.max(0, totalMs - elapsed)), totalMs };
  }
};

// ts/scheduler/loop/pacer.ts
var LEAST_ROWS2 = 8;
var MOST_STOOD_BACK = 4;
var Pacer = class {
  #traffic;
  #costs;
  /** Requests that wait for others to end. */
  #waiting;
  constructor(traffic, costs, waiting) {
    this.#traffic = traffic;
    this.#costs = costs;
    this.#waiting = waiting;
  }
  /** Milliseconds that a step with prompts in it may take; Infinity: no other request is about, or nothing was measured. */
  get quantumMs() {
    return this.#costs.quantumMs({ arrivalsPerMs: this.#traffic.arrivalsPerMs, waiting: this.#waiting() });
  }
  /**
   * Some prompt is about to take longer than a step's own cost. Its step is planned when the one before is answered, so
   * that an arriving request waits for one such step and not for two.
   */
  isHeavy(running) {
    if (this.quantumMs === Infinity) return false;
    const { ownMs } = this.#costs;
    return running.some((sequence) => sequence.plannableRows > 1 && this.#costs.rowsMs(sequence.plannableRows, sequence.progress.planned) > ownMs);
  }
  /** For the next plan. */
  begin() {
    return new StepPace(this.#costs, this.quantumMs);
  }
};
var StepPace = class {
  #costs;
  #leftMs;
  /** The step computes rows of a prompt, and the last ones of one. */
  #hasPrompt = false;
  #endsPrompt = false;
  constructor(costs, quantumMs) {
    this.#costs = costs;
    this.#leftMs = quantumMs - costs.promptStepMs;
  }
  /** Prompts in the order in which they are asked: who stood back too often, then the shortest. */
  order(prompts) {
    if (this.#leftMs === Infinity || prompts.length < 2) return prompts;
    const keyed2 = prompts.map((sequence) => ({
      sequence,
      overdue: sequence.standing.stoodBack >= MOST_STOOD_BACK ? sequence.standing.stoodBack : 0,
      ms: this.#costs.rowsMs(sequence.plannableRows, sequence.progress.planned)
    }));
    return keyed2.sort((a, b) => b.overdue - a.overdue || a.ms - b.ms).map(({ sequence }) => sequence);
  }
  /** How many of the `wished` rows that could be planned for a prompt now are; 0: it stands back. */
  rowsFor(sequence, wished) {
    if (this.#leftMs === Infinity) return wished;
    const within3 = Math.min(wished, this.#costs.rowsWithin(this.#leftMs, sequence.progress.planned));
    if (within3 === sequence.plannableRows || this.#endsSoon(sequence, wished)) return wished;
    const isFirst = !this.#hasPrompt;
    if (isFirst || sequence.standing.stoodBack >= MOST_STOOD_BACK) return Math.min(wished, Math.max(within3, LEAST_ROWS2));
    return this.#endsPrompt ? 0 : within3;
  }
  /** The step would end within its own cost after its time: another one for the rest of the prompt would take longer. */
  #endsSoon(sequence, wished) {
    return wished === sequence.plannableRows && this.#costs.rowsMs(wished, sequence.progress.planned) <= this.#leftMs + this.#costs.ownMs;
  }
  /** `rows` rows of the sequence are in the plan. */
  planned(sequence, rows4) {
    if (this.#leftMs === Infinity) return;
    this.#leftMs -= this.#costs.rowsMs(rows4, sequence.progress.planned);
    this.#hasPrompt ||= sequence.plannableRows > 1;
    this.#endsPrompt ||= sequence.plannableRows > 1 && rows4 === sequence.plannableRows;
  }
};

// ts/scheduler/loop/planner.ts
var Planner = class {
  #core;
  #room;
  #saver;
  #pacer;
  #nextStep = 0;
  constructor(core, room, saver, pacer) {
    this.#core = core;
    this.#room = room;
    this.#saver = saver;
    this.#pacer = pacer;
  }
  /**
   * The next plan over `running`, oldest first; null: nothing can run. `starved` is told of a sequence that found no hbm
   * slot for its next row.
   */
  draft(running, starved) {
    const draft = new DraftBuilder(this.#nextStep);
    const pace = this.#pacer.begin();
    const ready2 = running.filter((sequence) => sequence.leaving === null && !sequence.loading.hasFailed && sequence.plannableRows > 0);
    const decode4 = ready2.filter((sequence) => sequence.plannableRows === 1);
    const prefill = ready2.filter((sequence) => sequence.plannableRows > 1);
    for (const sequence of [...decode4, ...pace.order(prefill)]) {
      const budget = this.#core.options.maxBatchTokens - draft.rowCount;
      if (budget === 0) break;
      if (sequence.leaving !== null) continue;
      const { planned } = sequence.progress;
      const toEdge = nextEdge(sequence.spec.view, planned) - planned;
      const wished = Math.min(sequence.plannableRows, budget, toEdge);
      const granted = wished === 1 ? 1 : pace.rowsFor(sequence, wished);
      sequence.standing.standBack(granted === 0);
      if (granted === 0) continue;
      const count9 = this.#findSlots(sequence, granted);
      if (count9 === 0) {
        starved(sequence);
        continue;
      }
      pace.planned(sequence, count9);
      this.#addRows(draft, sequence, count9);
    }
    if (draft.rowCount === 0) return null;
    this.#nextStep++;
    return draft.finish();
  }
  /** Gives the sequence slots for its next `count` rows; answers for how many there are slots. */
  #findSlots(sequence, count9) {
    const from = sequence.progress.planned;
    for (let index2 = Math.floor(from / BLOCK_TOKENS); index2 * BLOCK_TOKENS < from + count9; index2++) {
      if (sequence.table.at(index2)) continue;
      const own2 = this.#room.take("hbm");
      if (!own2) return Math.max(0, index2 * BLOCK_TOKENS - from);
      sequence.table.own(index2, own2);
    }
    return count9;
  }
  #addRows(draft, sequence, count9) {
    const { progress } = sequence;
    const from = progress.planned;
    draft.announce(sequence, Math.ceil((from + count9) / BLOCK_TOKENS));
    const sample = from + count9 === progress.expectedLength;
    draft.addRow({ sequence: sequence.id, from, count: count9, sample });
    const mayBeLate = sample && sequence.spec.constraint !== void 0;
    if (this.#core.tiers.saves && !mayBeLate) this.#addSaves(draft, sequence, from, from + count9);
    progress.plan(draft.step, count9, sample);
  }
  /** The blocks that these rows fill are saved beside the step. */
  #addSaves(draft, sequence, from, to) {
    for (let index2 = Math.floor(from / BLOCK_TOKENS); (index2 + 1) * BLOCK_TOKENS <= to; index2++) {
      const entry = sequence.table.at(index2);
      const planned = entry && this.#saver.plan(sequence.id, index2, entry.slot);
      if (planned) draft.addSave(planned.save, planned.record);
    }
  }
};
var DraftBuilder = class {
  constructor(step) {
    this.step = step;
  }
  step;
  rowCount = 0;
  #resets = [];
  #tables = [];
  #rows = [];
  #saves = [];
  #records = [];
  /**
   * The news of the first `blocks` entries of the sequence's block table for the engine. No more: what lies behind
   * the rows may still change, and a step waits for the loads of every slot it knows.
   */
  announce(sequence, blocks) {
    const { id: id3, table } = sequence;
    if (!table.hasNews(blocks)) return;
    table.tell(blocks, {
      reset: () => this.#resets.push(id3),
      entry: (index2, slot) => this.#tables.push({ sequence: id3, index: index2, slot })
    });
  }
  addRow(row3) {
    this.#rows.push(row3);
    this.rowCount += row3.count;
  }
  addSave(save, record2) {
    this.#saves.push(save);
    this.#records.push(record2);
  }
  finish() {
    const { step, rowCount } = this;
    const plan = { step, resets: this.#resets, tables: this.#tables, rows: this.#rows, saves: this.#saves };
    return { plan, saves: this.#records, rowCount };
  }
};

// ts/scheduler/loop/queue.ts
var WaitingQueue = class {
  #sequences = [];
  get length() {
    return this.#sequences.length;
  }
  /** Inserts by age: what comes back after preemption stands before everything younger. */
  add(sequence) {
    let at = this.#sequences.length;
    while (at > 0 && this.#sequences[at - 1].ticket > sequence.ticket) at--;
    this.#sequences.splice(at, 0, sequence);
  }
  /** The request at `place`, counted from 0. */
  at(place) {
    return this.#sequences[place];
  }
  first() {
    return this.#sequences[0];
  }
  remove(sequence) {
    const at = this.#sequences.indexOf(sequence);
    if (at >= 0) this.#sequences.splice(at, 1);
  }
  [Symbol.iterator]() {
    return this.#sequences.values();
  }
};

// ts/scheduler/loop/release.ts
var Releaser = class {
  #core;
  #saver;
  #listener;
  constructor(core, saver, listener) {
    this.#core = core;
    this.#saver = saver;
    this.#listener = listener;
  }
  /**
   * Empties the block table. Shared blocks stay as a cache; the last, partly filled block becomes one; the rest is
   * given back. A slot that an unanswered step or a transfer still names is not handed out before that has ended.
   */
  release(sequence) {
    const tail = this.#tailIndex(sequence);
    const now = this.#core.clock.now();
    const keys = [...sequence.keys];
    for (const [index2, entry] of sequence.table) {
      if (entry.block) this.#leaveShared(sequence, entry.block, now);
      else if (index2 === tail) keys[index2] = this.#keepTail(sequence, entry.own, index2);
      else this.#giveBack(sequence, entry.own);
    }
    sequence.progress.endFront();
    for (const block of sequence.table.sources) this.#core.journal.used(sequence.trail, block);
    sequence.table.clear(sequence.isAdded);
    sequence.loading.leave();
    this.#listener.released(sequence, keys);
  }
  /** Gives up what no further row of a running sequence sees. A block whose rows are still being computed stays. */
  leaveView(sequence) {
    const { progress, table } = sequence;
    const hidden = hiddenBlocks(sequence.spec.view, progress.planned);
    const end = Math.min(hidden.to, Math.floor(progress.computed / BLOCK_TOKENS));
    const now = this.#core.clock.now();
    for (let index2 = Math.max(hidden.from, table.leftUpTo); index2 < end; index2++) {
      const entry = table.leave(index2);
      if (entry?.block) this.#leaveBehind(sequence, entry.block, now);
      else if (entry) this.#giveBack(sequence, entry.own);
    }
  }
  #leaveBehind(sequence, block, now) {
    this.#leaveShared(sequence, block, now);
    this.#core.directory.leaveBehind(block);
  }
  #leaveShared(sequence, block, now) {
    block.lastUse = now;
    const { gone } = block;
    this.#core.directory.unref(block, sequence.progress.lastStep);
    if (gone) return;
    block.releasable = block.releasable && !block.has("hbm");
    this.#saver.want(block);
  }
  /** Index of the partly filled block that can be kept; -1: none. */
  #tailIndex({ progress, loading, leaving }) {
    const isUsable2 = this.#core.tiers.keeps && progress.isTailSettled && !loading.hasFailed && leaving !== "void";
    return isUsable2 && progress.computed % BLOCK_TOKENS > 0 ? Math.floor(progress.computed / BLOCK_TOKENS) : -1;
  }
  #keepTail(sequence, own2, index2) {
    const { directory, engine, journal } = this.#core;
    const tokens = sequence.tokens.copy(index2 * BLOCK_TOKENS, sequence.progress.computed);
    const parent = sequence.parentKey(index2);
    const key = sequence.progress.tailKey ?? engine.text.blockKey(parent, index2, tokens, sequence.spec.view);
    const block = directory.obtain(key, parent, index2, tokens, sequence.spec.view);
    if (sequence.turnUse) directory.use(block, sequence.turnUse);
    if (block.copies.hbm.state !== "absent") {
      this.#giveBack(sequence, own2);
      return key;
    }
    directory.pools.hbm.nameInStep(own2.slot, sequence.progress.lastStep);
    own2.become(block, "present");
    journal.filled(sequence.trail, block);
    this.#saver.want(block);
    return key;
  }
  #giveBack(sequence, own2) {
    this.#core.directory.pools.hbm.nameInStep(own2.slot, sequence.progress.lastStep);
    own2.dispose();
  }
};

// ts/scheduler/loop/replies.ts
var ReplyReader = class {
  #core;
  #saver;
  #listener;
  constructor(core, saver, listener) {
    this.#core = core;
    this.#saver = saver;
    this.#listener = listener;
  }
  read(reply, draft, living) {
    this.#core.directory.pools.hbm.answered(reply.step);
    this.#learnCosts(reply, draft, living);
    reply.rows.forEach((row3, i) => {
      const sequence = living.get(row3.sequence);
      const planned = draft.plan.rows[i];
      if (!sequence || planned?.sequence !== row3.sequence) return;
      if (row3.status === "ok") this.#computed(sequence, row3, planned, reply.stepMs);
      else if (row3.status === "void") sequence.leave("void");
      else if (row3.status === "late") this.#late(sequence, planned);
    });
    const rows4 = new Map(reply.rows.map((row3) => [row3.sequence, row3]));
    for (const save of draft.saves) this.#answerSave(save, rows4.get(save.sequence));
    for (const row3 of reply.rows) this.#progressed(row3, living.get(row3.sequence));
  }
  #learnCosts(reply, draft, living) {
    if (reply.rows.some((row3) => row3.status === "late")) return;
    let attended = 0;
    let promptRows = 0;
    let promptAttended = 0;
    for (const { sequence: id3, from, count: count9 } of draft.plan.rows) {
      const sequence = living.get(id3);
      const seen = attendedBy(from - leftOut(sequence?.spec.view ?? null, from), count9);
      attended += seen;
      if (from >= (sequence?.promptLength ?? 0)) continue;
      promptRows += count9;
      promptAttended += seen;
    }
    this.#core.costs.stepTook({ rows: draft.rowCount, attended, promptRows, promptAttended, ms: reply.stepMs - reply.loadStallMs });
  }
  /** Key and slot of what these rows filled enter the directory: from now on others may use it. */
  #computed(sequence, row3, { from, count: count9 }, stepMs2) {
    const now = this.#core.clock.now();
    sequence.trail.add(from < sequence.promptLength ? "prefill" : "decode", now - stepMs2, now);
    const to = from + count9;
    countComputed(this.#core.directory, sequence, from, to);
    sequence.progress.advance(from, to);
    sequence.serving.settle();
    for (const { index: index2, key } of row3.filled) {
      sequence.named(index2, key);
      if (this.#core.tiers.keeps) this.#register(sequence, index2);
    }
    if (row3.token !== void 0) sequence.tokens.push(row3.token);
  }
  /**
   * The mask of its constraint was not ready. Rows that a plan sent ahead had behind it are late too, and are not
   * to be planned before it.
   */
  #late(sequence, { from, count: count9 }) {
    const known = sequence.tokens.length;
    if (from + count9 > known) return;
    sequence.progress.planAgain(from, known);
    const { table } = sequence;
    const { view } = sequence.spec;
    const isThere = viewBlocks(view, from, Math.floor(from / BLOCK_TOKENS)).every((index2) => table.at(index2) !== void 0);
    if (!isThere) sequence.leave("preempted");
  }
  #register(sequence, index2) {
    const { directory, journal } = this.#core;
    const entry = sequence.table.at(index2);
    if (!entry?.own) return;
    const tokens = sequence.tokens.copy(index2 * BLOCK_TOKENS, (index2 + 1) * BLOCK_TOKENS);
    const block = directory.obtain(sequence.keys[index2], sequence.parentKey(index2), index2, tokens, sequence.spec.view);
    if (sequence.turnUse) directory.use(block, sequence.turnUse);
    if (block.copies.hbm.state !== "absent") return;
    entry.own.become(block, "present");
    journal.filled(sequence.trail, block);
    directory.ref(block);
    sequence.table.share(index2, block);
  }
  #answerSave(save, row3) {
    const filled = row3?.status === "ok" ? row3.filled.find(({ index: index2 }) => index2 === save.index) : void 0;
    this.#saver.answered(save, filled ? this.#core.directory.blocks.get(filled.key) ?? null : null);
  }
  #progressed(row3, sequence) {
    if (!sequence || row3.status !== "ok") return;
    for (const { index: index2 } of row3.filled) {
      const block = sequence.table.at(index2)?.block;
      if (block) this.#saver.want(block);
    }
    for (const part2 of row3.parts) sequence.answer?.part(part2);
    if (row3.parts.length > 0 || row3.token !== void 0) {
      sequence.times.answer(this.#core.clock.now());
      sequence.turn.delta(row3.parts, row3.token, row3.logprob);
    }
    if (row3.finish === void 0) return;
    if (row3.token === void 0 && row3.finish !== "none_allowed") sequence.endedByToken();
    this.#listener.finished(sequence, row3);
  }
};

// ts/scheduler/loop/roster.ts
var Roster = class {
  #engine;
  /** By id: everything the engine may still report about. */
  #living = /* @__PURE__ */ new Map();
  /** Preparing and running, oldest first. */
  #active = [];
  /** Ended, but a step that names them is unanswered. */
  #leftovers = [];
  #answered = -1;
  constructor(engine) {
    this.#engine = engine;
  }
  /** Preparing and running, oldest first. */
  get active() {
    return this.#active;
  }
  /** Added to the engine and not ended, by id. */
  get living() {
    return this.#living;
  }
  /** A step that is unanswered names the sequence. */
  isNamed(sequence) {
    return sequence.progress.lastStep > this.#answered;
  }
  activate(sequence) {
    const younger = this.#active.findIndex((other) => other.ticket > sequence.ticket);
    this.#active.splice(younger < 0 ? this.#active.length : younger, 0, sequence);
  }
  deactivate(sequence) {
    const at = this.#active.indexOf(sequence);
    if (at >= 0) this.#active.splice(at, 1);
  }
  /** The engine gets to know the sequence, once. */
  add(sequence) {
    if (sequence.isAdded) return;
    sequence.added();
    this.#living.set(sequence.id, sequence);
    this.#engine.addSequence(sequence.spec);
  }
  /** The sequence has ended; the engine forgets it when no step names it. */
  end(sequence) {
    sequence.end();
    this.#living.delete(sequence.id);
    if (!sequence.isAdded) return;
    if (this.isNamed(sequence)) this.#leftovers.push(sequence);
    else this.#engine.dropSequence(sequence.id);
  }
  /** The reply of `step` is read. */
  answered(step) {
    this.#answered = step;
    for (const sequence of this.#leftovers) if (!this.isNamed(sequence)) this.#engine.dropSequence(sequence.id);
    this.#leftovers = this.#leftovers.filter((sequence) => this.isNamed(sequence));
  }
};

// ts/scheduler/loop/scheduler.ts
var GROWTH_SLOTS = 1;
var Scheduler = class {
  waiting = new WaitingQueue();
  moves;
  admission;
  /** Milliseconds of this code a step. */
  stepCost = new Samples(1024);
  #core;
  #listener;
  #roster;
  #lookAhead = new LookAhead();
  #traffic;
  #followers;
  #joiner;
  #pacer;
  #planner;
  #replies;
  #releaser;
  /** Submitted and not answered, by step. */
  #drafts = /* @__PURE__ */ new Map();
  #isPumping = false;
  #isStopped = false;
  constructor(core, store, listener) {
    this.#core = core;
    this.#listener = listener;
    this.#roster = new Roster(core.engine);
    this.#traffic = new Traffic(core.clock, () => this.#present);
    const moves = new Moves(core, store, this.#traffic, this.#lookAhead);
    this.moves = moves;
    this.#followers = new Followers(core, moves, () => this.active);
    this.admission = new Admission(this.waiting, moves, this.#followers, core.clock);
    this.#joiner = new Joiner(core);
    this.#pacer = new Pacer(this.#traffic, core.costs, () => this.waiting.length);
    this.#planner = new Planner(core, moves.room, moves.saver, this.#pacer);
    this.#replies = new ReplyReader(core, moves.saver, { finished: (sequence, row3) => this.#finish(sequence, row3) });
    this.#releaser = new Releaser(core, moves.saver, listener);
    core.events.on("frontWaited", () => this.pump());
    core.events.on("keyedNews", (handle) => this.#onKeyedNews(handle));
    core.events.on("followerWaited", () => this.pump());
    core.events.on("engineRefused", (thrown) => this.#broke(thrown));
    core.engine.onEvents = (events4) => this.#guard(() => this.#onEvents(events4));
  }
  get active() {
    return this.#roster.active;
  }
  /** How many requests wait, prepare or run. */
  get #present() {
    return this.waiting.length + this.active.length;
  }
  /** Nothing waits, runs or moves. */
  get isIdle() {
    const hasWork = this.#present > 0 || this.#drafts.size > 0;
    return !hasWork && this.moves.isIdle;
  }
  /** A step or a transfer is under way: something will be reported. */
  get isMoving() {
    return this.#drafts.size > 0 || this.moves.inFlight > 0;
  }
  /** Nothing is planned or read any more. */
  stop() {
    this.#isStopped = true;
    this.moves.close();
    this.#followers.close();
  }
  enqueue(sequence) {
    this.#guard(() => {
      this.moves.noteWants(sequence);
      this.moves.seek(sequence);
      this.#lookAhead.queued(sequence.wants.blocks.length);
      this.#traffic.arrives();
      this.waiting.add(sequence);
      this.pump();
    });
  }
  /** The client gave the answer up: no plan after the next unsent one names the sequence. */
  cancel(sequence) {
    if (sequence.state === "ended") return;
    this.#guard(() => {
      if (sequence.state === "waiting") {
        this.waiting.remove(sequence);
        this.#followers.forget(sequence);
        sequence.unwant();
        this.#end(sequence);
      } else {
        sequence.leave("cancelled");
      }
      this.pump();
    });
  }
  /** Everything that can be decided now, is. */
  pump() {
    if (this.#isPumping || this.#isStopped) return;
    this.#isPumping = true;
    this.#guard(() => {
      this.#decide();
      if (this.#isStuck) this.#decideAtLast();
    });
    this.#isPumping = false;
  }
  /** A round that breaks off leaves books that nothing may rely on, whether the engine refused a call or we have a bug. */
  #guard(work) {
    try {
      work();
    } catch (thrown) {
      this.#broke(thrown);
    }
  }
  /** The message of an error that is not ours might hold a user's text. */
  #broke(thrown) {
    if (thrown instanceof AttentionStoreError) return this.#listener.failed(thrown.code, thrown.message, thrown);
    const name2 = thrown instanceof Error ? thrown.name : typeof thrown;
    this.#listener.failed("internal", `a round of the scheduler broke off with a ${name2}`, thrown);
  }
  #decide() {
    this.moves.room.protectUpTo(this.#windowEnd);
    do {
      const isPreempted = this.#settleLeavers();
      this.moves.pumpDown();
      if (!isPreempted) this.#admit();
      for (const sequence of this.active) if (sequence.leaving === null && !sequence.loading.hasFailed) this.moves.advanceFront(sequence);
      this.#join();
      this.moves.pumpUp(this.waiting);
    } while (this.#submitNext());
    this.#core.desk.flush();
  }
  /** There is work, and nothing will ever be reported: too much is kept for requests that wait. */
  get #isStuck() {
    return !this.isMoving && this.#present > this.moves.holding;
  }
  #decideAtLast() {
    for (const { standing } of this.waiting) standing.retry();
    this.moves.room.asLastResort(() => this.#decide());
  }
  /** The eviction window: requests whose conversations fit the tiers below hbm together. */
  get #windowEnd() {
    const { tiers: tiers2, directory } = this.#core;
    const slots = LOWER_TIERS.reduce((sum, tier) => sum + (tiers2[tier] ? directory.pools[tier].total : 0), 0);
    return this.waiting.at(this.#lookAhead.length(slots) - 1)?.ticket ?? Infinity;
  }
  /** Fails everything that waits or runs. */
  failAll(error) {
    this.stop();
    for (const sequence of [...this.waiting, ...this.active]) sequence.turn.fail(error);
  }
  #onEvents(events4) {
    const start = performance.now();
    let steps = 0;
    for (const event of events4) {
      if (event.kind === "failed") return this.#listener.failed(event.code, event.message);
      if (this.#isStopped) continue;
      if (event.kind === "transfer") this.#core.desk.ended(event);
      else steps += this.#readReply(event);
    }
    if (this.#isStopped) return;
    this.pump();
    if (steps > 0) this.stepCost.add((performance.now() - start) / steps);
    this.#listener.settled();
  }
  #onKeyedNews(handle) {
    if (this.#isStopped) return;
    this.#guard(handle);
    this.pump();
    this.#listener.settled();
  }
  #readReply(reply) {
    const draft = this.#drafts.get(reply.step);
    if (!draft) return 0;
    this.#drafts.delete(reply.step);
    this.#roster.answered(reply.step);
    this.#replies.read(reply, draft, this.#roster.living);
    return 1;
  }
  /** One plan ahead: at most one is unanswered when the next is sent; none when that is long. */
  #submitNext() {
    const { options, desk, engine } = this.#core;
    if (this.#drafts.size >= (options.overlap ? 2 : 1)) return false;
    if (options.syncSave && this.moves.saver.inFlight > 0) return false;
    let hasPreempted = false;
    const running = this.active.filter((sequence) => sequence.state === "running");
    if (this.#drafts.size > 0 && this.#pacer.isHeavy(running)) return false;
    for (const sequence of running) this.#releaser.leaveView(sequence);
    const draft = this.#planner.draft(running, (starved) => hasPreempted = this.#makeRoomFor(starved) || hasPreempted);
    if (!draft) return hasPreempted;
    desk.flush();
    this.#drafts.set(draft.plan.step, draft);
    engine.submit(draft.plan);
    return true;
  }
  /** The youngest goes back to the queue, if anything is younger; one at a time, and only if no slot is on its way. */
  #makeRoomFor(starved) {
    const youngest = this.active.at(-1);
    if (!youngest || youngest === starved || this.active.some((sequence) => sequence.leaving !== null)) return false;
    if (this.moves.room.isHbmOnItsWay) return false;
    youngest.leave("preempted");
    this.#core.counters.preemptions++;
    return true;
  }
  /** Sequences that no unanswered step names any more leave. True: one of them was preempted just now. */
  #settleLeavers() {
    let isPreempted = false;
    for (const sequence of [...this.active]) {
      if (sequence.loading.hasFailed) sequence.leave("void");
      const reason = sequence.leaving;
      if (reason === null || this.#roster.isNamed(sequence)) continue;
      this.#leave(sequence, reason);
      isPreempted ||= reason === "preempted";
    }
    return isPreempted;
  }
  #leave(sequence, reason) {
    this.#releaser.release(sequence);
    this.#roster.deactivate(sequence);
    if (reason === "cancelled") return this.#end(sequence);
    sequence.wait(this.#core.clock.now());
    this.moves.noteWants(sequence);
    this.waiting.add(sequence);
  }
  /** Takes requests from the queue as long as there is room. Requests whose blocks are being fetched or loaded hold up no other. */
  #admit() {
    while (this.active.length < this.#core.options.maxRunning) {
      const isIdle = this.active.length === 0;
      const next = this.admission.next(isIdle, (sequence) => this.#acquire(sequence, isIdle ? 0 : GROWTH_SLOTS));
      if (!next) return;
      this.admission.admit(next);
      this.#prepare(next);
    }
  }
  /** false: there was no room, and will be none before the directory changes. */
  #acquire(sequence, reserve) {
    const { directory } = this.#core;
    if (sequence.standing.wasRefused(directory.version)) return false;
    if (this.moves.acquire(sequence, reserve)) return true;
    sequence.standing.refuse(directory.version);
    return false;
  }
  #prepare(sequence) {
    const now = this.#core.clock.now();
    sequence.prepare(now);
    sequence.trail.add("queued", sequence.times.queued, now);
    this.#roster.activate(sequence);
    this.#followers.rosterChanged();
  }
  #join() {
    for (const sequence of this.active) {
      if (sequence.state !== "preparing" || sequence.leaving !== null) continue;
      if (this.#joiner.mayRun(sequence, this.active, this.#drafts.size > 0)) this.#start(sequence);
    }
  }
  #start(sequence) {
    sequence.run(this.#core.clock.now());
    this.#roster.add(sequence);
  }
  /** A turn that was cancelled while its last step ran has been accounted for already. */
  #finish(sequence, row3) {
    if (sequence.state === "ended") return;
    const isCancelled = sequence.leaving === "cancelled";
    sequence.progress.finish(row3.computedTokens, row3.tailKey ?? null);
    this.#releaser.release(sequence);
    this.#roster.deactivate(sequence);
    this.#end(sequence);
    if (!isCancelled) this.#listener.finished(sequence, row3);
  }
  #end(sequence) {
    this.#roster.end(sequence);
    this.#traffic.ended();
  }
};

// ts/scheduler/sequence/start-finder.ts
var StartFinder = class {
  #core;
  #aliases;
  constructor(core, aliases) {
    this.#core = core;
    this.#aliases = aliases;
  }
  async find(prompt) {
    const { view, tokens } = prompt;
    if (view === null || tokens.length <= view.window) return [await this.#start(prompt, 0)];
    const cold = leftOut(view, tokens.length - 1);
    const isRolled = this.#core.tiers.keeps && this.#core.options.reuseAfterTruncation;
    if (!isRolled) return [await this.#start(prompt, cold)];
    const whole = await this.#start(prompt, 0);
    const epoch = this.#aliases.find(whole.keys, view);
    const known = epoch === null ? cold : epoch * view.step;
    const others = known === cold ? [cold] : [known, cold];
    return [whole, ...await Promise.all(others.map((hidden) => this.#start(prompt, hidden)))];
  }
  /** The answer is complete: a sequence that began without a part of its history is found by the history's keys. */
  answered(sequence) {
    const { start, starts: [whole], spec: { view }, history, tokens, promptLength, tenant: tenant2, turn } = sequence;
    if (view === null || start.leftOut === 0 || whole.leftOut > 0) return;
    const epoch = start.leftOut / view.step;
    const known = Math.floor(history.length / BLOCK_TOKENS);
    const ofPrompt = whole.keys[known - 1];
    const conversation = conversationKey(tenant2, turn.conversation);
    this.#aliases.put(ofPrompt, view, epoch, conversation);
    const rest = Uint32Array.of(...history.subarray(known * BLOCK_TOKENS), ...tokens.view(promptLength));
    const last = this.#extend(ofPrompt, known, rest, view);
    if (last !== ofPrompt) this.#aliases.put(last, view, epoch, conversation);
  }
  async #start({ root, tokens, view }, hidden) {
    const kept = hidden === 0 || view === null ? tokens : without2(tokens, view.head, hidden);
    const isUseful = this.#core.tiers.keeps && kept.length >= BLOCK_TOKENS;
    return { leftOut: hidden, tokens: kept, keys: isUseful ? await this.#core.engine.text.keys(root, kept, view) : [] };
  }
  /** Key of the last full block of `tokens` behind block `index − 1`. */
  #extend(parent, index2, tokens, view) {
    let key = parent;
    for (let from = 0; from + BLOCK_TOKENS <= tokens.length; from += BLOCK_TOKENS) {
      key = this.#core.engine.text.blockKey(key, index2 + from / BLOCK_TOKENS, tokens.slice(from, from + BLOCK_TOKENS), view);
    }
    return key;
  }
};
function without2(tokens, head3, hidden) {
  const kept = new Uint32Array(tokens.length - hidden);
  kept.set(tokens.subarray(0, head3));
  kept.set(tokens.subarray(head3 + hidden), head3);
  return kept;
}

// ts/service/status.ts
var TYPICAL_PROMPT = 1024;
function cacheStatus(core, scheduler) {
  const wanted = wantedBlocks(scheduler);
  return {
    tiers: SLOT_TIERS.map((tier) => tierStatus(core, tier, wanted)),
    policy: core.options.policy,
    ioEngine: core.engine.info.ioEngine
  };
}
function wantedBlocks(scheduler) {
  const wanted = /* @__PURE__ */ new Set();
  for (const { table } of scheduler.active) for (const [, { block }] of table) if (block) wanted.add(block);
  for (const sequence of scheduler.waiting) for (const block of sequence.wants.blocks) wanted.add(block);
  return wanted;
}
function tierStatus(core, tier, wanted) {
  const { directory, engine, counters } = core;
  const pool = directory.pools[tier];
  const slotBytes = engine.info[TIERS[tier].blockBytes];
  let running = 0;
  let waiting = 0;
  for (const block of wanted) {
    if (!directory.inTier[tier].has(block)) continue;
    if (block.refs > 0) running++;
    else if (block.wants > 0) waiting++;
  }
  const ownSlots = tier === "hbm" ? directory.reserved.hbm.size : 0;
  const total = directory.inTier[tier].size + ownSlots;
  return {
    name: tier,
    medium: mediumOf(core, tier),
    capacityBytes: pool.total * slotBytes,
    usedBytes: (pool.total - pool.free) * slotBytes,
    capacityBlocks: pool.total,
    blocks: { total, running: running + ownSlots, waiting, resting: total - running - waiting - ownSlots },
    hitTokens: counters.reused[tier]
  };
}
function mediumOf(core, tier) {
  const { medium } = TIERS[tier];
  if (medium !== "device") return medium;
  return core.engine.info.device.startsWith("cuda") ? "gpu" : "arena";
}
function serviceCounters(core, scheduler) {
  const { counters } = core;
  let preparing = 0;
  for (const sequence of scheduler.active) if (sequence.state === "preparing") preparing++;
  const fetching = scheduler.admission.preparing;
  const prefetches = scheduler.moves.prefetches.counts();
  return {
    requestsTotal: { ...counters.requests },
    queued: scheduler.waiting.length - fetching,
    preparing: preparing + fetching,
    running: scheduler.active.length - preparing,
    promptTokens: counters.promptTokens,
    completionTokens: counters.completionTokens,
    computedTokens: counters.computedTokens,
    recomputedTokens: counters.recomputedTokens,
    reusedTokens: { ...counters.reused },
    missedTokens: { ...counters.missed },
    savedMs: counters.savedMs,
    prefillTokensPerS: prefillSpeed(core),
    preemptions: counters.preemptions,
    failedTransfers: counters.failedTransfers.list(),
    droppedBlocks: { ...counters.dropped },
    abandonedBlocks: { ...counters.abandoned },
    savedBlocks: counters.savedBlocks,
    loadedBlocks: counters.loadedBlocks,
    promotedBlocks: counters.promotedBlocks,
    writtenBlocks: counters.writtenBlocks,
    prefetchedBlocks: counters.prefetchedBlocks,
    bufferedBlocks: counters.bufferedBlocks,
    prefetchHits: prefetches.hits,
    wastedPrefetches: prefetches.wasted,
    ...core.keyed ? { keyedBlocks: { ...counters.keyed } } : {},
    historyChoices: { ...counters.history },
    scheduleMs: { p50: scheduler.stepCost.quantile(0.5), p99: scheduler.stepCost.quantile(0.99) }
  };
}
function prefillSpeed({ costs, options }) {
  const ms = costs.promptMs(TYPICAL_PROMPT, options.maxBatchTokens);
  return ms === null || ms === 0 ? null : 1e3 * TYPICAL_PROMPT / ms;
}

// ts/scheduler/accounts/what-if/anchor.ts
function anchored(rate, { modelled, measured, attainable }) {
  if (rate === modelled) return measured;
  if (rate < modelled) return rate * measured / modelled;
  const top = Math.max(attainable, measured);
  return attainable <= modelled ? measured : top - (top - measured) * Math.max(0, attainable - rate) / (attainable - modelled);
}
function anchoredError(sampling, moved, ratio) {
  const distance = ratio <= 0 ? 1 : Math.min(1, Math.abs(Math.log2(ratio)));
  return Math.hypot(sampling, moved * distance);
}

// ts/service/what-if.ts
var POINTS = 40;
var SMALLEST = 1 / 32;
var LARGEST = 4;
var ADDED = [0.5, 1, 2];
var BY_STACK = "reuse distances of blocks sampled by the hash of their keys (SHARDS), in the stack of a least-recently-used cache that gives up tails first.";
var BY_MINIATURE = "the policy itself runs at other capacities too, each with a sample of the blocks in a cache that is smaller by the same ratio.";
var ANCHORED = "The curve goes through the rate that was measured; its error (95 %) is that of the sampling, and what measuring moved it by.";
function whatIf(core) {
  const { curve, options } = core;
  return {
    requests: curve.requests,
    samplingRate: curve.samplingRate,
    sampledBlocks: curve.sampledBlocks,
    method: `Estimated while requests pass: ${options.policy === "lru" ? BY_STACK : BY_MINIATURE} ${ANCHORED}`,
    policy: options.policy,
    tiers: SLOT_TIERS.map((name2) => tierCurve(core, name2))
  };
}
function tierCurve(core, name2) {
  const { curve, directory, engine } = core;
  const slotBytes = name2 === "hbm" ? engine.info.blockBytes : engine.info.hostSlotBytes;
  const own2 = directory.pools[name2].total;
  const { above, at } = estimates(core, name2);
  const point = (blocks) => ({ bytes: blocks * slotBytes, ...at(Math.max(blocks, above)) });
  const current = point(own2);
  const gain = (added) => {
    const { bytes, hitRate, error } = point(own2 + added);
    return { addBytes: bytes - own2 * slotBytes, from: current.hitRate, to: hitRate, error };
  };
  return {
    name: name2,
    capacityBytes: own2 * slotBytes,
    current,
    modelledHitRate: curve.at(Math.max(own2, above)).hitRate,
    points: capacities(own2, curve.workingSet).map(point),
    gains: additions(own2, curve.workingSet).map(gain)
  };
}
function estimates({ curve, directory }, name2) {
  const faster = SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(name2));
  const above = Math.max(0, ...faster.map((tier) => directory.pools[tier].total));
  const present = Math.max(directory.pools[name2].total, above);
  const anchor = { modelled: curve.at(present).hitRate, measured: curve.measured([...faster, name2]), attainable: curve.attainable };
  const at = (blocks) => {
    if (blocks === 0) return { hitRate: 0, error: 0 };
    if (blocks === present) return { hitRate: anchor.measured, error: 0 };
    const { hitRate: modelled } = curve.at(blocks);
    const hitRate = anchored(modelled, anchor);
    return { hitRate, error: anchoredError(curve.difference(present, blocks), hitRate - modelled, blocks / present) };
  };
  return { above, at };
}
function capacities(own2, workingSet) {
  const last = Math.max(LARGEST * own2, 1.25 * workingSet, 2);
  const first = Math.max(1, Math.min(own2 || workingSet, workingSet || own2) * SMALLEST);
  const steps = Array.from({ length: POINTS }, (_, i) => Math.round(first * (last / first) ** (i / (POINTS - 1))));
  return [0, ...new Set(steps)];
}
function additions(own2, workingSet) {
  const power = 2 ** Math.floor(Math.log2(Math.max(2, own2 || workingSet)));
  return ADDED.map((part2) => part2 * power);
}

// ts/service/service.ts
var HOUSEKEEPING_MS = 1e4;
function createInferenceService(engine, given = {}) {
  const options = serviceOptions(engine.info, given);
  const mostContext = Math.min(engine.info.modelContext, contextThatFits(engine.info.slots.hbm));
  if (options.maxContext > mostContext || options.maxContext < 2) {
    const message2 = `the context of ${options.maxContext} tokens is too long: the model and the hbm tier allow ${mostContext}`;
    throw new ExitError(2, "context_does_not_fit", message2, { max_context: options.maxContext, fits: mostContext });
  }
  checkWindow(options);
  return new Service(createCore(engine, options));
}
function checkWindow({ contextWindow, maxContext, truncationRatio }) {
  const isWindow = contextWindow === null || contextWindow >= MIN_WINDOW && contextWindow <= maxContext;
  if (isWindow && truncationRatio > 0 && truncationRatio <= 1) return;
  const message2 = `the window of ${contextWindow} tokens or the ratio of ${truncationRatio} is out of range: a window has ${MIN_WINDOW} to ${maxContext} tokens, a ratio is above 0 and at most 1`;
  throw new ExitError(2, "window_does_not_fit", message2, { context_window: contextWindow, truncation_ratio: truncationRatio });
}
var Service = class {
  #core;
  #kept;
  conversations;
  responses;
  #scheduler;
  #starts;
  #intake;
  #controls;
  #accounts;
  /** Of the turns that have not ended: what leaves here is counted and recorded, once. */
  #intakes = /* @__PURE__ */ new Map();
  /** Requests that are being tokenised: they count as queued. */
  #arriving = 0;
  #state = "open";
  #failure = null;
  failed;
  #announceFailure = () => {
  };
  #closed = null;
  #changes = new Changes();
  #watch;
  #cancelHousekeeping = () => {
  };
  constructor(core) {
    const { options } = core;
    this.failed = new Promise((resolve) => this.#announceFailure = resolve);
    const dataDir = options.noReuse ? null : options.dataDir;
    const secret = messageSecret(dataDir);
    const accounts = new Accounts(core, options.onRequestLogged ? new RequestLog(core, secret, options.onRequestLogged) : null);
    const kept = restoreKept(core, dataDir, secret);
    const scheduler = new Scheduler(core, kept.store, {
      released: (sequence, keys) => this.#released(sequence, keys),
      finished: (sequence, row3) => this.#finished(sequence, row3),
      failed: (code, message2, cause) => this.#failed(code, message2, cause),
      settled: () => this.#changes.announce()
    });
    const starts = new StartFinder(core, kept.aliases);
    const nextChange = () => this.#nextChange();
    const controls = new CacheControls(core, scheduler, nextChange);
    const { maxResponseBytes: maxBytes, responseTtlMs: ttlMs } = options;
    this.responses = new MemoryResponses({ maxBytes, ttlMs, now: () => core.clock.now() });
    core.events.on("conversationForgotten", (key) => this.responses.eraseConversation(key));
    this.conversations = new ConversationControls(core, {
      scheduler,
      conversations: kept.conversations,
      referrers: kept.referrers,
      aliases: kept.aliases,
      controls,
      records: accounts.records,
      responses: this.responses,
      nextChange,
      flushed: async () => kept.database?.flushed()
    });
    this.#core = core;
    this.#accounts = accounts;
    this.#kept = kept;
    this.#scheduler = scheduler;
    this.#starts = starts;
    this.#intake = new IntakeDesk(core, kept.conversations, starts);
    this.#controls = controls;
    const { directory } = core;
    this.#watch = new IntegrityWatch(core.clock, {
      isIdle: () => scheduler.isIdle,
      version: () => directory.version + directory.users.version,
      check: () => directory.checks(),
      broken: (thrown) => this.#booksAreWrong(thrown)
    });
    this.#scheduleHousekeeping();
  }
  get modelContext() {
    return this.#core.options.maxContext;
  }
  get records() {
    return this.#accounts.records;
  }
  get ready() {
    return this.#state === "open";
  }
  get failure() {
    return this.#failure;
  }
  async start(request) {
    try {
      this.#checkOpen();
      this.#checkQueue();
      const intake = await this.#arrive(request);
      this.#checkOpen();
      this.#kept.conversations.accept(intake.resolution);
      this.#intakes.set(intake.sequence, intake);
      this.#accounts.queued(intake.sequence);
      this.#scheduler.enqueue(intake.sequence);
      return intake.turn;
    } catch (error) {
      this.#core.counters.requests.rejected++;
      throw error;
    }
  }
  async tokenizeChat(chat2, mostTokens2) {
    const { engine, options, clock } = this.#core;
    const text5 = { ...chatText(chat2, messageTexts(chat2.messages), options.templateArguments), ending: chat2.ending };
    return (await engine.text.encodeChat(text5, isoDay(clock.now()), mostTokens2)).tokens;
  }
  async countPrompt(request) {
    this.#checkOpen();
    return this.#intake.count(request);
  }
  cacheStatus() {
    return cacheStatus(this.#core, this.#scheduler);
  }
  cacheMap() {
    return cacheMap(this.#core, this.#scheduler);
  }
  whatIf() {
    return whatIf(this.#core);
  }
  counters() {
    return serviceCounters(this.#core, this.#scheduler);
  }
  /** What was demoted is found again even if the server is killed right after the answer. */
  async demote(to) {
    const receipt = await this.#controls.demote(to);
    await this.#kept.database?.flushed();
    return receipt;
  }
  async reset() {
    const receipt = this.#controls.reset();
    await this.#kept.database?.flushed();
    return receipt;
  }
  checkIntegrity() {
    this.#core.directory.checkIntegrity();
  }
  close(graceMs) {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }
  async #arrive(request) {
    this.#arriving++;
    try {
      return await this.#intake.take(request, (sequence) => this.#cancelled(sequence));
    } finally {
      this.#arriving--;
    }
  }
  #checkOpen() {
    if (this.#failure) throw this.#failure;
    if (this.#state === "draining") throw new ApiError("draining", "The server is shutting down.");
  }
  #checkQueue() {
    const queued = this.#scheduler.waiting.length + this.#arriving;
    if (queued < this.#core.options.maxQueue) return;
    const message2 = `The queue is full: ${queued} requests are waiting (limit ${this.#core.options.maxQueue}).`;
    throw new ApiError("queue_full", message2, null, { queued, max_queue: this.#core.options.maxQueue, retry_after: this.#retryAfter() });
  }
  /** Seconds until the queue is likely shorter: what waits before a newcomer at the pace of the running ones. */
  #retryAfter() {
    const rounds = this.#scheduler.waiting.length / Math.max(1, this.#scheduler.active.length);
    return Math.min(60, Math.max(1, Math.ceil(rounds * this.#accounts.meanTurnMs / 1e3)));
  }
  /** Also of a cancelled turn: what was computed of its prompt is the conversation's. */
  #released(sequence, keys) {
    const { tenant: tenant2, turn } = sequence;
    if (!this.#core.tiers.keeps || !this.#kept.conversations.get(tenant2, turn.conversation)) return;
    const intake = this.#intakes.get(sequence);
    if (intake) intake.leaf = keys.findLast((key) => this.#core.directory.blocks.has(key)) ?? null;
    this.#kept.referrers.refer(conversationKey(tenant2, turn.conversation), keys);
  }
  #finished(sequence, row3) {
    const intake = this.#intakes.get(sequence);
    if (!intake) return;
    this.#intakes.delete(sequence);
    const inside = sequence.tokens.copy(sequence.promptLength, sequence.promptLength + (row3.insideTokens ?? 0));
    const hash = sequence.answer?.end() ?? null;
    const { leftOut: leftOut2 } = sequence.start;
    const shape = { length: leftOut2 + sequence.tokens.length, leftOut: leftOut2, leaf: intake.leaf };
    const whole = inside.length === sequence.answerLength;
    const record2 = { tokens: inside, bytes: row3.insideBytes ?? 0, reasoning: Math.min(inside.length, row3.reasoningTokens ?? 0), whole };
    this.#kept.conversations.answered(intake.resolution, { hash, record: record2, ...shape });
    this.#starts.answered(sequence);
    const usage2 = { ...this.#accounts.usageOf(sequence), reasoningTokens: row3.reasoningTokens ?? 0 };
    const finish = finishOf(row3, intake.turn.calls);
    intake.turn.finish({ type: "done", finish, stopReason: row3.stopped ?? null, usage: usage2 });
    this.#accounts.answered(sequence, usage2, finish);
  }
  #cancelled(sequence) {
    if (!this.#intakes.delete(sequence)) return;
    this.#accounts.cancelled(sequence);
    this.#scheduler.cancel(sequence);
    this.#changes.announce();
  }
  /** From here on nothing is computed, moved or remembered. The first reason is the one that is told. */
  #failed(code, message2, cause) {
    if (this.#failure) return;
    this.#state = "failed";
    this.#failure = new ApiError("engine_error", `The engine stopped: ${message2} (${code})`, null, { engine_code: code }, { cause });
    for (const sequence of this.#intakes.keys()) this.#accounts.failed(sequence, this.#failure.code);
    this.#scheduler.failAll(this.#failure);
    this.#intakes.clear();
    this.#changes.announce();
    this.#announceFailure(this.#failure);
  }
  /** Resolves at the next end of a step or transfer; rejects where there will be none, because the engine has ended. */
  async #nextChange() {
    if (!this.#failure) await this.#changes.next();
    if (this.#failure) throw this.#failure;
  }
  #scheduleHousekeeping() {
    const { clock, options } = this.#core;
    const { sessionTtlMs } = options;
    const period = sessionTtlMs === null ? HOUSEKEEPING_MS : Math.max(100, Math.min(HOUSEKEEPING_MS, sessionTtlMs / 4));
    const run = () => {
      this.#keepHouse(sessionTtlMs);
      this.#cancelHousekeeping = clock.after(period, run, { background: true });
    };
    this.#cancelHousekeeping = clock.after(period, run, { background: true });
  }
  #keepHouse(sessionTtlMs) {
    try {
      if (sessionTtlMs !== null) this.#controls.dropIdle(this.#core.clock.now() - sessionTtlMs);
      this.responses.expire();
      this.#watch.begin();
    } catch (thrown) {
      this.#booksAreWrong(thrown);
    }
  }
  #booksAreWrong(thrown) {
    this.#failed("internal", "the books of blocks and slots do not add up", thrown);
  }
  async #close(graceMs) {
    this.#cancelHousekeeping();
    this.#watch.stop();
    if (this.#state === "open") this.#state = "draining";
    const draining = new ApiError("draining", "The server is shutting down.");
    for (const sequence of [...this.#scheduler.waiting]) if (!sequence.isAdded) this.#refuse(sequence, draining);
    await this.#drain(graceMs, draining);
    this.#scheduler.moves.hurry();
    while (this.#state !== "failed" && !this.#scheduler.isIdle) {
      this.#scheduler.pump();
      if (!this.#scheduler.isMoving) break;
      await this.#changes.next();
    }
    this.#scheduler.stop();
    await this.#accounts.close();
    if (!this.#failure) this.#kept.store?.refresh(this.#core.directory.inTier.ssd);
    await this.#kept.database?.close();
  }
  /** Running answers have `graceMs`; then they are cut off. */
  async #drain(graceMs, error) {
    let isOver = graceMs <= 0;
    const cancelTimer = this.#core.clock.after(Math.max(0, graceMs), () => {
      isOver = true;
      this.#changes.announce();
    });
    while (this.#state !== "failed" && !isOver && this.#scheduler.active.length + this.#scheduler.waiting.length > 0) {
      await this.#changes.next();
    }
    cancelTimer();
    for (const sequence of [...this.#scheduler.waiting, ...this.#scheduler.active]) this.#refuse(sequence, error);
  }
  #refuse(sequence, error) {
    if (!this.#intakes.delete(sequence)) return;
    sequence.turn.fail(error);
    this.#accounts.failed(sequence, error.code);
    this.#scheduler.cancel(sequence);
  }
};
function finishOf({ finish, stopped }, calls) {
  return finish === "stop" && calls > 0 && typeof stopped !== "string" ? "tool_calls" : finish ?? "stop";
}

// ts/engine/sampling.ts
var GREEDY = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0n,
  logprobs: null
};

// test/support/simulated-service.ts
function simulatedService(engineOptions = {}, serviceOptions2 = {}, failures = []) {
  const clock = new VirtualClock();
  const engine = new SimulatedEngine({ clock, slots: { hbm: 64, dram: 128, ssd: 512 }, ...engineOptions });
  const service = createInferenceService(engine, { clock, ...typeof serviceOptions2 === "function" ? serviceOptions2(engine, clock) : serviceOptions2 });
  const handle = engine.onEvents;
  engine.onEvents = (events4) => {
    try {
      handle(events4);
      const { failure } = service;
      if (failure && failure.context["engine_code"] === "internal") throw failure.cause;
      service.checkIntegrity();
    } catch (error) {
      failures.push(error);
      throw error;
    }
  };
  const close = async () => {
    await service.close(0);
    await engine.close();
  };
  return { engine, service, clock, close };
}
function chat(messages3, rest = {}) {
  return {
    requestId: "request",
    tenant: "",
    cacheSalt: "",
    conversation: null,
    conversationHint: null,
    prompt: { kind: "chat", messages: [...messages3] },
    sampling: GREEDY,
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: 32,
    truncation: "disabled",
    ...rest
  };
}
async function readTurn(turn) {
  let text5 = "";
  const tokens = [];
  for await (const event of turn) {
    if (event.type === "done") return { text: text5, tokens, finish: event.finish, usage: event.usage };
    if (event.type !== "delta") continue;
    text5 += event.text;
    tokens.push(...event.tokens);
  }
  return null;
}
async function ask(service, request) {
  const answer2 = await readTurn(await service.start(request));
  if (!answer2) throw new Error("the turn was cancelled");
  return answer2;
}

// test/unit/support/api.ts
import OpenAI from "openai";

// ts/api/listen.ts
import { createServer } from "node:http";
import { createServer as createSocketServer, isIPv6 } from "node:net";

// ts/api/app.ts
import { randomUUID as randomUUID6 } from "node:crypto";
import express2 from "express";
import helmet from "helmet";

// ts/protocol/schemas/conversations.ts
import { z as z3 } from "zod";
var MAX_CONVERSATION_ROWS = 1e3;
var CONVERSATION_ID = /^[A-Za-z0-9._:-]{1,128}$/;
var TENANT_NAME = /^[A-Za-z0-9._:-]{0,64}$/;
var count4 = z3.int().nonnegative();
var tenant = z3.string().regex(TENANT_NAME, "up to 64 of A-Z a-z 0-9 . _ : -");
var instant = z3.int().meta({ description: "milliseconds since the Unix epoch" });
var id = z3.string();
var ConversationParams = z3.object({ id: z3.string().regex(CONVERSATION_ID, "1 to 128 of A-Z a-z 0-9 . _ : -") });
var ConversationTarget = z3.object({
  tenant: tenant.optional().meta({ description: "needed only if several tenants have a conversation of this id" })
});
var ConversationQuery = z3.object({
  cursor: z3.string().regex(/^\d{1,16}$/, "the next_cursor of a page").optional().meta({ description: "next_cursor of the page before" }),
  limit: z3.coerce.number().int().min(1).max(MAX_CONVERSATION_ROWS).default(100),
  tenant: tenant.optional().meta({ description: "only those of this tenant; default: all" }),
  q: z3.string().max(128).optional().meta({ description: "only ids that contain this" })
});
var held = z3.object({ blocks: count4, tokens: count4 });
var BlockRun = z3.object({
  tier: z3.enum(TIER_NAMES).nullable().meta({ description: "the fastest tier that has them; null: in none" }),
  blocks: z3.int().positive()
});
var ConversationRow = z3.object({
  id,
  tenant,
  turns: count4,
  tokens: count4.meta({ description: "length of the last turn, prompt and answer" }),
  created_at_ms: instant,
  last_used_at_ms: instant,
  forked_from: z3.string().nullable(),
  active_turns: count4.meta({ description: "turns that wait or run now" }),
  tiers: z3.object(perTier(() => held)).meta({ description: "blocks that are kept, all branches together, each counted once, in the fastest tier that has it" }),
  strip: z3.array(BlockRun).meta({ description: "where the blocks of the last turn lie, run-length encoded" })
}).meta({ id: "Conversation" });
var ConversationPage = z3.object({
  conversations: z3.array(ConversationRow),
  total: count4.meta({ description: "conversations that match tenant and q, on all pages" }),
  next_cursor: z3.string().nullable().meta({ description: "null: this is the last page" })
}).meta({ id: "ConversationPage" });
var WarmResponse = z3.object({
  conversation: id,
  blocks: count4.meta({ description: "blocks of the conversation that some tier holds" }),
  promoted_blocks: count4.meta({ description: "read from ssd to dram" }),
  loaded_blocks: count4.meta({ description: "copied to hbm, where it had free slots" }),
  tiers: z3.object(perTier(() => count4)).meta({ description: "blocks by the fastest tier, afterwards" })
}).meta({ id: "WarmResponse" });
var DemoteConversationResponse = z3.object({
  conversation: id,
  demoted_blocks: count4,
  skipped_in_use: count4,
  skipped_shared: count4.meta({ description: "blocks that other conversations use too: they stay where they are" })
}).meta({ id: "DemoteConversationResponse" });
var ForkResponse = z3.object({
  conversation: id.meta({ description: "the new id; send it as `conversation` with the whole history" }),
  forked_from: id,
  tenant,
  shared_blocks: count4.meta({ description: "blocks that both use from now on" })
}).meta({ id: "ForkResponse" });
var EraseReceipt = z3.object({
  conversation: id,
  tenant,
  blocks_erased: count4,
  bytes_erased: count4.meta({ description: "of all copies, in all tiers" }),
  tiers: z3.object(perTier(() => count4)).meta({ description: "copies erased, by tier" }),
  remains_overwritten: count4.meta({ description: "free slots on ssd that still held blocks which it had lost before" }),
  records_erased: count4.meta({ description: "token records of answers" }),
  responses_erased: count4.meta({ description: "kept responses of POST /v1/responses" }),
  requests_anonymised: count4.meta({ description: "records of requests that no longer name it" }),
  kept_shared: z3.array(z3.object({ key: z3.string().meta({ description: "64 hex digits" }), referrers: z3.array(z3.string()) })).meta({ description: "blocks that stay, and the conversations that use them (up to 100 each)" })
}).meta({ id: "EraseReceipt" });

// ts/surfaces/turns.ts
var ClientGone = class extends Error {
  name = "ClientGone";
};
async function startTurns(requests, signal, { service, telemetry }) {
  const startedAt = performance.now();
  const outcomes = await Promise.allSettled(requests.map((request) => service.start(request)));
  const turns = outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []);
  const cancelAll = () => turns.forEach((turn) => turn.cancel());
  const refused2 = outcomes.find((outcome) => outcome.status === "rejected");
  if (refused2) {
    cancelAll();
    throw refused2.reason;
  }
  if (signal.aborted) cancelAll();
  signal.addEventListener("abort", cancelAll, { once: true });
  return turns.map((turn) => telemetry.observed(turn, startedAt));
}
async function* mergeTurns(turns) {
  const iterators = turns.map((turn) => turn[Symbol.asyncIterator]());
  const next = async (index2) => ({ index: index2, result: await iterators[index2]?.next() });
  const pending = new Map(turns.map((_, index2) => [index2, next(index2)]));
  try {
    while (pending.size > 0) {
      const { index: index2, result: result2 } = await Promise.race(pending.values());
      if (result2 === void 0 || result2.done) {
        pending.delete(index2);
        continue;
      }
      pending.set(index2, next(index2));
      yield [index2, result2.value];
    }
  } finally {
    turns.forEach((turn) => turn.cancel());
    for (const promise of pending.values()) promise.catch(() => {
    });
  }
}
async function readAnswer(turn) {
  const parts = [];
  const deltas = [];
  for await (const event of turn) {
    if (event.type === "done") return answerOf(parts, deltas, event);
    if (event.type === "delta") deltas.push(event);
    addEvent(parts, event);
  }
  throw new ClientGone("The turn was cancelled.");
}
function answerOf(parts, deltas, done2) {
  const joined = (kind) => parts.map((part2) => part2.kind === kind ? part2.text : "").join("");
  const calls = parts.flatMap((part2) => part2.kind === "call" ? [part2.call] : []);
  return { parts, text: joined("content"), reasoning: joined("reasoning"), calls, deltas, done: done2 };
}
function addEvent(parts, event) {
  if (event.type === "call") {
    parts.push({ kind: "call", call: { id: event.id, name: event.name, arguments: "" } });
    return;
  }
  if (event.text === "") return;
  const last = parts.at(-1);
  if (event.type === "arguments") {
    if (last?.kind !== "call") throw new Error("arguments without a call");
    parts[parts.length - 1] = { kind: "call", call: { ...last.call, arguments: last.call.arguments + event.text } };
    return;
  }
  const kind = event.type === "delta" ? "content" : "reasoning";
  if (last?.kind === kind) parts[parts.length - 1] = { kind, text: last.text + event.text };
  else parts.push({ kind, text: event.text });
}

// ts/protocol/engine-codes.ts
var messages = { field: "messages" };
var constraint = { field: "response_format" };
var NATIVE_CODES = {
  // crates/engine
  protocol: "engine",
  invalid_option: "configuration",
  engine_closed: "engine",
  grammars_busy: "engine",
  // crates/grammar; the surface says which of its fields asked for the constraint
  grammar_too_large: constraint,
  grammar_unsupported: constraint,
  grammar_invalid: constraint,
  grammar_too_complex: constraint,
  // crates/model
  model_io: "configuration",
  model_malformed: "configuration",
  model_unsupported: "configuration",
  model_invalid: "configuration",
  model_memory: "configuration",
  template: "configuration",
  model_device: "device",
  // crates/model, of one request's text
  template_missing: messages,
  template_refused: messages,
  template_failed: messages,
  template_fuel: messages,
  template_output: messages,
  template_untraceable: messages,
  template_values: messages,
  template_not_continuable: messages,
  template_argument: { field: "chat_template_kwargs" },
  invalid_role: messages,
  prompt_too_long: messages,
  invalid_stop: { field: "stop" },
  unknown_token: { field: "prompt" },
  tokenizer: "engine",
  // crates/kv
  kv_invalid: "configuration",
  kv_damaged: "engine",
  kv_foreign: "engine",
  kv_io: "configuration",
  kv_no_space: "configuration",
  kv_memory: "configuration",
  kv_queue_full: "engine",
  kv_locked: "configuration",
  kv_closed: "engine"
};
function causeOf(code) {
  return Object.hasOwn(NATIVE_CODES, code) ? NATIVE_CODES[code] : "engine";
}

// ts/api/errors.ts
var STATUSES = {
  invalid_value: 400,
  context_length_exceeded: 400,
  unsupported_parameter: 400,
  invalid_api_key: 401,
  forbidden: 403,
  model_not_found: 404,
  not_found: 404,
  previous_response_not_found: 404,
  method_not_allowed: 405,
  tier_disabled: 409,
  in_use: 409,
  body_too_large: 413,
  misdirected: 421,
  queue_full: 429,
  too_many_attempts: 429,
  engine_error: 500,
  engine_stopped: 503,
  draining: 503
};
var RETRY_AFTER_S = { queue_full: 1, draining: 10 };
function statusOf(error) {
  return STATUSES[error.code];
}
function errorHeaders(error) {
  if (error.code === "invalid_api_key") return { "www-authenticate": 'Bearer realm="attentionstore"' };
  if (error.code === "method_not_allowed") return { allow: String(error.context["allow"]) };
  const seconds = error.context["retry_after"] ?? RETRY_AFTER_S[error.code];
  return seconds === void 0 ? {} : { "retry-after": String(seconds) };
}
function errorBody(error, { errors: errors4 }) {
  const status3 = statusOf(error);
  const shown = status3 < 500 ? error : new ApiError(error.code, withoutPaths(error), error.param, error.context);
  return errors4.body(shown, status3);
}
var ABSOLUTE_PATH = /(?<![\w./:])\/(?!\/)[^\s"'()<>,;:]+/g;
function withoutPaths({ message: message2, context }) {
  const { path } = context;
  const known = typeof path === "string" && path !== "" ? message2.replaceAll(path, "\u2026") : message2;
  return known.replace(ABSOLUTE_PATH, "\u2026");
}
function toApiError(thrown) {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof URIError) return new ApiError("invalid_value", "The path of the request is not percent-encoded UTF-8.");
  if (isBodyError(thrown)) return bodyError(thrown);
  const cause = thrown instanceof EngineError ? causeOf(thrown.code) : "engine";
  if (typeof cause === "object") {
    return new ApiError("invalid_value", `${cause.field}: ${thrown.message}`, cause.field, {}, { cause: thrown });
  }
  const code = thrown instanceof AttentionStoreError ? ` (${thrown.code})` : "";
  return new ApiError("engine_error", `The server failed to answer${code}. Its log has the reason.`, null, {}, { cause: thrown });
}
function isBodyError(thrown) {
  return thrown instanceof Error && "status" in thrown && typeof thrown.status === "number" && thrown.status >= 400 && thrown.status < 500;
}
function bodyError(error) {
  if (error.type === "entity.too.large") {
    return new ApiError("body_too_large", "The request body is larger than --max-body-bytes allows.");
  }
  const sentences = {
    "entity.parse.failed": "The request body is not JSON.",
    "request.aborted": "The request body ended early.",
    "decompression.failed": "The request body is not compressed as its content-encoding says, or ends early.",
    "encoding.unsupported": "The content encoding of the request body is not supported. Use gzip, deflate or br.",
    "charset.unsupported": "The charset of the request body is not supported. Use UTF-8."
  };
  const { type = "decompression.failed" } = error;
  return new ApiError("invalid_value", sentences[type] ?? "The request body could not be read.");
}

// ts/api/foreign-routes.ts
var TURNS = "POST /v1/chat/completions, /v1/completions, /v1/responses and /v1/messages";
var FOREIGN2 = [
  { path: /^\/(v1\/)?embeddings?$|^\/api\/embed(dings)?$/, lacks: "does not make embeddings" },
  { path: /^\/(v1\/|v2\/)?(rerank|score)$|^\/v1\/(classify|moderations)$/, lacks: "does not rank, score or moderate texts" },
  { path: /^\/v1\/(audio|realtime)(\/|$)/, lacks: "does not work with audio" },
  { path: /^\/v1\/(images|videos)(\/|$)/, lacks: "does not work with images or videos" },
  { path: /^\/v1\/(files|uploads|batches|vector_stores|containers|skills)(\/|$)|^\/v1\/messages\/batches(\/|$)/, lacks: "keeps no files and runs no batches" },
  { path: /^\/v1\/(assistants|threads|conversations|evals|fine_tuning)(\/|$)/, lacks: "has no assistants, conversations of that API, or training" },
  { path: /^\/api\/(chat|generate|tags|show|ps|pull|push|create|copy|delete|version|blobs)(\/|$)/, lacks: "does not speak Ollama's API" },
  { path: /^\/(completion|completions|infill|apply-template|slots|props|generate|generate_stream|invocations)$/, lacks: "has no native API of another server" },
  { path: /^\/(chat\/completions|messages|responses|models)$/, lacks: "has its API under /v1" },
  { path: /^\/v1\/complete$|^\/v1beta(\/|$)/, lacks: "does not speak this API" }
];
function refuseForeignRoute(path) {
  const foreign = FOREIGN2.find((candidate) => candidate.path.test(path));
  if (foreign) throw new ApiError("not_found", `The server ${foreign.lacks}. It answers ${TURNS}; GET /openapi.json lists the routes.`);
}

// ts/config/names.ts
import { isIP } from "node:net";

// ts/protocol/template-variables.ts
var RESERVED_VARIABLES = /* @__PURE__ */ new Set([
  "messages",
  "tools",
  "documents",
  "add_generation_prompt",
  "continue_final_message",
  "chat_template",
  "tokenize",
  "bos_token",
  "eos_token",
  "unk_token",
  "pad_token",
  "raise_exception",
  "strftime_now",
  "namespace",
  "range",
  "dict",
  "loop",
  "self"
]);
var VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

// ts/config/units.ts
var SIZE_UNITS = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40
};
var MAX_BYTES = 2 ** 50;
var DAY_MS = 864e5;
var MAX_DURATION_MS = 3650 * DAY_MS;

// ts/config/names.ts
function matchesHost(pattern2, name2) {
  const bare = bareName(name2);
  if (!/^\*?\./.test(pattern2)) return bare === pattern2;
  const base = pattern2.replace(/^\*?\./, "");
  return bare.endsWith(`.${base}`) || bare === base && !pattern2.startsWith("*");
}
function isAddress(name2) {
  return isIP(bareName(name2)) !== 0;
}
function bareName(name2) {
  return withoutFinalDot(name2.replace(/^\[(.*)\]$/, "$1").toLowerCase());
}
function withoutFinalDot(name2) {
  return name2.replace(/\.$/, "");
}
var LOCAL_ORIGINS = "localhost";
function matchesOrigin(pattern2, sent) {
  if (pattern2 === LOCAL_ORIGINS) return /^https?:\/\//.test(sent) && URL.canParse(sent) && isLoopback(new URL(sent).hostname);
  return pattern2.endsWith("://*") ? sent.startsWith(pattern2.slice(0, -1)) : sent === pattern2;
}
function isLoopback(name2) {
  const bare = name2.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^127(\.\d{1,3}){3}$/.test(bare);
}
function hostNameOf(header) {
  if (header === void 0 || /[/@\\?#\s]/.test(header) || !URL.canParse(`http://${header}`)) return null;
  return new URL(`http://${header}`).hostname.toLowerCase();
}

// ts/api/guards.ts
function checkHost(headers, access) {
  if (isKnownHost(headers, access)) return;
  throw new ApiError("misdirected", "The Host header is neither loopback, nor an address, nor in --allowed-hosts.");
}
function isKnownHost(headers, { allowedHosts }) {
  const name2 = hostNameOf(headers.host);
  if (name2 === null) return false;
  return isLoopback(name2) || isAddress(name2) || allowedHosts.some((pattern2) => matchesHost(pattern2, name2));
}
function checkOrigin(headers, path, { corsOrigins }) {
  const { origin, host } = headers;
  const isAllowed = origin !== void 0 && corsOrigins.some((pattern2) => matchesOrigin(pattern2, origin)) && isApiPath(path);
  if (isAllowed) return origin;
  const isForeignOrigin = origin !== void 0 && !isSameOrigin(origin, host);
  const site = headers["sec-fetch-site"];
  const isForeignFetch = site !== void 0 && site !== "same-origin" && site !== "none";
  if (isForeignOrigin || isForeignFetch) {
    throw new ApiError("forbidden", "The request comes from a page of another origin. --cors-origin allows an origin for /v1.");
  }
  return null;
}
function isApiPath(path) {
  return path === "/v1" || path.startsWith("/v1/");
}
function isSameOrigin(origin, host) {
  return URL.canParse(origin) && host !== void 0 && new URL(origin).host === host.toLowerCase();
}
function checkContentType(method, headers) {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return;
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (method === "DELETE" && type === void 0) return;
  if (type !== "application/json") {
    throw new ApiError("invalid_value", "The content type must be application/json.", "content-type");
  }
}

// ts/api/log.ts
import { pinoHttp } from "pino-http";

// ts/telemetry/logger.ts
import { destination, pino } from "pino";
var REQUEST_ID_KEY = "request_id";
function createLogger(level, write) {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${(/* @__PURE__ */ new Date()).toISOString()}"`,
    formatters: { level: (word) => ({ level: word }) }
  };
  return write ? pino(options, { write }) : pino(options, destination(2));
}

// ts/api/log.ts
function requestLog(log, routesAt) {
  const routeOf = (url) => routesAt(url?.split("?")[0] ?? "")[0]?.path ?? "other";
  return pinoHttp({
    logger: log,
    wrapSerializers: false,
    quietReqLogger: true,
    quietResLogger: true,
    customAttributeKeys: { reqId: REQUEST_ID_KEY },
    genReqId: (request) => request.id,
    // Why a request failed is said by logFailure, once.
    customLogLevel: () => "debug",
    customProps: (request) => ({
      method: request.method,
      route: routeOf(request.originalUrl ?? request.url)
    }),
    serializers: {
      res: (response) => ({ status: response.statusCode }),
      err: describeError
    }
  });
}
function logFailure(log, requestId, error, { failure }) {
  if (error.code !== "engine_error") {
    log.debug({ [REQUEST_ID_KEY]: requestId, code: error.code }, "request refused");
    return;
  }
  if (error === failure) {
    log.debug({ [REQUEST_ID_KEY]: requestId, code: error.code }, "request ended with the engine");
    return;
  }
  log.error({ [REQUEST_ID_KEY]: requestId, failure: describeError(error) }, "request failed");
}
function describeError(thrown) {
  if (!(thrown instanceof Error)) return { name: typeof thrown };
  const { name: name2 } = thrown;
  const frames = (thrown.stack ?? "").split("\n").filter((line) => line.trimStart().startsWith("at "));
  const cause = thrown.cause === void 0 ? {} : { cause: describeError(thrown.cause) };
  if (thrown instanceof AttentionStoreError) return { name: name2, code: thrown.code, message: thrown.message, frames, ...cause };
  return { name: name2, frames, ...cause };
}

// ts/api/paths.ts
function routesByPath(routes) {
  const patterns = routes.map((route) => [route, pattern(route.path)]);
  return (path) => patterns.filter(([, known]) => known.test(path)).map(([route]) => route);
}
function pattern(path) {
  const source = path.replace(/[.+?^$()[\]{}|\\]/g, "\\$&").replace(/:\w+/g, "[^/]+").replace(/\*\w+/g, ".+");
  return new RegExp(`^${source}/?$`, "i");
}
function methodsOf(routes) {
  const methods = new Set(routes.map(({ method }) => method.toUpperCase()));
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods, "OPTIONS"];
}

// ts/api/silence.ts
var Silence = class {
  #clock;
  #ms;
  #onSilence;
  #lastWrite;
  #cancel;
  /** Calls `onSilence` each time that nothing was written for `ms` milliseconds. */
  constructor(clock, ms, onSilence) {
    this.#clock = clock;
    this.#ms = ms;
    this.#onSilence = onSilence;
    this.#lastWrite = clock.now();
    this.#cancel = this.#wait(ms);
  }
  /** Something was written. */
  broken() {
    this.#lastWrite = this.#clock.now();
  }
  end() {
    this.#cancel();
  }
  /** A write only notes its time; the timer that comes too early waits for the rest. */
  #wait(ms) {
    return this.#clock.after(ms, () => this.#due(), { background: true });
  }
  #due() {
    const left = this.#lastWrite + this.#ms - this.#clock.now();
    if (left <= 0) {
      this.#lastWrite = this.#clock.now();
      this.#onSilence();
    }
    this.#cancel = this.#wait(left <= 0 ? this.#ms : left);
  }
};

// ts/api/sse.ts
async function writeEventStream(response, items2, shape, bounds, onError) {
  const { events: events4 } = shape;
  const { keepAliveMs, clock = systemClock } = bounds;
  const silence = keepAliveMs === null ? null : new Silence(clock, keepAliveMs, () => response.write(events4.keepAlive));
  try {
    for await (const item2 of items2) {
      if (response.destroyed) return "gone";
      response.write(events4.event(item2));
      silence?.broken();
      if (response.writableLength > bounds.maxBufferedBytes) {
        response.destroy();
        return "cut off";
      }
    }
    if (response.destroyed) return "gone";
    response.end(events4.end);
    return "done";
  } catch (thrown) {
    if (response.destroyed) return "gone";
    const error = toApiError(thrown);
    onError(error);
    response.end(events4.failure(errorBody(error, shape)));
    return "failed";
  } finally {
    silence?.end();
  }
}
var STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no"
};

// ts/surfaces/anthropic/schemas/error.ts
import { z as z4 } from "zod";
var AnthropicError = z4.object({
  type: z4.literal("error"),
  error: z4.object({
    type: z4.enum([
      "invalid_request_error",
      "authentication_error",
      "permission_error",
      "not_found_error",
      "request_too_large",
      "rate_limit_error",
      "overloaded_error",
      "api_error"
    ]),
    message: z4.string()
  })
}).meta({ id: "AnthropicError" });

// ts/surfaces/anthropic/errors.ts
var TYPES = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  503: "overloaded_error"
};
var TOO_LONG = { context_length_exceeded: "prompt is too long: " };
var errors = {
  schema: AnthropicError,
  body({ message: message2, code }, status3) {
    return { type: "error", error: { type: TYPES[status3] ?? "invalid_request_error", message: (TOO_LONG[code] ?? "") + message2 } };
  }
};

// ts/surfaces/anthropic/events.ts
var named = (name2, body) => `event: ${name2}
data: ${JSON.stringify(body)}

`;
var events = {
  event: (item2) => named(item2.type, item2),
  // `message_stop` is the end.
  end: "",
  failure: (body) => named("error", body),
  keepAlive: named("ping", { type: "ping" })
};

// ts/surfaces/turn-fields.ts
import { randomBytes as randomBytes3 } from "node:crypto";
function samplingParams(wishes3, { defaults }) {
  return {
    temperature: wishes3.temperature ?? defaults.temperature ?? 1,
    topK: Math.max(0, wishes3.topK ?? defaults.topK ?? 0),
    topP: wishes3.topP ?? defaults.topP ?? 1,
    minP: wishes3.minP ?? defaults.minP ?? 0,
    repetitionPenalty: wishes3.repetitionPenalty ?? defaults.repetitionPenalty ?? 1,
    presencePenalty: wishes3.presencePenalty ?? 0,
    frequencyPenalty: wishes3.frequencyPenalty ?? 0,
    logitBias: wishes3.logitBias ?? [],
    seed: wishes3.seed === void 0 || wishes3.seed === null ? randomBytes3(8).readBigUInt64LE() : BigInt.asUintN(64, BigInt(wishes3.seed)),
    logprobs: wishes3.logprobs ?? null
  };
}
function inVocabulary(tokens, info3, param) {
  const wrong = tokens.find((token) => token >= info3.vocabSize);
  if (wrong === void 0) return tokens;
  throw new ApiError("invalid_value", `${param}: Token ${wrong} is not below the vocabulary size ${info3.vocabSize}.`, param);
}
function checkTemplate({ hasChatTemplate, templateError }, field = "messages") {
  if (hasChatTemplate) return;
  const why = templateError === void 0 ? "The model has no chat template." : `The model's chat template cannot be used: ${templateError}.`;
  throw new ApiError("invalid_value", `${field}: ${why} Use /v1/completions.`, field);
}
function wellFormed(text5) {
  return text5.replace(new RegExp("\\p{Surrogate}", "gu"), "\uFFFD");
}
function checkModel(model3, models2) {
  const name2 = model3 ?? models2[0] ?? "";
  if (models2.includes(name2)) return name2;
  throw new ApiError("model_not_found", `The server has no model of this name. It has ${models2.join(", ")}.`, "model");
}

// ts/surfaces/json-bounds.ts
var SCHEMA_BOUNDS = { depth: 128, bytes: 256 * 1024 };
function boundedJson(value, { depth, bytes }, param) {
  const tooDeep = () => {
    throw new ApiError("invalid_value", `${param}: At most ${depth} lists and objects may lie inside each other.`, param);
  };
  const copy = copyOf(value, depth, tooDeep);
  const size = Buffer.byteLength(JSON.stringify(copy) ?? "");
  if (size <= bytes) return copy;
  throw new ApiError("invalid_value", `${param}: The JSON has ${size} bytes; the limit is ${bytes}.`, param);
}
function copyOf(value, levels, tooDeep) {
  if (typeof value === "string") return wellFormed(value);
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) return tooDeep();
  if (Array.isArray(value)) return value.map((item2) => copyOf(item2, levels - 1, tooDeep));
  return Object.fromEntries(Object.entries(value).map(([key, item2]) => [wellFormed(key), copyOf(item2, levels - 1, tooDeep)]));
}
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// ts/surfaces/fields.ts
var MAX_TOLD = 16;
var MAX_TOLD_LENGTH = 64;
var FieldTable = class {
  constructor(rows4) {
    this.rows = rows4;
    for (const row3 of rows4) this.#nodeOf(row3.field).row = row3;
  }
  rows;
  #root = {};
  #nodeOf(field) {
    let node = this.#root;
    for (const part2 of field.split(".")) {
      const name2 = part2.replace("[]", "");
      node.children ??= /* @__PURE__ */ new Map();
      const next = node.children.get(name2) ?? {};
      node.children.set(name2, next);
      node = part2 === name2 ? next : next.items ??= {};
    }
    return node;
  }
  /**
   * @returns names that no list has, each once.
   * @throws ApiError `unsupported_parameter` with the path of a refused field; where `isStrict`, of an unknown one too.
   */
  check(body, isStrict) {
    const unknown = new UnknownFields();
    walk2(body, { node: this.#root, path: "", field: "" }, unknown);
    const [first] = unknown.paths.values();
    if (isStrict && first !== void 0) {
      throw new ApiError("unsupported_parameter", `${first}: The server knows no field of this name, and --strict-fields refuses it.`, first);
    }
    return [...unknown.paths.keys()];
  }
};
function walk2(value, { node: { children, items: items2 }, ...place }, unknown) {
  if (Array.isArray(value)) {
    if (items2 === void 0) return;
    for (const [index2, item2] of value.entries()) {
      walk2(item2, { node: items2, path: join3(place.path, String(index2)), field: `${place.field}[]` }, unknown);
    }
    return;
  }
  if (!isObject(value) || children === void 0) return;
  for (const name2 of Object.keys(value)) {
    const child = children.get(name2);
    if (child === void 0) unknown.add(name2, children, place);
    else {
      const inner = { node: child, path: join3(place.path, name2), field: join3(place.field, name2) };
      checkRow(child.row, value[name2], inner.path);
      walk2(value[name2], inner, unknown);
    }
  }
}
var join3 = (path, name2) => path === "" ? name2 : `${path}.${name2}`;
var UnknownFields = class {
  /** Field → path of its first use, as they are told. */
  paths = /* @__PURE__ */ new Map();
  /** As the client wrote them, by the table's names beside which they stand. */
  #seen = /* @__PURE__ */ new Map();
  add(name2, beside2, { path, field }) {
    if (this.paths.size > MAX_TOLD) return;
    const seen = this.#seen.get(beside2) ?? /* @__PURE__ */ new Set();
    if (seen.has(name2)) return;
    this.#seen.set(beside2, seen.add(name2));
    const told = join3(field, safe(name2));
    if (!this.paths.has(told)) this.paths.set(told, join3(path, safe(name2)));
  }
};
function safe(name2) {
  return name2.slice(0, MAX_TOLD_LENGTH).replace(/[^\w$-]/g, "?");
}
function checkRow(row3, value, path) {
  if (row3 === void 0 || value === null || value === void 0) return;
  const passes = row3.passes ?? (row3.list === "refused" ? asksForNothing : () => true);
  if (passes(value)) return;
  throw new ApiError("unsupported_parameter", `${path}: ${row3.reason ?? "The server does not support this value."}`, path);
}
function asksForNothing(value) {
  if (value === false || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
function ignoredFieldsHeader(ignored) {
  if (ignored.length === 0) return {};
  const told = ignored.slice(0, MAX_TOLD);
  return { "x-ignored-fields": [...told, ...ignored.length > MAX_TOLD ? ["..."] : []].join(", ") };
}

// ts/surfaces/surface.ts
function json(body, headers = {}) {
  return { kind: "json", body, headers };
}

// ts/surfaces/validate.ts
function validate(schema2, body) {
  const result2 = schema2.safeParse(body);
  if (result2.success) return result2.data;
  const [issue] = result2.error.issues;
  const { path, message: message2 } = innermost(issue ?? { path: [], message: "invalid" });
  const param = path.length === 0 ? null : path.map(String).join(".");
  throw new ApiError("invalid_value", `${param ?? "the request body"}: ${message2}`, param);
}
function innermost(issue) {
  const branches = (issue.errors ?? []).flatMap((branch) => branch.slice(0, 1)).map(innermost);
  const [first, ...rest] = branches;
  if (issue.code !== "invalid_union" || first === void 0) return issue;
  const best = rest.reduce((deepest, next) => next.path.length > deepest.path.length ? next : deepest, first);
  if (best.path.length === 0) return issue.path.length === 0 ? best : { ...issue, message: alternatives(branches) };
  return { ...best, path: [...issue.path, ...best.path] };
}
function alternatives(branches) {
  return [...new Set(branches.map(({ message: message2 }) => message2))].join("; or: ");
}

// ts/surfaces/anthropic/schemas/messages.ts
import { z as z7 } from "zod";

// ts/surfaces/limits.ts
import { z as z5 } from "zod";
var MAX_TOOLS = 512;
var MAX_CALLS = 128;
var MAX_DESCRIPTION = 65536;
var MAX_PATTERN = 16384;
var MAX_GRAMMAR = 131072;
var MAX_CHOICE = 1024;
var MAX_CHOICES = 1024;
var toolName = z5.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ -");
var calledName = z5.string().min(1).max(256);
var callId = z5.string().min(1).max(256);

// ts/surfaces/anthropic/schemas/blocks.ts
import { z as z6 } from "zod";
var BLOCK_TYPES = ["text", "thinking", "redacted_thinking", "tool_use", "tool_result"];
var cacheControl = z6.object({ type: z6.literal("ephemeral"), ttl: z6.enum(["5m", "1h"]).nullish() }).nullish().meta({ description: "a retention hint; it is no part of the prompt" });
var TextBlock = z6.object({ type: z6.literal("text"), text: z6.string(), cache_control: cacheControl });
var ThinkingBlock = z6.object({
  type: z6.literal("thinking"),
  thinking: z6.string(),
  signature: z6.string().nullish().meta({ description: "read only where the thinking itself was left out" })
});
var RedactedThinkingBlock = z6.object({ type: z6.literal("redacted_thinking"), data: z6.string().meta({ description: "dropped: this server makes none" }) });
var ToolUseBlock = z6.object({ type: z6.literal("tool_use"), id: callId, name: calledName, input: z6.record(z6.string(), z6.unknown()), cache_control: cacheControl });
var ToolResultBlock = z6.object({
  type: z6.literal("tool_result"),
  tool_use_id: callId,
  content: z6.union([z6.string(), z6.array(TextBlock)]).nullish(),
  is_error: z6.boolean().nullish(),
  cache_control: cacheControl
});
var text2 = z6.string();
var Message = z6.discriminatedUnion("role", [
  z6.object({ role: z6.literal("user"), content: z6.union([text2, z6.array(z6.discriminatedUnion("type", [TextBlock, ToolResultBlock])).min(1)]) }),
  z6.object({
    role: z6.literal("assistant"),
    content: z6.union([text2, z6.array(z6.discriminatedUnion("type", [TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock]))])
  }),
  z6.object({ role: z6.literal("system"), content: z6.union([text2, z6.array(TextBlock).min(1)]) })
]);

// ts/surfaces/anthropic/schemas/messages.ts
var MAX_STOPS = 16;
var MAX_STOP_LENGTH = 1024;
var COUNT = 2147483647;
var toolName2 = z7.string().regex(/^[A-Za-z0-9_-]{1,128}$/, "1 to 128 of A-Z a-z 0-9 _ -");
var jsonSchema = z7.record(z7.string(), z7.unknown());
var Tool = z7.object({
  type: z7.literal("custom").nullish(),
  name: toolName2,
  description: z7.string().max(MAX_DESCRIPTION).nullish(),
  input_schema: jsonSchema,
  strict: z7.boolean().nullish(),
  cache_control: cacheControl
});
var parallel = { disable_parallel_tool_use: z7.boolean().nullish() };
var ToolChoice = z7.discriminatedUnion("type", [
  z7.object({ type: z7.literal("auto"), ...parallel }),
  z7.object({ type: z7.literal("any"), ...parallel }),
  z7.object({ type: z7.literal("tool"), name: z7.string().max(128), ...parallel }),
  z7.object({ type: z7.literal("none") })
]);
var display = z7.enum(["summarized", "omitted"]).nullish().meta({ description: "omitted: thinking blocks come without their text" });
var Thinking = z7.discriminatedUnion("type", [
  z7.object({ type: z7.literal("enabled"), budget_tokens: z7.int().min(1).max(COUNT).nullish().meta({ description: "without effect" }), display }),
  z7.object({ type: z7.enum(["adaptive", "between_tools"]), display }),
  z7.object({ type: z7.literal("disabled") })
]);
var format = z7.object({ type: z7.literal("json_schema"), schema: jsonSchema }).nullish();
var promptFields = {
  model: z7.string().min(1).max(512).nullish().meta({ description: "a name of GET /v1/models; default: the first" }),
  messages: z7.array(Message).min(1),
  system: z7.union([z7.string(), z7.array(TextBlock)]).nullish(),
  tools: z7.array(Tool).max(MAX_TOOLS).nullish(),
  tool_choice: ToolChoice.nullish(),
  thinking: Thinking.nullish(),
  output_config: z7.object({ effort: z7.enum(["low", "medium", "high", "xhigh", "max"]).nullish(), format }).nullish(),
  output_format: format.meta({ description: "an earlier name of output_config.format" }),
  cache_control: cacheControl,
  cache_salt: z7.string().max(256).nullish(),
  conversation: z7.string().regex(CONVERSATION_ID, "1 to 128 of A-Z a-z 0-9 . _ : -").nullish()
};
var CountTokensRequest = z7.object(promptFields).meta({ id: "AnthropicCountTokensRequest" });
var CountTokensResponse = z7.object({ input_tokens: z7.int() }).meta({ id: "AnthropicTokenCount" });
var MessagesRequest = z7.object({
  ...promptFields,
  max_tokens: z7.int().min(1).max(COUNT).nullish().meta({ description: "default: what the context has room for" }),
  stop_sequences: z7.array(z7.string().min(1).max(MAX_STOP_LENGTH)).max(MAX_STOPS).nullish(),
  stream: z7.boolean().nullish(),
  temperature: z7.number().min(0).max(100).nullish(),
  top_k: z7.int().min(-1).max(COUNT).nullish().meta({ description: "0 or -1: off" }),
  top_p: z7.number().gt(0).max(1).nullish(),
  seed: z7.int().nullish(),
  metadata: z7.object({ user_id: z7.string().max(1024).nullish() }).nullish().meta({ description: "without effect" })
}).meta({ id: "AnthropicMessagesRequest" });

// ts/surfaces/tools.ts
function toolDefinitions(wishes3) {
  const names = /* @__PURE__ */ new Set();
  return wishes3.map((wish) => {
    if (names.has(wish.name)) throw new ApiError("invalid_value", `${wish.param}: Two tools have one name; each needs its own.`, wish.param);
    names.add(wish.name);
    return {
      name: wish.name,
      ...wish.description ? { description: wellFormed(wish.description) } : {},
      parameters: parametersOf(wish),
      strict: wish.strict ?? false
    };
  });
}
function parametersOf({ param, parameters, parametersParam = `${param}.parameters` }) {
  if (parameters === void 0 || parameters === null) return null;
  const schema2 = boundedJson(parameters, SCHEMA_BOUNDS, parametersParam);
  if (isObject(schema2)) return schema2;
  throw new ApiError("invalid_value", `${parametersParam}: The schema of a tool's arguments is a JSON object.`, parametersParam);
}
function turnTools(definitions, choice3, parallel2, choiceParam) {
  if (typeof choice3 === "object") checkNamed(choice3.name, definitions, choiceParam);
  return { definitions, choice: choice3, parallel: parallel2 };
}
function checkNamed(name2, definitions, choiceParam) {
  if (definitions.some((definition) => definition.name === name2)) return;
  throw new ApiError("invalid_value", `${choiceParam}: The request has no tool of this name.`, choiceParam);
}
function isForced(choice3) {
  return choice3 === "required" || typeof choice3 === "object";
}

// ts/surfaces/constraints.ts
function invalid(param, sentence) {
  throw new ApiError("invalid_value", `${param}: ${sentence}`, param);
}
function schemaConstraint(schema2, param) {
  const value = boundedJson(typeof schema2 === "string" ? parsed(schema2, param) : schema2, SCHEMA_BOUNDS, param);
  if (!isObject(value) && typeof value !== "boolean") invalid(param, "A JSON Schema is an object.");
  return { param, constraint: { kind: "json_schema", schema: value } };
}
function parsed(text5, param) {
  if (Buffer.byteLength(text5) > SCHEMA_BOUNDS.bytes) invalid(param, `The JSON has ${Buffer.byteLength(text5)} bytes; the limit is ${SCHEMA_BOUNDS.bytes}.`);
  try {
    return JSON.parse(text5);
  } catch {
    return invalid(param, "The text is not JSON.");
  }
}
function jsonObjectConstraint(param) {
  return { param, constraint: { kind: "json_object" } };
}
function regexConstraint(pattern2, param) {
  if (pattern2.length === 0) invalid(param, "The pattern is empty.");
  if (pattern2.length > MAX_PATTERN) invalid(param, `The pattern has ${pattern2.length} characters; the limit is ${MAX_PATTERN}.`);
  return { param, constraint: { kind: "regex", pattern: wellFormed(pattern2) } };
}
function choiceConstraint(choices2, param) {
  if (choices2.length === 0) invalid(param, "The list of choices is empty.");
  if (choices2.length > MAX_CHOICES) invalid(param, `The list has ${choices2.length} choices; the limit is ${MAX_CHOICES}.`);
  if (choices2.some((choice3) => choice3.length === 0)) invalid(param, "A choice is empty.");
  const long = choices2.find((choice3) => choice3.length > MAX_CHOICE);
  if (long !== void 0) invalid(param, `A choice has ${long.length} characters; the limit is ${MAX_CHOICE}.`);
  return { param, constraint: { kind: "choice", choices: [...new Set(choices2.map(wellFormed))] } };
}
function grammarConstraint(grammar, param) {
  if (grammar.trim().length === 0) invalid(param, "The grammar is empty.");
  if (grammar.length > MAX_GRAMMAR) invalid(param, `The grammar has ${grammar.length} characters; the limit is ${MAX_GRAMMAR}.`);
  return { param, constraint: { kind: "grammar", grammar: wellFormed(grammar) } };
}
function onlyConstraint(asked2, tools, choiceParam) {
  const [first, second] = asked2;
  if (first === void 0) return void 0;
  if (second !== void 0) invalid(second.param, `${first.param} constrains the answer already; a request has one constraint.`);
  if (isForced(tools?.choice)) invalid(first.param, `${choiceParam} makes the answer a tool call, so no other form can be asked of it.`);
  return first.constraint;
}

// ts/surfaces/template-arguments.ts
var BOUNDS = { depth: 16, bytes: 16384 };
var MAX_ARGUMENTS = 64;
var REASONING_EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
function templateArguments({ given, effort, thinking }, param) {
  const own2 = checked(given ?? {}, param);
  const isIdle = effort === "none" || effort === "minimal";
  const mayThink = thinking ?? (isIdle ? false : void 0);
  const all = {
    ...effort ? { reasoning_effort: effort } : {},
    ...mayThink === void 0 ? {} : { enable_thinking: mayThink },
    ...own2
  };
  return Object.keys(all).length === 0 ? void 0 : all;
}
function checked(given, param) {
  const invalid2 = (name2, sentence) => {
    const field = name2 === null ? param : `${param}.${name2}`;
    throw new ApiError("invalid_value", `${field}: ${sentence}`, field);
  };
  if (!isObject(given)) return invalid2(null, "The variables are a JSON object.");
  const names = Object.keys(given);
  if (names.length > MAX_ARGUMENTS) invalid2(null, `${names.length} variables are set; the limit is ${MAX_ARGUMENTS}.`);
  if (names.some((name2) => !VARIABLE_NAME.test(name2))) invalid2(null, "A name has 1 to 64 of A-Z a-z 0-9 _, and begins with no digit.");
  const reserved = names.find((name2) => RESERVED_VARIABLES.has(name2));
  if (reserved !== void 0) invalid2(reserved, "The server sets this variable itself.");
  return boundedJson(given, BOUNDS, param);
}

// ts/surfaces/opaque-reasoning.ts
import { createHash as createHash3 } from "node:crypto";
var PREFIX = "as1.";
function opaqueReasoning(text5) {
  return PREFIX + Buffer.from(text5, "utf8").toString("base64url");
}
function readOpaqueReasoning(opaque) {
  return opaque.startsWith(PREFIX) ? Buffer.from(opaque.slice(PREFIX.length), "base64url").toString("utf8") : null;
}
function reasoningDigest(text5) {
  return createHash3("sha256").update(text5, "utf8").digest("base64");
}

// ts/surfaces/anthropic/system.ts
var BILLING_LINE = /^x-anthropic-billing-header:[^\n]*\n?/;
function systemText(system) {
  const texts2 = typeof system === "string" ? [system] : (system ?? []).map(({ text: text6 }) => text6);
  const text5 = texts2.map((piece) => piece.replace(BILLING_LINE, "")).join("");
  return text5 === "" ? null : wellFormed(text5);
}

// ts/surfaces/anthropic/messages.ts
var INPUT_BOUNDS = { ...SCHEMA_BOUNDS, bytes: Infinity };
function turnMessages({ messages: messages3, system }) {
  const last = messages3.length - 1;
  if (messages3[last]?.role === "assistant") {
    const param = `messages.${last}.role`;
    throw new ApiError("unsupported_parameter", `${param}: The last message is the assistant's. The server does not continue a message; end with the user's.`, param);
  }
  const text5 = systemText(system);
  const head3 = text5 === null ? [] : [{ role: "system", content: text5 }];
  return [...head3, ...messages3.flatMap((message2, index2) => turnMessagesOf(message2, `messages.${index2}.content`))];
}
function turnMessagesOf(message2, path) {
  const { role, content: content2 } = message2;
  if (typeof content2 === "string") return [{ role, content: wellFormed(content2) }];
  if (message2.role === "user") return userMessages(message2.content);
  if (message2.role === "assistant") return [assistantMessage(message2.content, path)];
  return [{ role, content: texts(content2) }];
}
function userMessages(blocks) {
  const messages3 = [];
  let pending = [];
  const endText = () => {
    if (pending.length > 0) messages3.push({ role: "user", content: texts(pending) });
    pending = [];
  };
  for (const block of blocks) {
    if (block.type === "text") {
      pending.push(block);
      continue;
    }
    endText();
    messages3.push({ role: "tool", toolCallId: wellFormed(block.tool_use_id), content: resultParts(block) });
  }
  endText();
  return messages3;
}
function resultParts({ content: content2, is_error }) {
  const parts = texts(typeof content2 === "string" ? [{ text: content2 }] : content2 ?? []);
  return is_error ? [{ kind: "text", text: "Error: " }, ...parts] : parts;
}
function assistantMessage(blocks, path) {
  const reasoning2 = blocks.flatMap((block) => block.type === "thinking" ? [thinkingOf(block.thinking, block.signature)] : []).join("");
  const toolCalls2 = blocks.flatMap((block, index2) => {
    if (block.type !== "tool_use") return [];
    const input = boundedJson(block.input, INPUT_BOUNDS, `${path}.${index2}.input`);
    return [{ id: wellFormed(block.id), name: wellFormed(block.name), arguments: JSON.stringify(input) }];
  });
  return {
    role: "assistant",
    content: texts(blocks.flatMap((block) => block.type === "text" ? [block] : [])),
    ...reasoning2 === "" ? {} : { reasoning: wellFormed(reasoning2) },
    ...toolCalls2.length === 0 ? {} : { toolCalls: toolCalls2 }
  };
}
function thinkingOf(thinking, signature) {
  return thinking === "" ? readOpaqueReasoning(signature ?? "") ?? "" : thinking;
}
function texts(blocks) {
  return blocks.map(({ text: text5 }) => ({ kind: "text", text: wellFormed(text5) }));
}

// ts/surfaces/anthropic/retention.ts
function cacheWish(fields) {
  const markers = [...marked(fields)].flatMap(({ cache_control: marker }) => marker ? [marker] : []);
  return { isMarked: markers.length > 0, retention: markers.some(({ ttl }) => ttl === "1h") ? "day" : "none" };
}
function* marked(fields) {
  yield fields;
  yield* fields.tools ?? [];
  if (typeof fields.system !== "string") yield* fields.system ?? [];
  for (const { content: content2 } of fields.messages) {
    if (typeof content2 === "string") continue;
    for (const block of content2) {
      if ("cache_control" in block) yield block;
      if (block.type === "tool_result" && typeof block.content !== "string") yield* block.content ?? [];
    }
  }
}

// ts/surfaces/anthropic/turn-request.ts
function turnRequest(fields, info3, sender) {
  const tools = toolsOf(fields);
  const thinking = fields.thinking ? fields.thinking.type !== "disabled" : null;
  const variables = templateArguments({ effort: fields.output_config?.effort, thinking }, "thinking");
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? "",
    conversation: fields.conversation ?? sender.conversation,
    conversationHint: null,
    retention: cacheWish(fields).retention,
    prompt: { kind: "chat", messages: turnMessages(fields) },
    sampling: samplingParams({ temperature: fields.temperature, topK: fields.top_k, topP: fields.top_p, seed: fields.seed }, info3),
    stop: (fields.stop_sequences ?? []).map(wellFormed),
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_tokens ?? null,
    truncation: "disabled",
    ...tools === void 0 ? {} : { tools },
    ...constraintOf(fields, tools),
    ...variables === void 0 ? {} : { templateArguments: variables }
  };
}
function constraintOf({ output_config: config, output_format: format2 }, tools) {
  const asked2 = [
    ...config?.format ? [schemaConstraint(config.format.schema, "output_config.format.schema")] : [],
    ...format2 ? [schemaConstraint(format2.schema, "output_format.schema")] : []
  ];
  const constraint2 = onlyConstraint(asked2, tools, "tool_choice");
  return constraint2 && asked2[0] ? { constraint: constraint2, constraintField: asked2[0].param } : {};
}
function toolsOf({ tools, tool_choice: asked2 }) {
  const choice3 = choiceOf(asked2);
  if (!tools?.length) {
    if (isForced(choice3)) throw new ApiError("invalid_value", "tool_choice: The request has no tools to choose from.", "tool_choice");
    return void 0;
  }
  const definitions = toolDefinitions(
    tools.map(({ name: name2, description: description2, input_schema: parameters, strict }, index2) => {
      const param = `tools.${index2}`;
      return { param, name: name2, description: description2, parameters, parametersParam: `${param}.input_schema`, strict };
    })
  );
  const parallel2 = !(asked2 && asked2.type !== "none" && asked2.disable_parallel_tool_use);
  return turnTools(definitions, choice3, parallel2, "tool_choice.name");
}
function choiceOf(choice3) {
  switch (choice3?.type) {
    case "any":
      return "required";
    case "tool":
      return { name: choice3.name };
    case "none":
      return "none";
    default:
      return "auto";
  }
}

// ts/surfaces/list-bounds.ts
var MAX_PARTS = 131072;
function rawField(body, name2) {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, name2)) return void 0;
  return body[name2];
}
function checkMessageLists(body, { field, parts, maxModelLen, isTruncated }) {
  const list = rawField(body, field);
  if (!Array.isArray(list)) return;
  const tooMany = isTruncated ? Math.max(maxModelLen, MAX_TRUNCATED + 1) : maxModelLen;
  if (list.length >= tooMany) {
    const message2 = `${field}: the list has ${list.length} items; the context limit is ${tooMany}, and an answer needs at least one token of it.`;
    throw new ApiError("context_length_exceeded", message2, field, { prompt: list.length, max_model_len: tooMany });
  }
  let count9 = 0;
  for (const message2 of list) count9 += lengthOf(rawField(message2, parts));
  if (count9 > MAX_PARTS) throw new ApiError("invalid_value", `${field}: the items have ${count9} parts of ${parts}; the limit is ${MAX_PARTS}.`, field);
}
function checkListLength(body, field, most) {
  const { length } = { length: lengthOf(rawField(body, field)) };
  if (length > most) throw new ApiError("invalid_value", `${field}: the list has ${length} items; the limit is ${most}.`, field);
}
function lengthOf(value) {
  return Array.isArray(value) ? value.length : 0;
}

// ts/surfaces/anthropic/fields.ts
function rows(list, names, rule = {}) {
  return names.trim().split(/\s+/).map((field) => ({ field, list, ...rule }));
}
var isKind = (...kinds) => (value) => typeof value !== "string" || kinds.includes(value);
var ONLY_TEXT = "The model reads and writes text; blocks of this type are not supported.";
var ONLY_CUSTOM = "The server runs no tools of its own: tools are those that the client runs.";
var PROMPT = `
  model messages messages[].role messages[].content messages[].content[].text messages[].content[].thinking
  messages[].content[].signature messages[].content[].data messages[].content[].id messages[].content[].name
  messages[].content[].input messages[].content[].tool_use_id messages[].content[].content messages[].content[].content[].text
  messages[].content[].is_error messages[].content[].cache_control messages[].content[].cache_control.type
  messages[].content[].cache_control.ttl messages[].content[].content[].cache_control
  messages[].content[].content[].cache_control.type messages[].content[].content[].cache_control.ttl
  system system[].text system[].cache_control system[].cache_control.type system[].cache_control.ttl
  tools tools[].name tools[].description tools[].input_schema tools[].strict tools[].cache_control tools[].cache_control.type
  tools[].cache_control.ttl tool_choice tool_choice.type tool_choice.name tool_choice.disable_parallel_tool_use
  thinking thinking.type thinking.display output_config output_config.effort output_config.format output_config.format.type
  output_config.format.schema output_format output_format.type output_format.schema cache_control cache_control.type
  cache_control.ttl cache_salt conversation`;
var FIELDS2 = [
  ...rows("served", PROMPT),
  ...rows("served", "messages[].content[].type", { passes: isKind(...BLOCK_TYPES), reason: ONLY_TEXT }),
  ...rows("served", "messages[].content[].content[].type system[].type", { passes: isKind("text"), reason: ONLY_TEXT }),
  ...rows("served", "tools[].type", { passes: isKind("custom"), reason: ONLY_CUSTOM }),
  ...rows("served", "max_tokens stop_sequences stream temperature top_k top_p seed"),
  ...rows("accepted", `
    metadata metadata.user_id thinking.budget_tokens inference_geo speed context_management betas diagnostics
    messages[].id messages[].content[].citations messages[].content[].caller messages[].content[].toolset_name
    messages[].content[].content[].citations system[].citations tools[].input_examples tools[].eager_input_streaming
    tools[].defer_loading tools[].allowed_callers user_profile_id workspace_id billing_policy fallbacks fallback_credit_token
    output_config.task_budget messages[].clear_at messages[].output_config cache_control.scope system[].cache_control.scope
    tools[].cache_control.scope messages[].content[].cache_control.scope messages[].content[].content[].cache_control.scope`),
  ...rows("accepted", "service_tier", {
    passes: isKind("auto", "standard_only"),
    reason: "The server has one tier of service: auto, or standard_only."
  }),
  ...rows("refused", "mcp_servers", { reason: "The server connects to no other server." }),
  ...rows("refused", "compaction thread", { reason: "The server keeps no messages, and compacts no conversation." }),
  ...rows("refused", "container", { reason: "The server has no containers." })
];
var messageFields = new FieldTable(FIELDS2);

// ts/surfaces/anthropic/handlers/check.ts
function checkBody(body, { engine, service, strictFields }) {
  checkMessageLists(body, { field: "messages", parts: "content", maxModelLen: service.modelContext, isTruncated: false });
  checkListLength(body, "tools", MAX_TOOLS);
  checkListLength(body, "stop_sequences", MAX_STOPS);
  checkTemplate(engine.info);
  return messageFields.check(body, strictFields);
}

// ts/surfaces/anthropic/handlers/count-tokens.ts
var countTokens = async ({ body, caller, requestId, conversation }, context) => {
  const ignored = checkBody(body, context);
  const fields = validate(CountTokensRequest, body);
  checkModel(fields.model, context.models);
  const request = turnRequest(fields, context.engine.info, { requestId, tenant: caller.tenant, conversation });
  return json({ input_tokens: await context.service.countPrompt(request) }, ignoredFieldsHeader(ignored));
};

// ts/surfaces/anthropic/handlers/messages.ts
import { randomUUID } from "node:crypto";

// ts/surfaces/answer-parts.ts
async function* partEvents(turn) {
  let open2 = null;
  let next = 0;
  let early = [];
  for await (const event of turn) {
    if (event.type === "done") {
      if (open2) yield closing(open2);
      yield { type: "done", done: event };
      return;
    }
    if (event.type === "arguments" && open2?.head.kind !== "call") throw new Error("arguments without a call");
    if (event.type === "delta" && event.text === "" && open2?.head.kind !== "content") {
      early.push(...event.logprobs);
      continue;
    }
    if (open2 === null || begins(event, open2.head)) {
      const head3 = headOf(event);
      if (head3 === null) continue;
      if (open2) yield closing(open2);
      open2 = { index: next++, head: head3, text: "", logprobs: [] };
      yield { type: "open", index: open2.index, head: head3 };
    }
    if (event.type === "call") continue;
    const logprobs = event.type === "delta" ? [...early, ...event.logprobs] : [];
    if (event.type === "delta") early = [];
    if (event.text === "" && logprobs.length === 0) continue;
    open2.text += event.text;
    open2.logprobs.push(...logprobs);
    yield { type: "more", index: open2.index, head: open2.head, text: event.text, logprobs };
  }
  throw new ClientGone("The turn was cancelled.");
}
function begins(event, { kind }) {
  if (event.type === "call") return true;
  if (event.type === "arguments" || event.text === "") return false;
  return kind !== (event.type === "delta" ? "content" : "reasoning");
}
function headOf(event) {
  if (event.type === "call") return { kind: "call", id: event.id, name: event.name };
  if (event.text === "") return null;
  return { kind: event.type === "delta" ? "content" : "reasoning" };
}
function closing({ index: index2, head: head3, text: text5, logprobs }) {
  const part2 = head3.kind === "call" ? { kind: "call", call: { id: head3.id, name: head3.name, arguments: text5 } } : { kind: head3.kind, text: text5 };
  return { type: "close", index: index2, part: part2, logprobs };
}

// ts/surfaces/anthropic/format/blocks.ts
function emptyBlock(head3) {
  switch (head3.kind) {
    case "content":
      return { type: "text", text: "", citations: null };
    case "reasoning":
      return { type: "thinking", thinking: "", signature: "" };
    case "call":
      return { type: "tool_use", id: head3.id, name: head3.name, input: {} };
  }
}
function wholeBlock(part2, options) {
  switch (part2.kind) {
    case "content":
      return { type: "text", text: part2.text, citations: null };
    case "reasoning":
      return { type: "thinking", thinking: options.omitsThinking ? "" : part2.text, signature: signatureOf(part2.text, options) };
    case "call":
      return { type: "tool_use", id: part2.call.id, name: part2.call.name, input: inputOf(part2.call.arguments) };
  }
}
function blockDelta({ kind }, text5, { omitsThinking }) {
  if (kind === "content") return { type: "text_delta", text: text5 };
  if (kind === "call") return { type: "input_json_delta", partial_json: text5 };
  return omitsThinking ? null : { type: "thinking_delta", thinking: text5 };
}
function signatureOf(reasoning2, { omitsThinking }) {
  return omitsThinking ? opaqueReasoning(reasoning2) : reasoningDigest(reasoning2);
}
function inputOf(text5) {
  if (text5.trim() === "") return {};
  try {
    const value = JSON.parse(text5);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
  }
  return { INVALID_JSON: text5 };
}

// ts/surfaces/anthropic/format/stop.ts
function stopOf({ finish, stopReason: stopReason3 }, hasCalls) {
  if (finish === "length") return { stop_reason: "max_tokens", stop_sequence: null };
  if (typeof stopReason3 === "string") return { stop_reason: "stop_sequence", stop_sequence: stopReason3 };
  return { stop_reason: hasCalls ? "tool_use" : "end_turn", stop_sequence: null };
}

// ts/surfaces/anthropic/format/usage.ts
function usageAtStart(promptTokens2) {
  return { input_tokens: promptTokens2, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0, output_tokens_details: { thinking_tokens: 0 } };
}
function usageBody(usage2, isMarked) {
  const read = TIER_NAMES.reduce((total, tier) => total + usage2.reusedTokens[tier], 0);
  const created = isMarked ? usage2.computedTokens : 0;
  return {
    input_tokens: usage2.promptTokens - read - created,
    cache_creation_input_tokens: created,
    cache_read_input_tokens: read,
    output_tokens: usage2.completionTokens,
    output_tokens_details: { thinking_tokens: usage2.reasoningTokens ?? 0 }
  };
}

// ts/surfaces/anthropic/format/message.ts
function messageBody({ parts, calls, done: done2 }, options) {
  return {
    ...headOf2(options),
    content: parts.map((part2) => wholeBlock(part2, options)),
    ...stopOf(done2, calls.length > 0),
    usage: usageBody(done2.usage, options.isMarked)
  };
}
async function* messageEvents(turn, options) {
  const start = { stop_reason: null, stop_sequence: null, usage: usageAtStart(turn.promptTokens) };
  yield { type: "message_start", message: { ...headOf2(options), content: [], ...start } };
  let hasCalls = false;
  for await (const event of partEvents(turn)) {
    switch (event.type) {
      case "open":
        hasCalls ||= event.head.kind === "call";
        yield { type: "content_block_start", index: event.index, content_block: emptyBlock(event.head) };
        break;
      case "more": {
        const delta3 = event.text === "" ? null : blockDelta(event.head, event.text, options);
        if (delta3) yield { type: "content_block_delta", index: event.index, delta: delta3 };
        break;
      }
      case "close":
        if (event.part.kind === "reasoning") {
          const delta3 = { type: "signature_delta", signature: signatureOf(event.part.text, options) };
          yield { type: "content_block_delta", index: event.index, delta: delta3 };
        }
        yield { type: "content_block_stop", index: event.index };
        break;
      case "done":
        yield { type: "message_delta", delta: stopOf(event.done, hasCalls), usage: usageBody(event.done.usage, options.isMarked) };
    }
  }
  yield { type: "message_stop" };
}
function headOf2({ id: id3, model: model3 }) {
  return { id: id3, type: "message", role: "assistant", model: model3 };
}

// ts/surfaces/anthropic/handlers/messages.ts
var messages2 = async ({ body, caller, requestId, conversation, signal }, context) => {
  const ignored = checkBody(body, context);
  const fields = validate(MessagesRequest, body);
  const model3 = checkModel(fields.model, context.models);
  const request = turnRequest(fields, context.engine.info, { requestId, tenant: caller.tenant, conversation });
  const [turn] = await startTurns([request], signal, context);
  if (turn === void 0) throw new Error("one request, no turn");
  const { thinking } = fields;
  const options = {
    id: `msg_${randomUUID().replaceAll("-", "")}`,
    model: model3,
    isMarked: cacheWish(fields).isMarked,
    omitsThinking: thinking !== null && thinking !== void 0 && thinking.type !== "disabled" && thinking.display === "omitted"
  };
  const headers = { "x-conversation-id": turn.conversation, ...ignoredFieldsHeader(ignored) };
  if (!fields.stream) return json(messageBody(await readAnswer(turn), options), headers);
  return { kind: "stream", headers, events: messageEvents(turn, options) };
};

// ts/surfaces/anthropic/schemas/message.ts
import { z as z8 } from "zod";
var count5 = z8.int().nonnegative();
var ContentBlock = z8.discriminatedUnion("type", [
  z8.object({ type: z8.literal("text"), text: z8.string(), citations: z8.null() }),
  z8.object({ type: z8.literal("thinking"), thinking: z8.string(), signature: z8.string() }),
  z8.object({ type: z8.literal("tool_use"), id: z8.string(), name: z8.string(), input: z8.record(z8.string(), z8.unknown()) })
]);
var stopReason = z8.enum(["end_turn", "max_tokens", "stop_sequence", "tool_use"]);
var AnthropicUsage = z8.object({
  input_tokens: count5,
  cache_creation_input_tokens: count5.meta({ description: "computed, where the request had a cache marker" }),
  cache_read_input_tokens: count5.meta({ description: "reused, from all tiers" }),
  output_tokens: count5,
  output_tokens_details: z8.object({ thinking_tokens: count5 })
}).meta({ id: "AnthropicUsage" });
var MessageResponse = z8.object({
  id: z8.string(),
  type: z8.literal("message"),
  role: z8.literal("assistant"),
  model: z8.string(),
  content: z8.array(ContentBlock),
  stop_reason: stopReason.nullable(),
  stop_sequence: z8.string().nullable(),
  usage: AnthropicUsage
}).meta({ id: "AnthropicMessage" });
var index = z8.int().nonnegative();
var BlockDelta = z8.discriminatedUnion("type", [
  z8.object({ type: z8.literal("text_delta"), text: z8.string() }),
  z8.object({ type: z8.literal("thinking_delta"), thinking: z8.string() }),
  z8.object({ type: z8.literal("signature_delta"), signature: z8.string() }),
  z8.object({ type: z8.literal("input_json_delta"), partial_json: z8.string() })
]);
var StreamEvent = z8.discriminatedUnion("type", [
  z8.object({ type: z8.literal("message_start"), message: MessageResponse }),
  z8.object({ type: z8.literal("content_block_start"), index, content_block: ContentBlock }),
  z8.object({ type: z8.literal("content_block_delta"), index, delta: BlockDelta }),
  z8.object({ type: z8.literal("content_block_stop"), index }),
  z8.object({
    type: z8.literal("message_delta"),
    delta: z8.object({ stop_reason: stopReason, stop_sequence: z8.string().nullable() }),
    usage: AnthropicUsage
  }),
  z8.object({ type: z8.literal("message_stop") })
]).meta({ id: "AnthropicStreamEvent" });

// ts/surfaces/anthropic/surface.ts
var anthropic = {
  errors,
  events,
  headers: (requestId) => ({ "request-id": requestId }),
  routes: [
    {
      method: "post",
      path: "/v1/messages",
      handler: messages2,
      summary: "Answer a conversation, in Anthropic's format",
      request: MessagesRequest,
      response: MessageResponse,
      chunk: StreamEvent
    },
    {
      method: "post",
      path: "/v1/messages/count_tokens",
      handler: countTokens,
      summary: "Count the tokens of a prompt",
      request: CountTokensRequest,
      response: CountTokensResponse
    }
  ]
};

// ts/surfaces/openai/schemas/error.ts
import { z as z9 } from "zod";
var ErrorBody = z9.object({
  error: z9.object({
    message: z9.string(),
    type: z9.enum(["invalid_request_error", "rate_limit_error", "server_error"]),
    param: z9.string().nullable(),
    code: z9.string()
  })
}).meta({ id: "Error" });

// ts/surfaces/openai/errors.ts
function typeOf(status3) {
  if (status3 >= 500) return "server_error";
  return status3 === 429 ? "rate_limit_error" : "invalid_request_error";
}
var errors2 = {
  schema: ErrorBody,
  body({ message: message2, param, code }, status3) {
    return { error: { message: message2, type: typeOf(status3), param, code } };
  }
};

// ts/surfaces/openai/events.ts
var dataLine = (body) => `data: ${JSON.stringify(body)}

`;
var events2 = {
  event: dataLine,
  end: "data: [DONE]\n\n",
  // Clients tell a failure by its body, and by the missing `[DONE]`.
  failure: dataLine,
  keepAlive: ": keep-alive\n\n"
};

// ts/surfaces/openai/schemas/completions.ts
import { z as z16 } from "zod";

// ts/surfaces/openai/schemas/chat.ts
import { z as z15 } from "zod";

// ts/surfaces/openai/schemas/generation.ts
import { z as z11 } from "zod";

// ts/surfaces/openai/schemas/structure.ts
import { z as z10 } from "zod";
var schema = z10.unknown().optional().meta({ description: "JSON Schema", type: "object" });
var schemaOrText = z10.unknown().optional().meta({ description: "JSON Schema, or its text", type: ["object", "string"] });
var text3 = z10.string().nullish();
var choices = z10.array(z10.string()).max(MAX_CHOICES).nullish();
var ResponseFormat = z10.discriminatedUnion("type", [
  z10.object({ type: z10.literal("text") }),
  z10.object({ type: z10.literal("json_object"), schema }),
  z10.object({
    type: z10.literal("json_schema"),
    json_schema: z10.object({
      name: toolName.nullish(),
      schema,
      strict: z10.boolean().nullish().meta({ description: "the answer follows the schema in any case" })
    })
  })
]);
var StructuredOutputs = z10.object({
  json: schemaOrText,
  regex: text3,
  choice: choices,
  grammar: text3,
  json_object: z10.boolean().nullish()
});
var structureFields = {
  response_format: ResponseFormat.nullish(),
  structured_outputs: StructuredOutputs.nullish().meta({ description: "one of json, regex, choice, grammar and json_object" }),
  guided_json: schemaOrText,
  guided_regex: text3,
  guided_choice: choices,
  guided_grammar: text3,
  grammar: text3.meta({ description: "in GBNF or Lark" }),
  json_schema: schema
};

// ts/surfaces/openai/schemas/generation.ts
var MAX_STOPS2 = 16;
var MAX_STOP_LENGTH2 = 1024;
var MAX_TOP_LOGPROBS = 20;
var MAX_LOGIT_BIASES = 1024;
var tokenId = z11.int().nonnegative().max(4294967295);
var stopString = z11.string().min(1).max(MAX_STOP_LENGTH2);
var conversationId = z11.string().regex(CONVERSATION_ID, "1 to 128 of A-Z a-z 0-9 . _ : -");
var generationFields = {
  model: z11.string().min(1).max(512).nullish().meta({ description: "a name of GET /v1/models; default: the first" }),
  stream: z11.boolean().nullish(),
  stream_options: z11.object({ include_usage: z11.boolean().nullish() }).nullish(),
  temperature: z11.number().min(0).max(100).nullish(),
  top_p: z11.number().gt(0).max(1).nullish(),
  top_k: z11.int().min(-1).max(2147483647).nullish().meta({ description: "0 or -1: off" }),
  min_p: z11.number().min(0).max(1).nullish(),
  repetition_penalty: z11.number().gt(0).max(100).nullish(),
  presence_penalty: z11.number().min(-2).max(2).nullish(),
  frequency_penalty: z11.number().min(-2).max(2).nullish(),
  logit_bias: z11.record(z11.string().regex(/^\d{1,10}$/, "a token id"), z11.number().min(-100).max(100)).refine((biases) => Object.keys(biases).length <= MAX_LOGIT_BIASES, `at most ${MAX_LOGIT_BIASES} tokens`).nullish(),
  seed: z11.int().nullish(),
  stop: z11.union([stopString, z11.array(stopString).max(MAX_STOPS2)]).nullish(),
  stop_token_ids: z11.array(tokenId).max(MAX_STOPS2).nullish(),
  ignore_eos: z11.boolean().nullish(),
  cache_salt: z11.string().max(256).nullish(),
  conversation: conversationId.nullish(),
  session_id: conversationId.nullish().meta({ description: "another name of conversation, which goes before it" }),
  prompt_cache_key: z11.string().max(1024).nullish().meta({ description: "a hint that names the conversation" }),
  prompt_cache_retention: z11.enum(["in_memory", "in-memory", "24h"]).nullish().meta({ description: "24h: a hint that the conversation comes back, never a promise to keep it" }),
  truncation: z11.enum(["auto", "disabled"]).nullish().meta({ description: "auto: a conversation longer than the context continues with its head and latest part. default: disabled" }),
  ...structureFields
};
var promptTokens = z11.array(tokenId).min(1);
var maxTokens = z11.int().min(1).max(2147483647);

// ts/surfaces/openai/schemas/messages.ts
import { z as z12 } from "zod";
var MAX_PARTS2 = 65536;
var TEXT_PARTS = ["text", "input_text", "output_text", "refusal", "thinking"];
var textPart = z12.object({ type: z12.enum(["text", "input_text", "output_text"]), text: z12.string() });
var refusalPart = z12.object({ type: z12.literal("refusal"), refusal: z12.string() });
var thinkingPart = z12.object({ type: z12.literal("thinking"), thinking: z12.string() });
var content = z12.union([z12.string(), z12.array(textPart).min(1)]);
var resultContent = z12.union([z12.string(), z12.array(textPart)]).nullish();
var answerContent = z12.union([z12.string(), z12.array(z12.discriminatedUnion("type", [textPart, refusalPart, thinkingPart]))]).nullish().meta({ description: "may be null, beside tool_calls for instance" });
var name = z12.string().max(64).nullish();
var called = z12.object({ name: calledName, arguments: z12.string() });
var toolCall = z12.object({ id: callId, type: z12.literal("function").nullish(), function: called });
var reasoning = z12.string().nullish().meta({ description: "of the answer, where the client keeps it" });
var ChatMessage = z12.discriminatedUnion("role", [
  z12.object({ role: z12.enum(["system", "developer", "user"]), content, name }),
  z12.object({
    role: z12.literal("assistant"),
    content: answerContent,
    name,
    refusal: z12.string().nullish(),
    reasoning_content: reasoning,
    reasoning,
    tool_calls: z12.array(toolCall).max(MAX_CALLS).nullish(),
    function_call: called.nullish().meta({ deprecated: true })
  }),
  z12.object({ role: z12.literal("tool"), content: resultContent, tool_call_id: z12.union([callId, z12.literal("")]).nullish(), name: z12.string().max(256).nullish() }),
  z12.object({ role: z12.literal("function"), content: resultContent, name: calledName }).meta({ deprecated: true })
]);

// ts/surfaces/openai/schemas/tools.ts
import { z as z13 } from "zod";
var described2 = {
  name: toolName,
  description: z13.string().max(MAX_DESCRIPTION).nullish(),
  parameters: z13.unknown().optional().meta({ description: "JSON Schema of the arguments", type: "object" })
};
var Tool2 = z13.object({ type: z13.literal("function"), function: z13.object({ ...described2, strict: z13.boolean().nullish() }) });
var named2 = z13.object({ name: toolName });
var namedTool = z13.object({ type: z13.literal("function"), function: named2 });
var allowedTools = z13.object({
  type: z13.literal("allowed_tools"),
  allowed_tools: z13.object({ mode: z13.enum(["auto", "required"]), tools: z13.array(namedTool).max(MAX_TOOLS) })
});
var toolFields = {
  tools: z13.array(Tool2).max(MAX_TOOLS).nullish().meta({ description: "functions that the answer may call; an empty list is none" }),
  tool_choice: z13.union([z13.enum(["none", "auto", "required"]), z13.discriminatedUnion("type", [namedTool, allowedTools])]).nullish().meta({ description: "default: auto" }),
  parallel_tool_calls: z13.boolean().nullish().meta({ description: "whether an answer may make several calls; default true" }),
  functions: z13.array(z13.object(described2)).max(MAX_TOOLS).nullish().meta({ deprecated: true, description: "as tools; the answer has a function_call" }),
  function_call: z13.union([z13.enum(["none", "auto"]), named2]).nullish().meta({ deprecated: true })
};

// ts/surfaces/openai/schemas/usage.ts
import { z as z14 } from "zod";
var count6 = z14.int().nonnegative();
var milliseconds2 = z14.number().nonnegative();
var Usage = z14.object({
  prompt_tokens: count6,
  completion_tokens: count6,
  total_tokens: count6,
  prompt_tokens_details: z14.object({ cached_tokens: count6 }),
  completion_tokens_details: z14.object({ reasoning_tokens: count6 }),
  attentionstore: z14.object({
    conversation: z14.string(),
    reused_tokens: z14.object(perTier(() => count6)).meta({ description: "by the fastest tier in which the block lay when the request was queued" }),
    computed_tokens: count6,
    recomputed_tokens: count6.meta({ description: "computed again after a preemption" }),
    outside_view_tokens: count6,
    miss: MissReasons.meta({ description: "why prompt tokens were not reused; \u03A3 miss = computed_tokens + outside_view_tokens" }),
    queue_ms: milliseconds2,
    load_ms: milliseconds2,
    prefill_ms: milliseconds2,
    ttft_ms: milliseconds2
  })
}).meta({ id: "Usage" });

// ts/surfaces/openai/schemas/chat.ts
var ChatRequest = z15.object({
  ...generationFields,
  ...toolFields,
  messages: z15.array(ChatMessage).min(1),
  max_tokens: maxTokens.nullish(),
  max_completion_tokens: maxTokens.nullish().meta({ description: "wins over max_tokens" }),
  logprobs: z15.boolean().nullish(),
  top_logprobs: z15.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
  reasoning_effort: z15.enum(REASONING_EFFORTS).nullish().meta({ description: "a variable of the template; none and minimal also turn thinking off" }),
  enable_thinking: z15.boolean().nullish().meta({ description: "a variable of the template" }),
  chat_template_kwargs: z15.unknown().optional().meta({ description: "variables for the template", type: "object" }),
  include_reasoning: z15.boolean().nullish().meta({ description: "false: the answer comes without its reasoning" })
}).meta({ id: "ChatCompletionRequest" });
var tokenChoice = z15.object({ token: z15.string(), logprob: z15.number(), bytes: z15.array(z15.int()).nullable() });
var ChatLogprobs = z15.object({
  content: z15.array(tokenChoice.extend({ top_logprobs: z15.array(tokenChoice) })),
  refusal: z15.null()
}).meta({ id: "ChatLogprobs" });
var finishReason = z15.enum(["stop", "length", "tool_calls", "function_call"]);
var stopReason2 = z15.union([z15.string(), z15.int()]).nullable().meta({ description: "the stop string or stop token that ended the answer" });
var calledFunction = z15.object({ name: z15.string(), arguments: z15.string().meta({ description: "JSON text" }) });
var toolCall2 = z15.object({ id: z15.string(), type: z15.literal("function"), function: calledFunction });
var reasoningFields = { reasoning_content: z15.string().optional(), reasoning: z15.string().optional() };
var answer = z15.object({
  role: z15.literal("assistant"),
  content: z15.string().nullable().meta({ description: "null: the answer is tool calls or reasoning alone" }),
  refusal: z15.null(),
  ...reasoningFields,
  tool_calls: z15.array(toolCall2).optional(),
  function_call: calledFunction.optional().meta({ description: "in the place of tool_calls, where the request has functions" })
});
var head = { id: z15.string(), created: z15.int(), model: z15.string(), system_fingerprint: z15.string() };
var ChatResponse = z15.object({
  ...head,
  object: z15.literal("chat.completion"),
  choices: z15.array(
    z15.object({
      index: z15.int(),
      message: answer,
      logprobs: ChatLogprobs.nullable(),
      finish_reason: finishReason,
      stop_reason: stopReason2
    })
  ),
  usage: Usage
}).meta({ id: "ChatCompletion" });
var callDelta = z15.object({
  index: z15.int(),
  id: z15.string().optional(),
  type: z15.literal("function").optional(),
  function: z15.object({ name: z15.string().optional(), arguments: z15.string() })
});
var delta = z15.object({
  role: z15.literal("assistant").optional(),
  content: z15.string().optional(),
  ...reasoningFields,
  tool_calls: z15.array(callDelta).optional().meta({ description: "id and name once, then pieces of the arguments" }),
  function_call: z15.object({ name: z15.string().optional(), arguments: z15.string() }).optional()
});
var ChatChunk = z15.object({
  ...head,
  object: z15.literal("chat.completion.chunk"),
  choices: z15.array(
    z15.object({
      index: z15.int(),
      delta,
      logprobs: ChatLogprobs.nullable(),
      finish_reason: finishReason.nullable(),
      stop_reason: stopReason2.optional()
    })
  ),
  usage: Usage.nullish()
}).meta({ id: "ChatCompletionChunk" });

// ts/surfaces/openai/schemas/completions.ts
var MAX_PROMPTS = 64;
var text4 = z16.string().min(1);
var CompletionRequest = z16.object({
  ...generationFields,
  prompt: z16.union([
    text4,
    promptTokens,
    z16.array(text4).min(1).max(MAX_PROMPTS),
    z16.array(promptTokens).min(1).max(MAX_PROMPTS)
  ]),
  max_tokens: maxTokens.nullish().meta({ description: "default 16" }),
  logprobs: z16.int().min(0).max(MAX_TOP_LOGPROBS).nullish()
}).meta({ id: "CompletionRequest" });
var CompletionLogprobs = z16.object({
  tokens: z16.array(z16.string()),
  token_logprobs: z16.array(z16.number()),
  top_logprobs: z16.array(z16.record(z16.string(), z16.number())).nullable(),
  text_offset: z16.array(z16.int())
}).meta({ id: "CompletionLogprobs" });
var finishReason2 = z16.enum(["stop", "length"]);
var choice = z16.object({
  index: z16.int(),
  text: z16.string(),
  logprobs: CompletionLogprobs.nullable(),
  finish_reason: finishReason2,
  stop_reason: stopReason2
});
var head2 = { id: z16.string(), object: z16.literal("text_completion"), created: z16.int(), model: z16.string(), system_fingerprint: z16.string() };
var CompletionResponse = z16.object({ ...head2, choices: z16.array(choice), usage: Usage }).meta({ id: "Completion" });
var CompletionChunk = z16.object({
  ...head2,
  choices: z16.array(choice.extend({ finish_reason: finishReason2.nullable(), stop_reason: stopReason2.optional() })),
  usage: Usage.nullish()
}).meta({ id: "CompletionChunk" });

// ts/surfaces/openai/bounds.ts
var MAX_DETOKENIZED = 131072;
var MOST_ITEMS = {
  stop: MAX_STOPS2,
  stop_token_ids: MAX_STOPS2,
  logit_bias: MAX_LOGIT_BIASES,
  tokens: MAX_DETOKENIZED,
  tools: MAX_TOOLS,
  functions: MAX_TOOLS,
  guided_choice: MAX_CHOICES
};
function checkLengths(body, maxModelLen) {
  if (typeof body !== "object" || body === null) return;
  const field = (name2) => Object.hasOwn(body, name2) ? body[name2] : void 0;
  for (const [name2, most] of Object.entries(MOST_ITEMS)) {
    if (items(field(name2)) > most) throw new ApiError("invalid_value", `${name2}: at most ${most} items`, name2);
  }
  const limit = field("truncation") === "auto" && maxModelLen <= MAX_TRUNCATED ? truncated : untruncated(maxModelLen);
  checkContext(field("messages"), "messages", limit);
  checkMessages(field("messages"));
  checkPrompt(field("prompt"), limit);
}
function items(value) {
  if (Array.isArray(value)) return value.length;
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}
function untruncated(maxModelLen) {
  return { tooMany: maxModelLen, text: `the context limit is ${maxModelLen}, and an answer needs at least one token of it` };
}
var truncated = { tooMany: MAX_TRUNCATED + 1, text: `the limit with truncation is ${MAX_TRUNCATED}` };
function checkPrompt(prompt, limit) {
  if (!Array.isArray(prompt)) return;
  if (typeof prompt[0] === "number") return checkContext(prompt, "prompt", limit);
  if (prompt.length > MAX_PROMPTS) throw new ApiError("invalid_value", `prompt: the list has ${prompt.length} prompts; the limit is ${MAX_PROMPTS}.`, "prompt");
  for (const part2 of prompt) checkContext(part2, "prompt", limit);
}
function checkMessages(messages3) {
  if (!Array.isArray(messages3)) return;
  let parts = 0;
  for (const [index2, message2] of messages3.entries()) {
    if (!isObject(message2)) continue;
    const calls = items(message2["tool_calls"]);
    const param = `messages.${index2}.tool_calls`;
    if (calls > MAX_CALLS) throw new ApiError("invalid_value", `${param}: at most ${MAX_CALLS} items`, param);
    parts += calls + (Array.isArray(message2["content"]) ? message2["content"].length : 0);
    if (parts > MAX_PARTS2) {
      throw new ApiError("invalid_value", `messages: All messages together have at most ${MAX_PARTS2} content parts and calls.`, "messages");
    }
  }
}
function checkContext(list, param, { tooMany, text: text5 }) {
  if (!Array.isArray(list) || list.length < tooMany) return;
  const what = param === "prompt" ? "tokens" : "messages";
  const message2 = `${param}: the list has ${list.length} ${what}; ${text5}.`;
  throw new ApiError("context_length_exceeded", message2, param, { prompt: list.length, max_model_len: tooMany });
}

// ts/surfaces/openai/fields/rows.ts
var ROUTES = { chat: ["chat"], completions: ["completions"], both: ["chat", "completions"] };
function rows2(list, of, names, rule = {}) {
  return names.trim().split(/\s+/).map((field) => ({ field, list, routes: ROUTES[of], ...rule }));
}
var is = (...values) => (value) => values.includes(value);
var isKind2 = (...kinds) => (value) => typeof value !== "string" || kinds.includes(value);
var ONLY_TEXT2 = "The model reads and writes text.";
var ONLY_FUNCTIONS = "The server runs no tools: tools are functions that the client calls.";
var SERVED = [
  ...rows2("served", "both", `
    model stream stream_options stream_options.include_usage max_tokens temperature top_p top_k min_p repetition_penalty
    presence_penalty frequency_penalty logit_bias seed stop stop_token_ids ignore_eos logprobs cache_salt conversation session_id
    prompt_cache_key prompt_cache_retention truncation
    response_format response_format.schema response_format.json_schema response_format.json_schema.name
    response_format.json_schema.schema response_format.json_schema.strict
    structured_outputs structured_outputs.json structured_outputs.regex structured_outputs.choice structured_outputs.grammar
    structured_outputs.json_object guided_json guided_regex guided_choice guided_grammar grammar json_schema`),
  ...rows2("served", "both", "response_format.type", {
    passes: isKind2("text", "json_object", "json_schema"),
    reason: "The server knows text, json_object and json_schema."
  }),
  ...rows2("served", "completions", "prompt"),
  ...rows2("served", "chat", `
    max_completion_tokens top_logprobs include_reasoning
    messages messages[].role messages[].content messages[].content[].text messages[].content[].refusal
    messages[].content[].thinking messages[].name messages[].refusal messages[].reasoning_content messages[].reasoning
    messages[].tool_call_id messages[].tool_calls messages[].tool_calls[].id messages[].tool_calls[].function
    messages[].tool_calls[].function.name messages[].tool_calls[].function.arguments
    messages[].function_call messages[].function_call.name messages[].function_call.arguments
    tools tools[].function tools[].function.name tools[].function.description tools[].function.parameters tools[].function.strict
    tool_choice tool_choice.function tool_choice.function.name tool_choice.allowed_tools tool_choice.allowed_tools.mode
    tool_choice.allowed_tools.tools tool_choice.allowed_tools.tools[].function tool_choice.allowed_tools.tools[].function.name
    parallel_tool_calls functions functions[].name functions[].description functions[].parameters function_call
    function_call.name reasoning_effort enable_thinking chat_template_kwargs`),
  ...rows2("served", "chat", "messages[].content[].type", { passes: isKind2(...TEXT_PARTS), reason: ONLY_TEXT2 }),
  ...rows2("served", "chat", "tools[].type messages[].tool_calls[].type tool_choice.allowed_tools.tools[].type", {
    passes: isKind2("function"),
    reason: ONLY_FUNCTIONS
  }),
  ...rows2("served", "chat", "tool_choice.type", { passes: isKind2("function", "allowed_tools"), reason: ONLY_FUNCTIONS })
];
var ACCEPTED = [
  ...rows2("accepted", "both", `
    user metadata safety_identifier store request_id priority cache_prompt id_slot timings_per_token return_progress
    stream_options.include_obfuscation stream_options.continuous_usage_stats response_format.json_schema.description
    structured_outputs.disable_fallback guided_decoding_backend spaces_between_special_tokens length_penalty early_stopping
    repeat_last_n mirostat_tau mirostat_eta dynatemp_exponent dry_base dry_allowed_length dry_penalty_last_n
    dry_sequence_breakers xtc_threshold`),
  ...rows2("accepted", "both", "service_tier", {
    passes: is("auto", "default"),
    reason: "The server has one tier of service: auto, or default."
  }),
  ...rows2("accepted", "chat", `
    verbosity messages[].annotations messages[].cache_control messages[].content[].cache_control
    messages[].content[].annotations messages[].reasoning_details messages[].thinking_blocks messages[].provider_specific_fields
    messages[].tool_calls[].index messages[].tool_calls[].cache_control messages[].tool_calls[].extra_content
    tools[].cache_control`)
];
var SAMPLING = "The server does not sample this way.";
var SEPARATE = "Reasoning is always told apart from the content.";
var REFUSED = [
  ...rows2("refused", "both", "n best_of", { passes: is(1), reason: "The server gives one answer a prompt." }),
  ...rows2("refused", "both", "use_beam_search", { reason: "The server gives one answer a prompt." }),
  ...rows2("refused", "both", "skip_special_tokens", { passes: is(true), reason: "Special tokens are no part of the text of an answer." }),
  ...rows2("refused", "both", "echo", { reason: "The prompt is not repeated before the answer." }),
  ...rows2("refused", "both", "suffix", { reason: "The server continues a prompt, and fills in no middle." }),
  ...rows2("refused", "both", "min_tokens min_new_tokens", { passes: is(0), reason: "An answer may end at any token." }),
  ...rows2("refused", "both", "bad_words allowed_token_ids logits_processors logits_processor", { reason: "Use logit_bias." }),
  ...rows2("refused", "both", "include_stop_str_in_output no_stop_trim", { reason: "A stop string is not part of an answer." }),
  ...rows2("refused", "both", "prompt_logprobs", { passes: is(false), reason: "Log probabilities are those of the answer." }),
  ...rows2("refused", "both", "truncate_prompt_tokens", { reason: 'Use "truncation": "auto".' }),
  ...rows2("refused", "both", "return_tokens_as_token_ids return_token_ids return_tokens post_sampling_probs", {
    reason: "An answer is told as text."
  }),
  ...rows2("refused", "both", "n_probs", { passes: is(0), reason: "Use logprobs." }),
  ...rows2("refused", "both", "n_predict", { passes: is(-1), reason: "Use max_tokens." }),
  ...rows2("refused", "both", "n_keep n_discard", { passes: is(0), reason: "Use truncation." }),
  ...rows2("refused", "both", "repeat_penalty", { passes: is(1), reason: "Use repetition_penalty." }),
  ...rows2("refused", "both", "typical_p", { passes: is(1), reason: SAMPLING }),
  ...rows2("refused", "both", "top_n_sigma", { passes: is(-1), reason: SAMPLING }),
  ...rows2("refused", "both", "mirostat dynatemp_range dry_multiplier xtc_probability min_keep", { passes: is(0), reason: SAMPLING }),
  ...rows2("refused", "both", "samplers", { reason: SAMPLING }),
  ...rows2("refused", "both", "t_max_predict_ms", { passes: is(0), reason: "An answer has no limit in time." }),
  ...rows2("refused", "both", "lora lora_path", { reason: "The server has no adapters." }),
  ...rows2("refused", "both", "kv_transfer_params vllm_xargs custom_params", { reason: "The field belongs to another server." }),
  ...rows2("refused", "both", "regex", { reason: "Use structured_outputs.regex." }),
  ...rows2("refused", "both", "ebnf", { reason: "Use structured_outputs.grammar." }),
  ...rows2("refused", "both", "structural_tag guided_whitespace_pattern grammar_lazy grammar_triggers", {
    reason: "A constraint holds from the beginning of the answer to its end."
  }),
  ...rows2("refused", "both", `
    structured_outputs.structural_tag structured_outputs.whitespace_pattern structured_outputs.disable_any_whitespace
    structured_outputs.disable_additional_properties`, { reason: "The server does not support this rule of a constraint." }),
  ...rows2("refused", "completions", "tools tool_choice functions function_call", { reason: "Tools are called in chat completions." }),
  ...rows2("refused", "completions", "add_special_tokens", {
    passes: is(true),
    reason: "A prompt that is a text begins as the tokenizer begins texts. Send tokens for another beginning."
  }),
  ...rows2("refused", "chat", "add_special_tokens", { reason: "The template writes the special tokens." }),
  ...rows2("refused", "chat", "chat_template", { reason: "The template is the model's own." }),
  ...rows2("refused", "chat", "continue_final_message messages[].prefix messages[].partial", {
    reason: "An answer is a new message, and continues none."
  }),
  ...rows2("refused", "chat", "prediction", { reason: "An answer is not predicted by the client." }),
  ...rows2("refused", "chat", "documents web_search_options plugins", { reason: "The server searches nothing." }),
  ...rows2("refused", "chat", `
    audio messages[].audio messages[].images messages[].content[].image_url messages[].content[].input_image
    messages[].content[].image messages[].content[].input_audio messages[].content[].audio_url messages[].content[].video_url
    messages[].content[].file mm_processor_kwargs media_io_kwargs`, { reason: ONLY_TEXT2 }),
  ...rows2("refused", "chat", "modalities", {
    passes: (value) => Array.isArray(value) && value.every((kind) => kind === "text"),
    reason: ONLY_TEXT2
  }),
  ...rows2("refused", "chat", "tools[].custom messages[].tool_calls[].custom", { reason: ONLY_FUNCTIONS }),
  ...rows2("refused", "chat", "add_generation_prompt", { passes: is(true), reason: "The server always asks for a new message." }),
  ...rows2("refused", "chat", "separate_reasoning", { passes: is(true), reason: SEPARATE }),
  ...rows2("refused", "chat", "reasoning_format", { passes: is("auto", "deepseek"), reason: SEPARATE }),
  ...rows2("refused", "chat", "reasoning", { reason: "Use reasoning_effort." }),
  ...rows2("refused", "chat", "thinking thinking_budget thinking_token_budget", {
    reason: "Use enable_thinking, or the variables that the template reads, in chat_template_kwargs."
  })
];
var FIELDS3 = [...SERVED, ...ACCEPTED, ...REFUSED];

// ts/surfaces/openai/fields/tables.ts
var tableOf = (route) => new FieldTable(FIELDS3.filter(({ routes }) => routes.includes(route)));
var chatFields = tableOf("chat");
var completionFields = tableOf("completions");

// ts/surfaces/openai/format/call-deltas.ts
var CallDeltas = class {
  constructor(asFunctions) {
    this.asFunctions = asFunctions;
  }
  asFunctions;
  #calls = 0;
  /** null: nothing is told. The older form has room for one call. */
  next(event) {
    if (event.type === "call") this.#calls++;
    else if (event.text === "") return null;
    if (!this.asFunctions) return { tool_calls: [this.#toolCall(event)] };
    if (this.#calls > 1) return null;
    return { function_call: event.type === "call" ? { name: event.name, arguments: "" } : { arguments: event.text } };
  }
  #toolCall(event) {
    const index2 = this.#calls - 1;
    if (event.type === "arguments") return { index: index2, function: { arguments: event.text } };
    return { index: index2, id: event.id, type: "function", function: { name: event.name, arguments: "" } };
  }
  /** How the calls so far were told. */
  get form() {
    if (this.#calls === 0) return null;
    return this.asFunctions ? "function_call" : "tool_calls";
  }
};

// ts/surfaces/openai/format/finish.ts
function finishReason3(reason) {
  return reason === "length" ? "length" : "stop";
}
function chatFinishReason(reason, calls) {
  return reason === "length" || calls === null ? finishReason3(reason) : calls;
}

// ts/surfaces/openai/format/logprobs.ts
import { isUtf8 } from "node:buffer";
var LOWEST_LOGPROB = -9999;
function finite(logprob) {
  return Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB;
}
function tokenChoice2(token, logprob, text5) {
  const bytes = text5.tokenBytes(token);
  return { token: Buffer.from(bytes).toString("utf8"), logprob: finite(logprob), bytes: [...bytes] };
}
function chatLogprobs(tokens, text5) {
  const content2 = tokens.map(({ token, logprob, top }) => ({
    ...tokenChoice2(token, logprob, text5),
    top_logprobs: top.map(([alternative, value]) => tokenChoice2(alternative, value, text5))
  }));
  return { content: content2, refusal: null };
}
var CompletionTokens = class {
  #text;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #offset = 0;
  constructor(text5) {
    this.#text = text5;
  }
  next(tokens) {
    return {
      tokens: tokens.map(({ token }) => this.#name(token)),
      token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
      top_logprobs: tokens.map(({ top }) => this.#alternatives(top)),
      text_offset: tokens.map(({ token }) => this.#advance(token))
    };
  }
  /** Where the token's text begins, or the character that it belongs to. */
  #advance(token) {
    const offset = this.#offset;
    this.#offset += this.#decoder.decode(this.#text.tokenBytes(token), { stream: true }).length;
    return offset;
  }
  /** Its text; of a token that is no text by itself its bytes, as OpenAI's completions tell them. */
  #name(token) {
    const bytes = this.#text.tokenBytes(token);
    const text5 = Buffer.from(bytes);
    if (isUtf8(text5)) return text5.toString("utf8");
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
  /** Where two tokens have the same text, the likelier one has it as its name. */
  #alternatives(top) {
    const named4 = /* @__PURE__ */ new Map();
    for (const [token, logprob] of top.toSorted(([, a], [, b]) => b - a)) {
      const name2 = this.#name(token);
      named4.set(named4.has(name2) ? `token_id:${token}` : name2, finite(logprob));
    }
    return Object.fromEntries(named4);
  }
};

// ts/surfaces/openai/format/usage.ts
function usageBody2(usages) {
  const sum = (of) => usages.reduce((total, usage2) => total + of(usage2), 0);
  const slowest = (of) => Math.max(0, ...usages.map(of));
  const reused = perTier((tier) => sum(({ reusedTokens }) => reusedTokens[tier]));
  const promptTokens2 = sum(({ promptTokens: promptTokens3 }) => promptTokens3);
  const completionTokens = sum(({ completionTokens: completionTokens2 }) => completionTokens2);
  return {
    prompt_tokens: promptTokens2,
    completion_tokens: completionTokens,
    total_tokens: promptTokens2 + completionTokens,
    prompt_tokens_details: { cached_tokens: sumTiers(reused) },
    completion_tokens_details: { reasoning_tokens: sum(({ reasoningTokens }) => reasoningTokens ?? 0) },
    attentionstore: {
      conversation: usages[0]?.conversation ?? "",
      reused_tokens: reused,
      computed_tokens: sum(({ computedTokens }) => computedTokens),
      recomputed_tokens: sum(({ recomputedTokens }) => recomputedTokens),
      outside_view_tokens: sum(({ outsideViewTokens }) => outsideViewTokens),
      miss: {
        never_seen: sum(({ missedTokens }) => missedTokens.neverSeen),
        reasoning_dropped: sum(({ missedTokens }) => missedTokens.reasoningDropped),
        evicted: sum(({ missedTokens }) => missedTokens.evicted),
        damaged: sum(({ missedTokens }) => missedTokens.damaged),
        outside_view: sum(({ missedTokens }) => missedTokens.outsideView),
        unknown: sum(({ missedTokens }) => missedTokens.unknown)
      },
      queue_ms: slowest(({ queueMs }) => queueMs),
      load_ms: slowest(({ loadMs }) => loadMs),
      prefill_ms: slowest(({ prefillMs }) => prefillMs),
      ttft_ms: slowest(({ ttftMs }) => ttftMs)
    }
  };
}

// ts/surfaces/openai/format/chat.ts
function chatBody(head3, answer2, form, text5) {
  const { done: done2, deltas, calls } = answer2;
  const tokens = deltas.flatMap((delta3) => delta3.logprobs);
  const told = form.asFunctions ? "function_call" : "tool_calls";
  return {
    ...head3,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: message(answer2, form),
        logprobs: form.logprobs ? chatLogprobs(tokens, text5) : null,
        finish_reason: chatFinishReason(done2.finish, calls.length > 0 ? told : null),
        stop_reason: done2.stopReason
      }
    ],
    usage: usageBody2([done2.usage])
  };
}
function message({ text: text5, reasoning: reasoning2, calls }, form) {
  const hasMore = reasoning2 !== "" || calls.length > 0;
  return {
    role: "assistant",
    content: text5 === "" && hasMore ? null : text5,
    refusal: null,
    ...form.reasoning ? reasoningFields2(reasoning2) : {},
    ...callFields(calls, form.asFunctions)
  };
}
function reasoningFields2(reasoning2) {
  return reasoning2 === "" ? {} : { reasoning_content: reasoning2, reasoning: reasoning2 };
}
function callFields(calls, asFunctions) {
  const [first] = calls;
  if (first === void 0) return {};
  if (asFunctions) return { function_call: { name: first.name, arguments: first.arguments } };
  return { tool_calls: calls.map(({ id: id3, name: name2, arguments: text5 }) => ({ id: id3, type: "function", function: { name: name2, arguments: text5 } })) };
}
async function* chatChunks(head3, turn, form, text5) {
  const usageField = form.includeUsage ? { usage: null } : {};
  const chunk = ({ delta: delta3, logprobs = null, finish_reason = null, ...more }) => ({
    ...head3,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: delta3, logprobs, finish_reason, ...more }],
    ...usageField
  });
  const calls = new CallDeltas(form.asFunctions);
  yield chunk({ delta: { role: "assistant", ...form.mayCall ? {} : { content: "" } } });
  for await (const event of turn) {
    switch (event.type) {
      case "delta":
        if (event.text === "" && !form.logprobs) break;
        yield chunk({ delta: { content: event.text }, logprobs: form.logprobs ? chatLogprobs(event.logprobs, text5) : null });
        break;
      case "reasoning":
        if (form.reasoning && event.text !== "") yield chunk({ delta: reasoningFields2(event.text) });
        break;
      case "call":
      case "arguments": {
        const delta3 = calls.next(event);
        if (delta3 !== null) yield chunk({ delta: delta3 });
        break;
      }
      case "done":
        yield chunk({ delta: {}, finish_reason: chatFinishReason(event.finish, calls.form), stop_reason: event.stopReason });
        if (form.includeUsage) yield { ...head3, object: "chat.completion.chunk", choices: [], usage: usageBody2([event.usage]) };
        return;
    }
  }
}

// ts/surfaces/openai/format/head.ts
import { randomUUID as randomUUID2 } from "node:crypto";

// ts/surfaces/system-fingerprint.ts
import { createHash as createHash4 } from "node:crypto";
function systemFingerprint({ fingerprint, textFingerprint }, version) {
  const hash = createHash4("sha256").update(JSON.stringify([fingerprint, textFingerprint, version]));
  return `fp_${hash.digest("hex").slice(0, 12)}`;
}

// ts/surfaces/openai/format/head.ts
function responseHead(kind, model3, { engine, version }) {
  return {
    id: `${kind}-${randomUUID2()}`,
    created: Math.floor(Date.now() / 1e3),
    model: model3,
    system_fingerprint: systemFingerprint(engine.info, version)
  };
}

// ts/surfaces/openai/messages.ts
function turnMessages2(messages3) {
  let lastFunctionCall;
  return messages3.map((message2, index2) => {
    const name2 = message2.name ? { name: wellFormed(message2.name) } : {};
    switch (message2.role) {
      case "assistant": {
        const old = message2.tool_calls?.length ? void 0 : message2.function_call;
        if (old) lastFunctionCall = `call_${index2}`;
        return { ...assistantMessage2(message2, old ? [callOf(`call_${index2}`, old)] : toolCalls(message2)), ...name2 };
      }
      case "tool":
        return { role: "tool", content: contentText2(message2.content), ...name2, ...result(message2.tool_call_id) };
      case "function":
        return { role: "tool", content: contentText2(message2.content), ...name2, ...result(lastFunctionCall) };
      default:
        return { role: message2.role === "developer" ? "system" : message2.role, content: contentText2(message2.content), ...name2 };
    }
  });
}
function assistantMessage2(message2, calls) {
  const reasoning2 = message2.reasoning_content || message2.reasoning || thoughts(message2.content);
  return {
    role: "assistant",
    content: contentText2(message2.content) || wellFormed(message2.refusal ?? ""),
    ...reasoning2 ? { reasoning: wellFormed(reasoning2) } : {},
    ...calls.length > 0 ? { toolCalls: calls } : {}
  };
}
var result = (id3) => id3 ? { toolCallId: wellFormed(id3) } : {};
function toolCalls({ tool_calls: calls }) {
  return (calls ?? []).map(({ id: id3, function: called2 }) => callOf(wellFormed(id3), called2));
}
function callOf(id3, called2) {
  return { id: id3, name: wellFormed(called2.name), arguments: wellFormed(called2.arguments.trim() === "" ? "{}" : called2.arguments) };
}
function contentText2(content2) {
  if (typeof content2 === "string") return wellFormed(content2);
  return wellFormed((content2 ?? []).map(partText).join(""));
}
function partText(part2) {
  if (part2.type === "thinking") return "";
  return part2.type === "refusal" ? part2.refusal : part2.text;
}
function thoughts(content2) {
  if (!content2 || typeof content2 === "string") return "";
  return content2.map((part2) => part2.type === "thinking" ? part2.thinking : "").join("");
}

// ts/surfaces/openai/tools.ts
function askedTools(fields) {
  const { tools, functions } = fields;
  if (!functions?.length) {
    checkNoChoice("function_call", fields.function_call, "functions", functions);
    return { tools: ofTools(fields), choiceField: "tool_choice", asFunctions: false };
  }
  if (tools?.length) throw new ApiError("invalid_value", "functions: The request has tools already; functions are their older name.", "functions");
  checkNoChoice("tool_choice", fields.tool_choice, "tools", tools);
  return { tools: ofFunctions(functions, fields.function_call ?? "auto"), choiceField: "function_call", asFunctions: true };
}
function ofTools({ tools, tool_choice: asked2, parallel_tool_calls: parallel2 }) {
  if (!tools?.length) {
    checkNoChoice("tool_choice", asked2, "tools", tools);
    return void 0;
  }
  const definitions = toolDefinitions(tools.map((tool, index2) => ({ ...tool.function, param: `tools.${index2}.function` })));
  const choice3 = asked2 ?? "auto";
  if (typeof choice3 === "object" && choice3.type === "allowed_tools") return allowed(choice3.allowed_tools, definitions, parallel2 ?? true);
  const toolChoice = typeof choice3 === "string" ? choice3 : { name: choice3.function.name };
  return turnTools(definitions, toolChoice, parallel2 ?? true, "tool_choice");
}
function ofFunctions(functions, choice3) {
  const definitions = toolDefinitions(functions.map((definition, index2) => ({ ...definition, param: `functions.${index2}` })));
  return turnTools(definitions, choice3, false, "function_call");
}
function allowed({ mode, tools }, definitions, parallel2) {
  const names = tools.map((tool) => tool.function.name);
  for (const [index2, name2] of names.entries()) checkNamed(name2, definitions, `tool_choice.allowed_tools.tools.${index2}`);
  if (names.length > 0) return { definitions: definitions.filter(({ name: name2 }) => names.includes(name2)), choice: mode, parallel: parallel2 };
  if (mode === "auto") return { definitions, choice: "none", parallel: parallel2 };
  const param = "tool_choice.allowed_tools.tools";
  throw new ApiError("invalid_value", `${param}: A call is required, and the list allows none.`, param);
}
function checkNoChoice(field, choice3, toolsField, tools) {
  if (choice3 === void 0 || choice3 === null || choice3 === "none" || choice3 === "auto" && tools) return;
  throw new ApiError("invalid_value", `${field}: The request has no ${toolsField} to choose from.`, field);
}

// ts/surfaces/openai/structure.ts
function askedConstraints(fields) {
  const outputs = fields.structured_outputs ?? {};
  return [
    ...ofFormat(fields.response_format),
    ...outputs.json_object ? [jsonObjectConstraint("structured_outputs.json_object")] : [],
    ...asked(outputs.json, "structured_outputs.json", schemaConstraint),
    ...asked(outputs.regex, "structured_outputs.regex", regexConstraint),
    ...asked(outputs.choice, "structured_outputs.choice", choiceConstraint),
    ...asked(outputs.grammar, "structured_outputs.grammar", grammarConstraint),
    ...asked(fields.guided_json, "guided_json", schemaConstraint),
    ...asked(fields.guided_regex, "guided_regex", regexConstraint),
    ...asked(fields.guided_choice, "guided_choice", choiceConstraint),
    ...asked(fields.guided_grammar, "guided_grammar", grammarConstraint),
    ...asked(fields.json_schema, "json_schema", schemaConstraint),
    ...asked(fields.grammar, "grammar", grammarConstraint)
  ];
}
function asked(value, param, make2) {
  if (value === null || value === void 0 || value === "" || value === false) return [];
  return Array.isArray(value) && value.length === 0 ? [] : [make2(value, param)];
}
function ofFormat(format2) {
  if (!format2 || format2.type === "text") return [];
  const [schema2, param] = format2.type === "json_schema" ? [format2.json_schema.schema, "response_format.json_schema.schema"] : [format2.schema, "response_format.schema"];
  return [schema2 === void 0 || schema2 === null ? jsonObjectConstraint("response_format") : schemaConstraint(schema2, param)];
}

// ts/surfaces/openai/turn-request.ts
function turnRequest2(fields, info3, parts) {
  const hint = fields.prompt_cache_key ?? "";
  const asked2 = askedConstraints(fields);
  const constraint2 = onlyConstraint(asked2, parts.tools, parts.choiceField ?? "tool_choice");
  return {
    requestId: parts.requestId,
    tenant: parts.tenant,
    cacheSalt: fields.cache_salt ?? "",
    conversation: fields.conversation ?? fields.session_id ?? parts.conversation,
    conversationHint: CONVERSATION_ID.test(hint) ? hint : null,
    retention: fields.prompt_cache_retention === "24h" ? "day" : "none",
    prompt: parts.prompt,
    sampling: samplingParams(wishes(fields, info3, parts.logprobs), info3),
    stop: stopStrings(fields.stop),
    stopTokens: inVocabulary(fields.stop_token_ids ?? [], info3, "stop_token_ids"),
    ignoreEos: fields.ignore_eos ?? false,
    maxTokens: parts.maxTokens,
    truncation: fields.truncation ?? "disabled",
    ...parts.tools ? { tools: parts.tools } : {},
    ...constraint2 && asked2[0] ? { constraint: constraint2, constraintField: asked2[0].param } : {},
    ...parts.templateArguments ? { templateArguments: parts.templateArguments } : {}
  };
}
function wishes(fields, info3, logprobs) {
  return {
    temperature: fields.temperature,
    topK: fields.top_k,
    topP: fields.top_p,
    minP: fields.min_p,
    repetitionPenalty: fields.repetition_penalty,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    logitBias: logitBias(fields.logit_bias ?? {}, info3),
    seed: fields.seed,
    logprobs
  };
}
function logitBias(biases, info3) {
  const pairs = Object.entries(biases).map(([token, bias]) => [Number(token), bias]);
  inVocabulary(pairs.map(([token]) => token), info3, "logit_bias");
  return pairs;
}
function stopStrings(stop) {
  const strings = typeof stop === "string" ? [stop] : stop ?? [];
  return strings.map(wellFormed);
}

// ts/surfaces/openai/handlers/chat-completions.ts
var chatCompletions = async (request, context) => {
  const { body, signal } = request;
  checkLengths(body, context.service.modelContext);
  const ignored = chatFields.check(body, context.strictFields);
  const fields = validate(ChatRequest, body);
  const model3 = checkModel(fields.model, context.models);
  checkTogether(fields, context);
  const tools = askedTools(fields);
  const [turn] = await startTurns([chatTurn(fields, tools, request, context)], signal, context);
  if (turn === void 0) throw new Error("one request, no turn");
  const head3 = responseHead("chatcmpl", model3, context);
  const headers = { "x-conversation-id": turn.conversation, ...ignoredFieldsHeader(ignored) };
  const form = { logprobs: fields.logprobs ?? false, reasoning: fields.include_reasoning ?? true, asFunctions: tools.asFunctions };
  const { text: text5 } = context.engine;
  if (!fields.stream) return json(chatBody(head3, await readAnswer(turn), form, text5), headers);
  const includeUsage = fields.stream_options?.include_usage ?? false;
  const mayCall = tools.tools !== void 0 && tools.tools.choice !== "none";
  return { kind: "stream", headers, events: chatChunks(head3, turn, { ...form, includeUsage, mayCall }, text5) };
};
function checkTogether({ logprobs, top_logprobs: top }, { engine }) {
  checkTemplate(engine.info);
  if (!logprobs && top) throw new ApiError("invalid_value", 'top_logprobs: The field needs "logprobs": true.', "top_logprobs");
}
function chatTurn(fields, { tools, choiceField }, { caller, requestId, conversation }, { engine }) {
  const wishes3 = { given: fields.chat_template_kwargs, effort: fields.reasoning_effort, thinking: fields.enable_thinking };
  return turnRequest2(fields, engine.info, {
    requestId,
    tenant: caller.tenant,
    conversation,
    prompt: { kind: "chat", messages: turnMessages2(fields.messages) },
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens ?? null,
    logprobs: fields.logprobs ? fields.top_logprobs ?? 0 : null,
    tools,
    choiceField,
    templateArguments: templateArguments(wishes3, "chat_template_kwargs")
  });
}

// ts/surfaces/openai/format/completions.ts
function completionBody(head3, answers, logprobs, text5) {
  const choices2 = answers.map((answer2, index2) => ({
    index: index2,
    text: answer2.text,
    logprobs: logprobs ? new CompletionTokens(text5).next(answer2.deltas.flatMap((delta3) => delta3.logprobs)) : null,
    finish_reason: finishReason3(answer2.done.finish),
    stop_reason: answer2.done.stopReason
  }));
  return { ...head3, object: "text_completion", choices: choices2, usage: usageBody2(answers.map(({ done: done2 }) => done2.usage)) };
}
async function* completionChunks(head3, turns, options, text5) {
  const usages = [];
  const tokens = turns.map(() => new CompletionTokens(text5));
  const usageField = options.includeUsage ? { usage: null } : {};
  const chunk = (choice3) => ({
    ...head3,
    object: "text_completion",
    choices: [choice3],
    ...usageField
  });
  const deltaChoice = (index2, event) => {
    const logprobs = options.logprobs ? tokens[index2]?.next(event.logprobs) ?? null : null;
    return { index: index2, text: event.text, logprobs, finish_reason: null };
  };
  for await (const [index2, event] of mergeTurns(turns)) {
    if (event.type === "delta") {
      if (event.text !== "" || options.logprobs) yield chunk(deltaChoice(index2, event));
      continue;
    }
    if (event.type !== "done") continue;
    usages[index2] = event.usage;
    yield chunk({ index: index2, text: "", logprobs: null, finish_reason: finishReason3(event.finish), stop_reason: event.stopReason });
  }
  if (options.includeUsage) yield { ...head3, object: "text_completion", choices: [], usage: usageBody2(usages) };
}

// ts/surfaces/openai/handlers/completions.ts
var DEFAULT_MAX_TOKENS = 16;
var completions = async ({ body, caller, requestId, conversation, signal }, context) => {
  checkLengths(body, context.service.modelContext);
  const ignored = completionFields.check(body, context.strictFields);
  const fields = validate(CompletionRequest, body);
  const model3 = checkModel(fields.model, context.models);
  const { info: info3, text: text5 } = context.engine;
  const prompts = promptsOf(fields.prompt, info3);
  const requests = prompts.map(
    (prompt, index2) => turnRequest2(fields, info3, {
      requestId: prompts.length === 1 ? requestId : `${requestId}-${index2}`,
      tenant: caller.tenant,
      conversation,
      prompt,
      maxTokens: fields.max_tokens ?? DEFAULT_MAX_TOKENS,
      logprobs: fields.logprobs ?? null
    })
  );
  const turns = await startTurns(requests, signal, context);
  const head3 = responseHead("cmpl", model3, context);
  const headers = { "x-conversation-id": turns[0]?.conversation ?? "", ...ignoredFieldsHeader(ignored) };
  const logprobs = typeof fields.logprobs === "number";
  if (!fields.stream) {
    const answers = await Promise.all(turns.map(readAnswer));
    return json(completionBody(head3, answers, logprobs, text5), headers);
  }
  const includeUsage = fields.stream_options?.include_usage ?? false;
  return { kind: "stream", headers, events: completionChunks(head3, turns, { logprobs, includeUsage }, text5) };
};
function promptsOf(prompt, info3) {
  if (typeof prompt === "string") return [{ kind: "text", text: wellFormed(prompt) }];
  if (prompt.every((part2) => typeof part2 === "number")) return [tokenPrompt(prompt, info3)];
  return prompt.map((part2) => {
    if (typeof part2 === "string") return { kind: "text", text: wellFormed(part2) };
    return tokenPrompt(typeof part2 === "number" ? [part2] : part2, info3);
  });
}
function tokenPrompt(tokens, info3) {
  return { kind: "tokens", tokens: Uint32Array.from(inVocabulary(tokens, info3, "prompt")) };
}

// ts/surfaces/openai/schemas/models.ts
import { z as z17 } from "zod";
var ModelParams = z17.object({ id: z17.array(z17.string()).min(1) });
var Model = z17.object({
  id: z17.string(),
  object: z17.literal("model"),
  created: z17.int(),
  owned_by: z17.string(),
  max_model_len: z17.int().positive(),
  default_sampling: z17.object({
    temperature: z17.number(),
    top_p: z17.number(),
    top_k: z17.int().meta({ description: "0: off" }),
    min_p: z17.number(),
    repetition_penalty: z17.number(),
    presence_penalty: z17.number(),
    frequency_penalty: z17.number()
  }).meta({ description: "of requests that leave these fields out" })
}).meta({ id: "Model" });
var ModelList = z17.object({ object: z17.literal("list"), data: z17.array(Model) }).meta({ id: "ModelList" });

// ts/surfaces/openai/handlers/models.ts
var models = (_, context) => {
  const body = { object: "list", data: context.models.map((id3) => row(id3, context)) };
  return json(body);
};
var model = ({ params }, context) => {
  const { id: id3 } = validate(ModelParams, params);
  return json(row(checkModel(id3.join("/"), context.models), context));
};
function row(id3, { engine, service, startedAtS }) {
  const defaults = samplingParams({}, engine.info);
  return {
    id: id3,
    object: "model",
    created: startedAtS,
    owned_by: "attentionstore",
    max_model_len: service.modelContext,
    default_sampling: {
      temperature: defaults.temperature,
      top_p: defaults.topP,
      top_k: defaults.topK,
      min_p: defaults.minP,
      repetition_penalty: defaults.repetitionPenalty,
      presence_penalty: defaults.presencePenalty,
      frequency_penalty: defaults.frequencyPenalty
    }
  };
}

// ts/surfaces/openai/schemas/tokenize.ts
import { z as z18 } from "zod";
var model2 = z18.string().min(1).max(512).nullish();
var TokenizeTextRequest = z18.object({
  model: model2,
  prompt: z18.string(),
  add_special_tokens: z18.boolean().nullish().meta({ description: "default true" }),
  return_token_strs: z18.boolean().nullish()
});
var TokenizeChatRequest = z18.object({
  model: model2,
  messages: z18.array(ChatMessage).min(1),
  ...toolFields,
  reasoning_effort: ChatRequest.shape.reasoning_effort,
  enable_thinking: ChatRequest.shape.enable_thinking,
  chat_template_kwargs: ChatRequest.shape.chat_template_kwargs,
  add_generation_prompt: z18.boolean().nullish().meta({ description: "whether the beginning of an answer follows; default true" }),
  continue_final_message: z18.boolean().nullish().meta({ description: "true: the text ends with the last message's content; needs add_generation_prompt false" }),
  return_token_strs: z18.boolean().nullish()
});
var TokenizeRequest = z18.union([TokenizeTextRequest, TokenizeChatRequest]).meta({ id: "TokenizeRequest" });
var TokenizeResponse = z18.object({
  count: z18.int(),
  max_model_len: z18.int(),
  tokens: z18.array(z18.int()),
  token_strs: z18.array(z18.string()).nullable()
}).meta({ id: "TokenizeResponse" });
var DetokenizeRequest = z18.object({ model: model2, tokens: z18.array(tokenId) }).meta({ id: "DetokenizeRequest" });
var DetokenizeResponse = z18.object({ prompt: z18.string() }).meta({ id: "DetokenizeResponse" });

// ts/surfaces/openai/handlers/tokenize.ts
var tokenize = async ({ body }, context) => {
  checkLengths(body, context.service.modelContext);
  const isChat = typeof body === "object" && body !== null && Object.hasOwn(body, "messages");
  const [tokens, wantsTexts] = isChat ? await chatTokens(body, context) : await textTokens(body, context);
  const { text: text5 } = context.engine;
  const reply = {
    count: tokens.length,
    max_model_len: context.service.modelContext,
    tokens: [...tokens],
    token_strs: wantsTexts ? Array.from(tokens, (token) => Buffer.from(text5.tokenBytes(token)).toString("utf8")) : null
  };
  return json(reply);
};
async function textTokens(body, { engine, models: models2, service }) {
  const fields = validate(TokenizeTextRequest, body);
  checkModel(fields.model, models2);
  const text5 = wellFormed(fields.prompt);
  const tokens = await within2("prompt", engine.text.tokenize(text5, fields.add_special_tokens ?? true, mostTokens(service)));
  return [tokens, fields.return_token_strs ?? false];
}
async function chatTokens(body, { engine, models: models2, service }) {
  const fields = validate(TokenizeChatRequest, body);
  checkModel(fields.model, models2);
  checkTemplate(engine.info);
  const { tools } = askedTools(fields);
  const wishes3 = { given: fields.chat_template_kwargs, effort: fields.reasoning_effort, thinking: fields.enable_thinking };
  const own2 = templateArguments(wishes3, "chat_template_kwargs");
  const asked2 = { ...tools ? { tools } : {}, ...own2 ? { templateArguments: own2 } : {} };
  const chat2 = { ...asked2, messages: turnMessages2(fields.messages), ending: endingOf(fields) };
  const tokens = await within2("messages", service.tokenizeChat(chat2, mostTokens(service)));
  return [tokens, fields.return_token_strs ?? false];
}
function endingOf({ add_generation_prompt: begins2, continue_final_message: continues }) {
  if (!continues) return begins2 ?? true ? "answer" : "closed";
  if (begins2 === false) return "open";
  const param = "continue_final_message";
  throw new ApiError("invalid_value", `${param}: The field needs "add_generation_prompt": false.`, param);
}
function mostTokens(service) {
  return Math.max(service.modelContext - 1, MAX_TRUNCATED);
}
async function within2(param, encoding) {
  try {
    return await encoding;
  } catch (error) {
    if (!(error instanceof PromptTooLong)) throw error;
    const { atLeast, most } = error;
    const message2 = `The text has at least ${atLeast} tokens. The limit is ${most}.`;
    throw new ApiError("context_length_exceeded", message2, param, { prompt_tokens: atLeast, max_model_len: most });
  }
}
var detokenize = async ({ body }, { engine, models: models2, service }) => {
  checkLengths(body, service.modelContext);
  const fields = validate(DetokenizeRequest, body);
  checkModel(fields.model, models2);
  const tokens = Uint32Array.from(inVocabulary(fields.tokens, engine.info, "tokens"));
  const reply = { prompt: await engine.text.decode(tokens) };
  return json(reply);
};

// ts/surfaces/openai/surface.ts
var openai = {
  errors: errors2,
  events: events2,
  routes: [
    {
      method: "post",
      path: "/v1/chat/completions",
      handler: chatCompletions,
      summary: "Answer a conversation",
      request: ChatRequest,
      response: ChatResponse,
      chunk: ChatChunk
    },
    {
      method: "post",
      path: "/v1/completions",
      handler: completions,
      summary: "Continue prompts",
      request: CompletionRequest,
      response: CompletionResponse,
      chunk: CompletionChunk
    },
    { method: "get", path: "/v1/models", handler: models, summary: "The model under its names", response: ModelList },
    { method: "get", path: "/v1/models/*id", handler: model, summary: "A model by its name", params: ModelParams, response: Model },
    {
      method: "post",
      path: "/tokenize",
      handler: tokenize,
      summary: "Tokens of a text or of messages",
      request: TokenizeRequest,
      response: TokenizeResponse
    },
    {
      method: "post",
      path: "/detokenize",
      handler: detokenize,
      summary: "Text of tokens",
      request: DetokenizeRequest,
      response: DetokenizeResponse
    }
  ]
};

// ts/surfaces/responses/schemas/error.ts
import { z as z19 } from "zod";
var ResponseError = z19.object({
  error: z19.object({
    message: z19.string(),
    type: z19.enum(["invalid_request_error", "rate_limit_error", "server_error"]),
    param: z19.string().nullable(),
    code: z19.string()
  })
}).meta({ id: "ResponseError" });

// ts/surfaces/responses/errors.ts
function typeOf2(status3) {
  if (status3 >= 500) return "server_error";
  return status3 === 429 ? "rate_limit_error" : "invalid_request_error";
}
var errors3 = {
  schema: ResponseError,
  body({ message: message2, param, code }, status3) {
    return { error: { message: message2, type: typeOf2(status3), param, code } };
  }
};

// ts/surfaces/responses/events.ts
var END = "data: [DONE]\n\n";
var events3 = {
  // JSON has no line break, so no text of an answer can end its line.
  event: (item2) => `event: ${item2.type}
data: ${JSON.stringify(item2)}

`,
  end: END,
  // `response.failed` was the event before, and said it all.
  failure: () => END,
  keepAlive: ": keep-alive\n\n"
};

// ts/surfaces/responses/handlers/create.ts
import { randomUUID as randomUUID5 } from "node:crypto";

// ts/surfaces/responses/format/response.ts
function openedResponse({ id: id3, model: model3, createdAt }, fields, request) {
  return {
    id: id3,
    object: "response",
    created_at: createdAt,
    completed_at: null,
    status: "in_progress",
    error: null,
    incomplete_details: null,
    model: model3,
    instructions: fields.instructions ?? null,
    previous_response_id: fields.previous_response_id ?? null,
    output: [],
    tools: (fields.tools ?? []).map(toolBody),
    tool_choice: fields.tool_choice ?? "auto",
    parallel_tool_calls: fields.parallel_tool_calls ?? true,
    text: { format: fields.text?.format ?? { type: "text" }, ...fields.text?.verbosity ? { verbosity: fields.text.verbosity } : {} },
    reasoning: { effort: fields.reasoning?.effort ?? null, summary: fields.reasoning?.summary ?? null },
    max_output_tokens: fields.max_output_tokens ?? null,
    max_tool_calls: fields.max_tool_calls ?? null,
    temperature: request.sampling.temperature,
    top_p: request.sampling.topP,
    top_logprobs: fields.top_logprobs ?? 0,
    presence_penalty: request.sampling.presencePenalty,
    frequency_penalty: request.sampling.frequencyPenalty,
    truncation: request.truncation,
    store: fields.store ?? true,
    background: false,
    service_tier: "default",
    metadata: fields.metadata ?? {},
    user: fields.user ?? null,
    safety_identifier: fields.safety_identifier ?? null,
    prompt_cache_key: fields.prompt_cache_key ?? null,
    prompt_cache_retention: fields.prompt_cache_retention ?? null,
    usage: null
  };
}
function toolBody(tool) {
  const { type, name: name2 } = tool;
  const description2 = tool.description ?? null;
  if (tool.type === "custom") return { type, name: name2, description: description2, format: tool.format ?? { type: "text" } };
  return { type, name: name2, description: description2, parameters: tool.parameters ?? null, strict: tool.strict ?? false };
}
function isCutOff({ finish }) {
  return finish === "length";
}
function endedResponse(opened, output2, done2, nowS) {
  const cutOff = isCutOff(done2);
  return {
    ...opened,
    status: cutOff ? "incomplete" : "completed",
    completed_at: cutOff ? null : nowS,
    incomplete_details: cutOff ? { reason: "max_output_tokens" } : null,
    output: [...output2],
    usage: usageBody3(done2.usage)
  };
}
function failedResponse(opened, output2, error) {
  return { ...opened, status: "failed", error, output: [...output2] };
}
function usageBody3(usage2) {
  return {
    input_tokens: usage2.promptTokens,
    input_tokens_details: { cached_tokens: TIER_NAMES.reduce((total, tier) => total + usage2.reusedTokens[tier], 0) },
    output_tokens: usage2.completionTokens,
    output_tokens_details: { reasoning_tokens: usage2.reasoningTokens ?? 0 },
    total_tokens: usage2.promptTokens + usage2.completionTokens
  };
}

// ts/surfaces/responses/format/items.ts
import { randomUUID as randomUUID3 } from "node:crypto";

// ts/surfaces/responses/custom-tools.ts
var ARGUMENT = "input";
var CUSTOM_PARAMETERS = {
  type: "object",
  properties: { [ARGUMENT]: { type: "string" } },
  required: [ARGUMENT],
  additionalProperties: false
};
function customArguments(input) {
  return JSON.stringify({ [ARGUMENT]: input });
}
function customInput(text5) {
  try {
    const value = JSON.parse(text5);
    if (typeof value === "object" && value !== null && Object.hasOwn(value, ARGUMENT)) {
      const input = value[ARGUMENT];
      if (typeof input === "string") return input;
    }
  } catch {
  }
  return text5;
}

// ts/surfaces/responses/format/logprobs.ts
var LOWEST_LOGPROB2 = -9999;
function outputLogprobs(tokens, text5) {
  return tokens.map(({ token, logprob, top }) => ({
    ...choice2(token, logprob, text5),
    top_logprobs: top.map(([alternative, value]) => choice2(alternative, value, text5))
  }));
}
function choice2(token, logprob, text5) {
  const bytes = text5.tokenBytes(token);
  return { token: Buffer.from(bytes).toString("utf8"), logprob: Number.isFinite(logprob) ? logprob : LOWEST_LOGPROB2, bytes: [...bytes] };
}

// ts/surfaces/responses/format/items.ts
var PREFIXES = { content: "msg", reasoning: "rs", call: "fc" };
function newItemId({ kind }) {
  return `${PREFIXES[kind]}_${randomUUID3().replaceAll("-", "")}`;
}
function openItem(id3, head3, options) {
  const part2 = head3.kind === "call" ? { kind: head3.kind, call: { id: head3.id, name: head3.name, arguments: "" } } : { kind: head3.kind, text: "" };
  const item2 = wholeItem(id3, { part: part2, logprobs: [] }, "in_progress", { ...options, withOpaqueReasoning: false });
  return item2.type === "message" || item2.type === "reasoning" ? { ...item2, content: [] } : item2;
}
function wholeItem(id3, { part: part2, logprobs }, status3, options) {
  switch (part2.kind) {
    case "content":
      return { type: "message", id: id3, status: status3, role: "assistant", content: [outputText(part2.text, logprobs, options)] };
    case "reasoning": {
      const opaque = options.withOpaqueReasoning ? { encrypted_content: opaqueReasoning(part2.text) } : {};
      return { type: "reasoning", id: id3, status: status3, summary: [], content: [{ type: "reasoning_text", text: part2.text }], ...opaque };
    }
    case "call": {
      const { id: call_id, name: name2, arguments: text5 } = part2.call;
      const call2 = { id: id3, status: status3, call_id, name: name2 };
      return options.customTools.has(name2) ? { type: "custom_tool_call", ...call2, input: customInput(text5) } : { type: "function_call", ...call2, arguments: text5 };
    }
  }
}
function outputText(text5, logprobs, options) {
  return { type: "output_text", text: text5, annotations: [], logprobs: options.withLogprobs ? outputLogprobs(logprobs, options.text) : [] };
}

// ts/surfaces/responses/format/item-events.ts
function openEvents(item2, output_index) {
  const added = { type: "response.output_item.added", output_index, item: item2 };
  const part2 = emptyPart(item2);
  return part2 === null ? [added] : [added, { type: "response.content_part.added", output_index, item_id: item2.id, content_index: 0, part: part2 }];
}
function moreEvents(item_id, event, output_index, options) {
  const { head: head3, text: delta3 } = event;
  const place = { output_index, item_id };
  switch (head3.kind) {
    case "content": {
      const { logprobs } = outputText("", event.logprobs, options);
      if (delta3 === "" && logprobs.length === 0) return [];
      return [{ type: "response.output_text.delta", ...place, content_index: 0, delta: delta3, logprobs }];
    }
    case "reasoning":
      return [{ type: "response.reasoning_text.delta", ...place, content_index: 0, delta: delta3 }];
    case "call":
      return options.customTools.has(head3.name) ? [] : [{ type: "response.function_call_arguments.delta", ...place, delta: delta3 }];
  }
}
function doneEvents(item2, output_index) {
  return [...contentDone(item2, { output_index, item_id: item2.id }), { type: "response.output_item.done", output_index, item: item2 }];
}
function contentDone(item2, place) {
  const ofPart2 = { ...place, content_index: 0 };
  switch (item2.type) {
    case "message":
      return item2.content.flatMap((part2) => [
        { type: "response.output_text.done", ...ofPart2, text: part2.text, logprobs: part2.logprobs },
        { type: "response.content_part.done", ...ofPart2, part: part2 }
      ]);
    case "reasoning":
      return item2.content.flatMap((part2) => [
        { type: "response.reasoning_text.done", ...ofPart2, text: part2.text },
        { type: "response.content_part.done", ...ofPart2, part: part2 }
      ]);
    case "function_call":
      return [{ type: "response.function_call_arguments.done", ...place, name: item2.name, arguments: item2.arguments }];
    case "custom_tool_call":
      return [
        { type: "response.custom_tool_call_input.delta", ...place, delta: item2.input },
        { type: "response.custom_tool_call_input.done", ...place, input: item2.input }
      ];
  }
}
function emptyPart({ type }) {
  if (type === "message") return { type: "output_text", text: "", annotations: [], logprobs: [] };
  return type === "reasoning" ? { type: "reasoning_text", text: "" } : null;
}

// ts/surfaces/responses/format/stream.ts
async function* responseEvents(turn, opened, options) {
  let sequence_number2 = 0;
  for await (const event of plainEvents(turn, opened, options)) yield { ...event, sequence_number: sequence_number2++ };
}
async function wholeResponse(turn, opened, options) {
  let last = opened;
  for await (const event of responseEvents(turn, opened, options)) if ("response" in event) last = event.response;
  return last;
}
async function* plainEvents(turn, opened, options) {
  yield { type: "response.created", response: opened };
  yield { type: "response.in_progress", response: opened };
  const output2 = [];
  try {
    yield* itemEvents(turn, opened, output2, options);
  } catch (thrown) {
    if (thrown instanceof ClientGone) throw thrown;
    yield { type: "response.failed", response: failedResponse(opened, output2, errorOf(thrown)) };
    throw thrown;
  }
}
async function* itemEvents(turn, opened, output2, options) {
  let id3 = "";
  let closed = null;
  for await (const event of withSomePart(partEvents(turn))) {
    if (closed && event.type !== "close") {
      const item2 = wholeItem(id3, closed, event.type === "done" && isCutOff(event.done) ? "incomplete" : "completed", options);
      yield* doneEvents(item2, output2.length);
      output2.push(item2);
      closed = null;
    }
    switch (event.type) {
      case "open":
        id3 = newItemId(event.head);
        yield* openEvents(openItem(id3, event.head, options), output2.length);
        break;
      case "more":
        yield* moreEvents(id3, event, output2.length, options);
        break;
      case "close":
        closed = event;
        break;
      case "done": {
        const response = endedResponse(opened, output2, event.done, Math.floor(Date.now() / 1e3));
        options.onEnded(response);
        yield { type: response.status === "completed" ? "response.completed" : "response.incomplete", response };
      }
    }
  }
}
async function* withSomePart(events4) {
  let hasPart = false;
  for await (const event of events4) {
    if (event.type === "open") hasPart = true;
    if (event.type === "done" && !hasPart) {
      const kind = "content";
      yield { type: "open", index: 0, head: { kind } };
      yield { type: "close", index: 0, part: { kind, text: "" }, logprobs: [] };
    }
    yield event;
  }
}
function errorOf(thrown) {
  if (thrown instanceof ApiError) return { code: thrown.code, message: thrown.message };
  return { code: "engine_error", message: "The server failed to answer. Its log has the reason." };
}

// ts/surfaces/responses/schemas/items.ts
import { z as z20 } from "zod";
var ITEM_TYPES = ["message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning", "item_reference"];
var PART_TYPES = ["input_text", "output_text", "text", "refusal"];
var id2 = z20.string().max(256).nullish();
var status = z20.string().max(32).nullish();
var TextPart = z20.object({ type: z20.enum(["input_text", "output_text", "text"]), text: z20.string() });
var Refusal = z20.object({ type: z20.literal("refusal"), refusal: z20.string() });
var messagePart = z20.discriminatedUnion("type", [TextPart, Refusal]);
var MessageItem = z20.object({
  type: z20.literal("message").nullish(),
  role: z20.enum(["user", "assistant", "system", "developer"]),
  content: z20.union([z20.string(), z20.array(messagePart)]),
  id: id2,
  status
});
var output = z20.union([z20.string(), z20.array(TextPart)]);
var FunctionCall = z20.object({ type: z20.literal("function_call"), call_id: callId, name: calledName, arguments: z20.string(), id: id2, status });
var FunctionCallOutput = z20.object({ type: z20.literal("function_call_output"), call_id: callId, output, id: id2, status });
var CustomToolCall = z20.object({ type: z20.literal("custom_tool_call"), call_id: callId, name: calledName, input: z20.string(), id: id2, status });
var CustomToolCallOutput = z20.object({ type: z20.literal("custom_tool_call_output"), call_id: callId, output, id: id2, status });
var reasoningText = z20.object({ type: z20.string().max(32), text: z20.string() });
var Reasoning = z20.object({
  type: z20.literal("reasoning"),
  id: id2,
  summary: z20.array(reasoningText).nullish().meta({ description: "read where there is neither content nor encrypted_content" }),
  content: z20.array(reasoningText).nullish(),
  encrypted_content: z20.string().nullish(),
  status
});
var ItemReference = z20.object({ type: z20.literal("item_reference"), id: z20.string().min(1).max(256) });
var InputItem = z20.discriminatedUnion("type", [
  MessageItem,
  FunctionCall,
  FunctionCallOutput,
  CustomToolCall,
  CustomToolCallOutput,
  Reasoning,
  ItemReference
]);

// ts/surfaces/responses/history.ts
function historyOf({ input, previous_response_id: previous }, tenant2, responses2) {
  const thread = previous === null || previous === void 0 ? null : responses2.thread(tenant2, previous);
  if (thread === null && previous) {
    const message2 = 'previous_response_id: The server has no response of this id. It keeps responses in memory, for a time, unless "store" is false.';
    throw new ApiError("previous_response_not_found", message2, "previous_response_id");
  }
  const kept = thread?.responses ?? [];
  const before = kept.flatMap((response) => [...JSON.parse(response.input), ...JSON.parse(response.body).output]);
  const own2 = ownItems(input, tenant2, responses2);
  return { thread, conversation: kept.at(-1)?.conversation ?? null, items: [...before.map(contentItem), ...own2], own: own2 };
}
function ownItems(input, tenant2, responses2) {
  if (typeof input === "string") return [{ type: "message", role: "user", content: input }];
  return (input ?? []).map((item2, index2) => {
    if (item2.type !== "item_reference") return item2;
    const owner = responses2.ownerOf(tenant2, item2.id);
    const found = owner && JSON.parse(owner.body).output.find(({ id: id3 }) => id3 === item2.id);
    if (found) return contentItem(found);
    const param = `input.${index2}.id`;
    throw new ApiError("not_found", `${param}: The server keeps no item of this id. Send the item itself.`, param);
  });
}
function contentItem(item2) {
  const parsed2 = validate(InputItem, item2);
  if (parsed2.type === "item_reference") throw new Error("a kept item is a reference");
  return parsed2;
}

// ts/surfaces/responses/kept.ts
import { randomUUID as randomUUID4 } from "node:crypto";
function keptResponse(response, input, { tenant: tenant2, conversation }) {
  return {
    tenant: tenant2,
    conversation,
    id: response.id,
    input: JSON.stringify(input.map(keptItem)),
    body: JSON.stringify(response),
    items: response.output.map(({ id: id3 }) => id3)
  };
}
function keptItem(item2) {
  const type = item2.type ?? "message";
  const named4 = { ...item2, type, id: item2.id ?? `${type === "message" ? "msg" : "item"}_${randomUUID4().replaceAll("-", "")}`, status: item2.status ?? "completed" };
  if (!("role" in item2) || typeof item2.content !== "string") return named4;
  const part2 = item2.role === "assistant" ? { type: "output_text", text: item2.content, annotations: [] } : { type: "input_text", text: item2.content };
  return { ...named4, content: [part2] };
}
function foundOrThrow(found) {
  if (found !== null) return found;
  throw new ApiError("not_found", 'The server has no response of this id. It keeps responses in memory, for a time, unless "store" is false.', "id");
}

// ts/surfaces/responses/schemas/request.ts
import { z as z21 } from "zod";
var COUNT2 = 2147483647;
var MAX_TOP_LOGPROBS2 = 20;
var description = z21.string().max(MAX_DESCRIPTION);
var jsonSchema2 = z21.record(z21.string(), z21.unknown());
var FunctionTool = z21.object({
  type: z21.literal("function"),
  name: toolName,
  description: description.nullish(),
  parameters: jsonSchema2.nullish(),
  strict: z21.boolean().nullish()
});
var CustomTool = z21.object({
  type: z21.literal("custom"),
  name: toolName,
  description: description.nullish(),
  format: z21.object({ type: z21.literal("text") }).nullish()
});
var named3 = { name: z21.string().max(128) };
var ToolChoice2 = z21.union([
  z21.enum(["none", "auto", "required"]),
  z21.discriminatedUnion("type", [
    z21.object({ type: z21.literal("function"), ...named3 }),
    z21.object({ type: z21.literal("custom"), ...named3 }),
    z21.object({
      type: z21.literal("allowed_tools"),
      mode: z21.enum(["auto", "required"]),
      tools: z21.array(z21.object({ type: z21.enum(["function", "custom"]), ...named3 })).min(1).max(MAX_TOOLS)
    })
  ])
]);
var Format = z21.discriminatedUnion("type", [
  z21.object({ type: z21.literal("text") }),
  z21.object({ type: z21.literal("json_object") }),
  z21.object({
    type: z21.literal("json_schema"),
    name: z21.string().min(1).max(128),
    schema: jsonSchema2,
    description: description.nullish(),
    strict: z21.boolean().nullish().meta({ description: "the schema holds in either case" })
  })
]);
var REASONING = "reasoning.encrypted_content";
var LOGPROBS = "message.output_text.logprobs";
var Includable = z21.enum([
  REASONING,
  LOGPROBS,
  "file_search_call.results",
  "web_search_call.results",
  "web_search_call.action.sources",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs"
]);
var metadata = z21.record(z21.string().max(64), z21.string().max(512)).refine((pairs) => Object.keys(pairs).length <= 16, "at most 16 pairs").nullish();
var ResponseRequest = z21.object({
  model: z21.string().min(1).max(512).nullish().meta({ description: "a name of GET /v1/models; default: the first" }),
  input: z21.union([z21.string(), z21.array(InputItem)]).nullish(),
  instructions: z21.string().nullish(),
  previous_response_id: z21.string().min(1).max(256).nullish(),
  tools: z21.array(z21.discriminatedUnion("type", [FunctionTool, CustomTool])).max(MAX_TOOLS).nullish(),
  tool_choice: ToolChoice2.nullish(),
  parallel_tool_calls: z21.boolean().nullish(),
  text: z21.object({ format: Format.nullish(), verbosity: z21.enum(["low", "medium", "high"]).nullish() }).nullish(),
  reasoning: z21.object({ effort: z21.enum(REASONING_EFFORTS).nullish(), summary: z21.string().max(32).nullish() }).nullish(),
  max_output_tokens: z21.int().min(1).max(COUNT2).nullish(),
  max_tool_calls: z21.int().min(1).max(COUNT2).nullish().meta({ description: "without effect: it counts tools that a server runs" }),
  temperature: z21.number().min(0).max(100).nullish(),
  top_p: z21.number().gt(0).max(1).nullish(),
  top_k: z21.int().min(-1).max(COUNT2).nullish(),
  min_p: z21.number().min(0).max(1).nullish(),
  presence_penalty: z21.number().min(-2).max(2).nullish(),
  frequency_penalty: z21.number().min(-2).max(2).nullish(),
  seed: z21.int().nullish(),
  top_logprobs: z21.int().min(0).max(MAX_TOP_LOGPROBS2).nullish(),
  include: z21.array(Includable).max(16).nullish(),
  truncation: z21.enum(["auto", "disabled"]).nullish(),
  store: z21.boolean().nullish().meta({ description: "default true" }),
  stream: z21.boolean().nullish(),
  metadata,
  user: z21.string().max(1024).nullish(),
  safety_identifier: z21.string().max(1024).nullish(),
  prompt_cache_key: z21.string().max(1024).nullish().meta({ description: "a hint that names the conversation" }),
  prompt_cache_retention: z21.enum(["in_memory", "in-memory", "24h"]).nullish(),
  service_tier: z21.enum(["auto", "default"]).nullish(),
  cache_salt: z21.string().max(256).nullish()
}).meta({ id: "ResponseRequest" });
var ResponseParams = z21.object({ id: z21.string().min(1).max(256) });
var ItemsQuery = z21.object({
  limit: z21.coerce.number().int().min(1).max(100).default(20),
  order: z21.enum(["asc", "desc"]).default("desc"),
  after: z21.string().max(256).optional().meta({ description: "an item id: the page begins after it" })
});

// ts/surfaces/responses/messages.ts
function turnMessages3(instructions, items2) {
  const messages3 = instructions ? [{ role: "system", content: wellFormed(instructions) }] : [];
  let open2 = null;
  const endAnswer = () => {
    if (open2) messages3.push(assistantMessage3(open2));
    open2 = null;
  };
  for (const item2 of items2) {
    if (open2 && startsAnother(open2, item2)) endAnswer();
    if (isAnswer(item2)) {
      open2 ??= { reasoning: "", parts: [], calls: [], endsInMessage: false };
      add2(open2, item2);
      continue;
    }
    endAnswer();
    messages3.push(otherMessage(item2));
  }
  endAnswer();
  return messages3;
}
function isMessage(item2) {
  return item2.type === "message" || item2.type === void 0 || item2.type === null;
}
function isAnswer(item2) {
  if (isMessage(item2)) return item2.role === "assistant";
  return item2.type === "reasoning" || item2.type === "function_call" || item2.type === "custom_tool_call";
}
function startsAnother(open2, item2) {
  if (item2.type === "reasoning") return open2.parts.length > 0 || open2.calls.length > 0;
  return isMessage(item2) && open2.endsInMessage;
}
function add2(open2, item2) {
  open2.endsInMessage = isMessage(item2);
  if (isMessage(item2)) {
    open2.parts.push(...partsOf(item2.content));
    return;
  }
  switch (item2.type) {
    case "reasoning":
      open2.reasoning += reasoningOf(item2);
      break;
    case "function_call":
      open2.calls.push(callOf2(item2, item2.arguments.trim() === "" ? "{}" : item2.arguments));
      break;
    case "custom_tool_call":
      open2.calls.push(callOf2(item2, customArguments(wellFormed(item2.input))));
  }
}
function callOf2({ call_id: id3, name: name2 }, text5) {
  return { id: wellFormed(id3), name: wellFormed(name2), arguments: wellFormed(text5) };
}
function assistantMessage3({ reasoning: reasoning2, parts, calls }) {
  return {
    role: "assistant",
    content: parts,
    ...reasoning2 === "" ? {} : { reasoning: wellFormed(reasoning2) },
    ...calls.length === 0 ? {} : { toolCalls: calls }
  };
}
function otherMessage(item2) {
  if (!isMessage(item2)) return { role: "tool", toolCallId: wellFormed(item2.call_id), content: partsOf(item2.output) };
  return { role: item2.role === "developer" ? "system" : item2.role, content: partsOf(item2.content) };
}
function partsOf(content2) {
  if (typeof content2 === "string") return [{ kind: "text", text: wellFormed(content2) }];
  return content2.map((part2) => ({ kind: "text", text: wellFormed(part2.type === "refusal" ? part2.refusal : part2.text) }));
}
function reasoningOf({ content: content2, encrypted_content: opaque, summary }) {
  const joined = (texts2) => (texts2 ?? []).map(({ text: text5 }) => text5).join("");
  return joined(content2) || readOpaqueReasoning(opaque ?? "") || joined(summary);
}

// ts/surfaces/responses/turn-request.ts
function turnRequest3(fields, items2, info3, sender) {
  const messages3 = turnMessages3(fields.instructions, items2);
  if (messages3.length === 0) throw new ApiError("invalid_value", "input: The request has neither input nor instructions.", "input");
  const tools = toolsOf2(fields);
  const variables = templateArguments({ effort: fields.reasoning?.effort }, "reasoning");
  const key = fields.prompt_cache_key ?? "";
  return {
    requestId: sender.requestId,
    tenant: sender.tenant,
    cacheSalt: fields.cache_salt ?? "",
    conversation: sender.conversation,
    conversationHint: sender.earlierConversation ?? (CONVERSATION_ID.test(key) ? key : null),
    retention: fields.prompt_cache_retention === "24h" ? "day" : "none",
    prompt: { kind: "chat", messages: messages3 },
    sampling: samplingParams(wishes2(fields), info3),
    stop: [],
    stopTokens: [],
    ignoreEos: false,
    maxTokens: fields.max_output_tokens ?? null,
    truncation: fields.truncation ?? "disabled",
    ...tools === void 0 ? {} : { tools },
    ...constraintOf2(fields, tools),
    ...variables === void 0 ? {} : { templateArguments: variables }
  };
}
function wishes2(fields) {
  return {
    temperature: fields.temperature,
    topP: fields.top_p,
    topK: fields.top_k,
    minP: fields.min_p,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    seed: fields.seed,
    logprobs: fields.include?.includes(LOGPROBS) ? fields.top_logprobs ?? 0 : null
  };
}
function constraintOf2({ text: text5 }, tools) {
  const format2 = text5?.format;
  if (!format2 || format2.type === "text") return {};
  const asked2 = format2.type === "json_object" ? jsonObjectConstraint("text.format") : schemaConstraint(format2.schema, "text.format.schema");
  const constraint2 = onlyConstraint([asked2], tools, "tool_choice");
  return constraint2 ? { constraint: constraint2, constraintField: asked2.param } : {};
}
function toolsOf2({ tools, tool_choice: asked2, parallel_tool_calls: parallel2 }) {
  const choice3 = choiceOf2(asked2);
  if (!tools?.length) {
    if (isForced(choice3)) throw new ApiError("invalid_value", "tool_choice: The request has no tools to choose from.", "tool_choice");
    return void 0;
  }
  const definitions = toolDefinitions(
    tools.map((tool, index2) => {
      const head3 = { param: `tools.${index2}`, name: tool.name, description: tool.description };
      return tool.type === "custom" ? { ...head3, parameters: CUSTOM_PARAMETERS, strict: true } : { ...head3, parameters: tool.parameters, strict: tool.strict };
    })
  );
  return turnTools(allowedOf(definitions, asked2), choice3, parallel2 ?? true, "tool_choice.name");
}
function allowedOf(definitions, choice3) {
  if (typeof choice3 !== "object" || choice3?.type !== "allowed_tools") return definitions;
  for (const [index2, { name: name2 }] of choice3.tools.entries()) checkNamed(name2, definitions, `tool_choice.tools.${index2}.name`);
  const allowed2 = new Set(choice3.tools.map(({ name: name2 }) => name2));
  return definitions.filter(({ name: name2 }) => allowed2.has(name2));
}
function choiceOf2(choice3) {
  if (typeof choice3 !== "object" || choice3 === null) return choice3 ?? "auto";
  return choice3.type === "allowed_tools" ? choice3.mode : { name: choice3.name };
}

// ts/surfaces/responses/fields.ts
function rows3(list, names, rule = {}) {
  return names.trim().split(/\s+/).map((field) => ({ field, list, ...rule }));
}
var isKind3 = (...kinds) => (value) => typeof value !== "string" || kinds.includes(value);
var ONLY_TEXT3 = "The model reads and writes text; parts of this type are not supported.";
var NO_TOOLS = "The server runs no tools of its own: tools are those that the client runs.";
var FIELDS4 = [
  ...rows3("served", `
    model input input[].role input[].content input[].content[].text input[].content[].refusal input[].call_id input[].name
    input[].arguments input[].input input[].output input[].output[].text input[].summary input[].summary[].type
    input[].summary[].text input[].encrypted_content input[].id
    instructions previous_response_id tools tools[].name tools[].description tools[].parameters tools[].strict tools[].format
    tool_choice tool_choice.name tool_choice.mode tool_choice.tools tool_choice.tools[].name parallel_tool_calls
    text text.format text.format.type text.format.name text.format.schema text.format.strict
    reasoning reasoning.effort max_output_tokens temperature top_p top_k min_p presence_penalty frequency_penalty seed
    top_logprobs include truncation store stream metadata prompt_cache_key prompt_cache_retention cache_salt`),
  ...rows3("served", "input[].type", { passes: isKind3(...ITEM_TYPES), reason: "The server does not support items of this type." }),
  ...rows3("served", "input[].content[].type", { passes: isKind3(...PART_TYPES, "reasoning_text"), reason: ONLY_TEXT3 }),
  ...rows3("served", "input[].output[].type", { passes: isKind3(...PART_TYPES), reason: ONLY_TEXT3 }),
  ...rows3("served", "tools[].type tool_choice.tools[].type", { passes: isKind3("function", "custom"), reason: NO_TOOLS }),
  ...rows3("served", "tool_choice.type", { passes: isKind3("function", "custom", "allowed_tools"), reason: NO_TOOLS }),
  ...rows3("served", "tools[].format.type", { passes: isKind3("text"), reason: "The input of a custom tool is a text; the server holds it to no grammar." }),
  ...rows3("accepted", `
    user safety_identifier max_tool_calls reasoning.summary text.verbosity text.format.description stream_options
    client_metadata input[].status input[].phase input[].content[].annotations input[].content[].logprobs
    tools[].defer_loading tools[].output_schema tools[].allowed_callers reasoning.generate_summary reasoning.context
    prompt_cache_options`),
  ...rows3("accepted", "service_tier", { passes: isKind3("auto", "default"), reason: "The server has one tier of service: auto, or default." }),
  ...rows3("refused", "conversation", { reason: "The server has no conversations of the Responses API. The header x-conversation-id names one of its own." }),
  ...rows3("refused", "background", { passes: asksForNothing, reason: "A response is made while its client waits." }),
  ...rows3("refused", "prompt", { reason: "The server keeps no prompts." }),
  ...rows3("refused", "context_management", { reason: 'The server does not compact conversations. "truncation": "auto" goes on with a part of one.' }),
  ...rows3("refused", "moderation", { reason: "The server does not moderate." })
];
var responseFields = new FieldTable(FIELDS4);

// ts/surfaces/responses/handlers/check.ts
function checkBody2(body, { engine, service, strictFields }) {
  const isTruncated = rawField(body, "truncation") === "auto";
  checkMessageLists(body, { field: "input", parts: "content", maxModelLen: service.modelContext, isTruncated });
  checkListLength(body, "tools", MAX_TOOLS);
  checkTemplate(engine.info, "input");
  return responseFields.check(body, strictFields);
}

// ts/surfaces/responses/handlers/create.ts
var createResponse = async ({ body, caller, requestId, conversation, signal }, context) => {
  const ignored = checkBody2(body, context);
  const fields = validate(ResponseRequest, body);
  const model3 = checkModel(fields.model, context.models);
  const { responses: responses2 } = context.service;
  const { tenant: tenant2 } = caller;
  const history = historyOf(fields, tenant2, responses2);
  const sender = { requestId, tenant: tenant2, conversation, earlierConversation: history.conversation };
  const request = turnRequest3(fields, history.items, context.engine.info, sender);
  const [turn] = await startTurns([request], signal, context);
  if (turn === void 0) throw new Error("one request, no turn");
  const id3 = `resp_${randomUUID5().replaceAll("-", "")}`;
  const opened = openedResponse({ id: id3, model: model3, createdAt: Math.floor(Date.now() / 1e3) }, fields, request);
  const options = {
    text: context.engine.text,
    withLogprobs: fields.include?.includes(LOGPROBS) ?? false,
    withOpaqueReasoning: fields.include?.includes(REASONING) ?? false,
    customTools: new Set((fields.tools ?? []).flatMap(({ type, name: name2 }) => type === "custom" ? [name2] : [])),
    onEnded: (response) => {
      const kept = { tenant: tenant2, conversation: turn.conversation };
      if (response.store) responses2.keep(keptResponse(response, history.own, kept), history.thread);
    }
  };
  const headers = { "x-conversation-id": turn.conversation, ...ignoredFieldsHeader(ignored) };
  if (!fields.stream) return json(await wholeResponse(turn, opened, options), headers);
  return { kind: "stream", headers, events: responseEvents(turn, opened, options) };
};

// ts/surfaces/responses/handlers/input-tokens.ts
var countInputTokens = async ({ body, caller, requestId, conversation }, context) => {
  const ignored = checkBody2(body, context);
  const fields = validate(ResponseRequest, body);
  checkModel(fields.model, context.models);
  const { tenant: tenant2 } = caller;
  const history = historyOf(fields, tenant2, context.service.responses);
  const sender = { requestId, tenant: tenant2, conversation, earlierConversation: history.conversation };
  const request = turnRequest3(fields, history.items, context.engine.info, sender);
  const input_tokens = await context.service.countPrompt(request);
  return json({ object: "response.input_tokens", input_tokens }, ignoredFieldsHeader(ignored));
};

// ts/surfaces/responses/handlers/kept.ts
var getResponse = ({ params, query, caller }, { service }) => {
  const { id: id3 } = validate(ResponseParams, params);
  if (query["stream"] === "true") {
    throw new ApiError("unsupported_parameter", "stream: The server does not send the events of a response again.", "stream");
  }
  return json(JSON.parse(foundOrThrow(service.responses.find(caller.tenant, id3)).body));
};
var deleteResponse = ({ params, caller }, { service }) => {
  const { id: id3 } = validate(ResponseParams, params);
  foundOrThrow(service.responses.forget(caller.tenant, id3) || null);
  return json({ id: id3, object: "response", deleted: true });
};
var listInputItems = ({ params, query, caller }, { service }) => {
  const { id: id3 } = validate(ResponseParams, params);
  const { limit, order: order2, after } = validate(ItemsQuery, query);
  const oldestFirst = JSON.parse(foundOrThrow(service.responses.find(caller.tenant, id3)).input);
  const items2 = order2 === "asc" ? oldestFirst : oldestFirst.toReversed();
  const at = after === void 0 ? -1 : items2.findIndex((item2) => item2.id === after);
  if (after !== void 0 && at < 0) throw new ApiError("invalid_value", "after: The response has no input item of this id.", "after");
  const data = items2.slice(at + 1, at + 1 + limit);
  return json({
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: at + 1 + limit < items2.length
  });
};

// ts/surfaces/responses/schemas/response.ts
import { z as z22 } from "zod";
var count7 = z22.int().nonnegative();
var status2 = z22.enum(["in_progress", "completed", "incomplete"]);
var jsonValue = z22.unknown();
var tokenChoice3 = z22.object({ token: z22.string(), logprob: z22.number(), bytes: z22.array(z22.int()) });
var OutputLogprob = tokenChoice3.extend({ top_logprobs: z22.array(tokenChoice3) });
var OutputText = z22.object({
  type: z22.literal("output_text"),
  text: z22.string(),
  annotations: z22.array(jsonValue).max(0),
  logprobs: z22.array(OutputLogprob)
});
var ReasoningText = z22.object({ type: z22.literal("reasoning_text"), text: z22.string() });
var item = { id: z22.string(), status: status2 };
var call = { ...item, call_id: z22.string(), name: z22.string() };
var OutputItem = z22.discriminatedUnion("type", [
  z22.object({ type: z22.literal("message"), ...item, role: z22.literal("assistant"), content: z22.array(OutputText) }),
  z22.object({
    type: z22.literal("reasoning"),
    ...item,
    summary: z22.array(jsonValue).max(0),
    content: z22.array(ReasoningText),
    encrypted_content: z22.string().nullish().meta({ description: "where include asks for it" })
  }),
  z22.object({ type: z22.literal("function_call"), ...call, arguments: z22.string() }),
  z22.object({ type: z22.literal("custom_tool_call"), ...call, input: z22.string() })
]).meta({ id: "ResponseOutputItem" });
var ResponseUsage = z22.object({
  input_tokens: count7,
  input_tokens_details: z22.object({ cached_tokens: count7 }),
  output_tokens: count7,
  output_tokens_details: z22.object({ reasoning_tokens: count7 }),
  total_tokens: count7
}).meta({ id: "ResponseUsage" });
var ResponseBody = z22.object({
  id: z22.string(),
  object: z22.literal("response"),
  created_at: z22.int(),
  completed_at: z22.int().nullable(),
  status: z22.enum(["in_progress", "completed", "incomplete", "failed"]),
  error: z22.object({ code: z22.string(), message: z22.string() }).nullable(),
  incomplete_details: z22.object({ reason: z22.literal("max_output_tokens") }).nullable(),
  model: z22.string(),
  instructions: z22.string().nullable(),
  previous_response_id: z22.string().nullable(),
  output: z22.array(OutputItem),
  tools: z22.array(jsonValue),
  tool_choice: jsonValue,
  parallel_tool_calls: z22.boolean(),
  text: z22.object({ format: jsonValue, verbosity: z22.string().nullish() }),
  reasoning: z22.object({ effort: z22.string().nullable(), summary: z22.string().nullable() }),
  max_output_tokens: z22.int().nullable(),
  max_tool_calls: z22.int().nullable(),
  temperature: z22.number(),
  top_p: z22.number(),
  top_logprobs: z22.int(),
  presence_penalty: z22.number(),
  frequency_penalty: z22.number(),
  truncation: z22.enum(["auto", "disabled"]),
  store: z22.boolean(),
  background: z22.literal(false),
  service_tier: z22.literal("default"),
  metadata: z22.record(z22.string(), z22.string()),
  user: z22.string().nullable(),
  safety_identifier: z22.string().nullable(),
  prompt_cache_key: z22.string().nullable(),
  prompt_cache_retention: z22.string().nullable(),
  usage: ResponseUsage.nullable()
}).meta({ id: "Response" });
var sequence_number = count7;
var ofItem = { sequence_number, output_index: count7 };
var ofPart = { ...ofItem, item_id: z22.string(), content_index: count7 };
var part = z22.discriminatedUnion("type", [OutputText, ReasoningText]);
var LIFE = ["response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"];
var PARTS2 = ["response.content_part.added", "response.content_part.done"];
var ResponseEvent = z22.discriminatedUnion("type", [
  z22.object({ type: z22.enum(LIFE), sequence_number, response: ResponseBody }),
  z22.object({ type: z22.enum(["response.output_item.added", "response.output_item.done"]), ...ofItem, item: OutputItem }),
  z22.object({ type: z22.enum(PARTS2), ...ofPart, part }),
  z22.object({ type: z22.literal("response.output_text.delta"), ...ofPart, delta: z22.string(), logprobs: z22.array(OutputLogprob) }),
  z22.object({ type: z22.literal("response.output_text.done"), ...ofPart, text: z22.string(), logprobs: z22.array(OutputLogprob) }),
  z22.object({ type: z22.literal("response.reasoning_text.delta"), ...ofPart, delta: z22.string() }),
  z22.object({ type: z22.literal("response.reasoning_text.done"), ...ofPart, text: z22.string() }),
  z22.object({ type: z22.literal("response.function_call_arguments.delta"), ...ofItem, item_id: z22.string(), delta: z22.string() }),
  z22.object({ type: z22.literal("response.function_call_arguments.done"), ...ofItem, item_id: z22.string(), name: z22.string(), arguments: z22.string() }),
  z22.object({ type: z22.literal("response.custom_tool_call_input.delta"), ...ofItem, item_id: z22.string(), delta: z22.string() }),
  z22.object({ type: z22.literal("response.custom_tool_call_input.done"), ...ofItem, item_id: z22.string(), input: z22.string() })
]).meta({ id: "ResponseStreamEvent" });
var InputTokens = z22.object({ object: z22.literal("response.input_tokens"), input_tokens: z22.int() }).meta({ id: "ResponseInputTokens" });
var DeletedResponse = z22.object({ id: z22.string(), object: z22.literal("response"), deleted: z22.literal(true) }).meta({ id: "DeletedResponse" });
var ItemList = z22.object({
  object: z22.literal("list"),
  data: z22.array(jsonValue),
  first_id: z22.string().nullable(),
  last_id: z22.string().nullable(),
  has_more: z22.boolean()
}).meta({ id: "ResponseItemList" });

// ts/surfaces/responses/surface.ts
var responses = {
  errors: errors3,
  events: events3,
  routes: [
    {
      method: "post",
      path: "/v1/responses",
      handler: createResponse,
      summary: "Answer a conversation of items",
      request: ResponseRequest,
      response: ResponseBody,
      chunk: ResponseEvent
    },
    {
      method: "post",
      path: "/v1/responses/input_tokens",
      handler: countInputTokens,
      summary: "Count the tokens of a prompt of items",
      request: ResponseRequest,
      response: InputTokens
    },
    {
      method: "get",
      path: "/v1/responses/:id",
      handler: getResponse,
      summary: "A response that was kept",
      params: ResponseParams,
      response: ResponseBody
    },
    {
      method: "delete",
      path: "/v1/responses/:id",
      handler: deleteResponse,
      summary: "Forget a response",
      params: ResponseParams,
      response: DeletedResponse
    },
    {
      method: "get",
      path: "/v1/responses/:id/input_items",
      handler: listInputItems,
      summary: "The input items of a response",
      params: ResponseParams,
      query: ItemsQuery,
      response: ItemList
    }
  ]
};

// ts/api/surfaces.ts
var SURFACES = [openai, anthropic, responses];
var OWN_SHAPE = openai;

// ts/api/web-page.ts
import { existsSync as existsSync2 } from "node:fs";
import { join as join4 } from "node:path";
import express from "express";
var NOT_BUILT = "AttentionStore is running. Its page is not built: `make build` makes it. The API is at /v1; /openapi.json describes it.\n";
function webPage(directory) {
  if (existsSync2(join4(directory, "index.html"))) {
    return express.static(directory, { dotfiles: "ignore", redirect: false });
  }
  return (request, response, next) => {
    if (request.path !== "/" || !["GET", "HEAD"].includes(request.method)) return next();
    response.type("text/plain").send(NOT_BUILT);
  };
}

// ts/api/app.ts
var REQUEST_ID = /^[\w.:-]{1,128}$/;
var PREFLIGHT_MAX_AGE_S = "600";
function createApp(routes, context, options) {
  const app = express2();
  app.set("etag", false);
  app.set("query parser", false);
  const routesAt = routesByPath(routes);
  app.use(takeRequestId, requestLog(context.log, routesAt), securityHeaders());
  for (const { path, shape } of routes) app.all(path, takeShape(shape));
  app.use(guardHost(options.access, routesAt));
  app.use(webPage(options.webDirectory));
  app.use(guardOrigin(options.access, routesAt), guardForeignRoute, guardMethod(routesAt), guardContentType);
  const readBody = express2.json({ limit: options.maxBodyBytes, type: "application/json" });
  for (const route of routes) {
    app[route.method](route.path, authorize(route, context, options), readBody, serve(route, context, options));
  }
  app.use(notFound);
  app.use(answerError(context));
  return app;
}
var takeRequestId = (request, response, next) => {
  const given = request.get("x-request-id") ?? "";
  request.id = REQUEST_ID.test(given) ? given : `req_${randomUUID6()}`;
  response.set("x-request-id", String(request.id));
  next();
};
function takeShape(shape) {
  return (request, response, next) => {
    response.locals["shape"] = shape;
    response.set(shape.headers?.(String(request.id)) ?? {});
    next();
  };
}
function shapeOf({ locals }) {
  return locals["shape"] ?? OWN_SHAPE;
}
function securityHeaders() {
  const self = ["'self'"];
  const none = ["'none'"];
  const directives = {
    defaultSrc: self,
    scriptSrc: self,
    styleSrc: self,
    imgSrc: ["'self'", "data:"],
    connectSrc: self,
    objectSrc: none,
    baseUri: none,
    formAction: none,
    frameAncestors: none
  };
  return helmet({ contentSecurityPolicy: { useDefaults: false, directives }, strictTransportSecurity: false });
}
function guardHost(access, routesAt) {
  return (request, _, next) => {
    if (!routesAt(request.path).some(({ anyHost }) => anyHost)) checkHost(request.headers, access);
    next();
  };
}
function guardOrigin(access, routesAt) {
  return (request, response, next) => {
    const origin = checkOrigin(request.headers, request.path, access);
    if (origin === null) return next();
    response.set({
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "x-request-id, request-id, x-conversation-id, x-ignored-fields, retry-after",
      vary: "Origin"
    });
    if (request.method !== "OPTIONS") return next();
    response.set({
      "access-control-allow-methods": methodsOf(routesAt(request.path)).join(", "),
      "access-control-allow-headers": request.get("access-control-request-headers") ?? "content-type",
      "access-control-max-age": PREFLIGHT_MAX_AGE_S
    });
    if (request.get("access-control-request-private-network") === "true") response.set("access-control-allow-private-network", "true");
    response.status(204).end();
  };
}
function guardMethod(routesAt) {
  return (request, response, next) => {
    const routes = routesAt(request.path);
    const methods = methodsOf(routes);
    if (routes.length === 0) return next();
    if (request.method === "OPTIONS") {
      response.set("allow", methods.join(", ")).status(204).end();
      return;
    }
    if (methods.includes(request.method)) return next();
    const allow = methods.join(", ");
    throw new ApiError("method_not_allowed", `The route takes ${allow}.`, null, { allow });
  };
}
var guardForeignRoute = (request, _, next) => {
  refuseForeignRoute(request.path);
  next();
};
var guardContentType = (request, _, next) => {
  checkContentType(request.method, request.headers);
  next();
};
function authorize(route, { auth }, { access }) {
  return (request, response, next) => {
    const isSameOrigin2 = checkOrigin(request.headers, request.path, access) === null;
    const credentials = { headers: request.headers, isSameOrigin: isSameOrigin2 };
    const admitted = { credentials, caller: auth.authorize(route.access, credentials) };
    Object.assign(response.locals, admitted);
    next();
  };
}
function serve(route, context, options) {
  return async (request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const { signal } = gone;
    const conversation = conversationHeader(request);
    const { body, id: id3, params } = request;
    const { caller, credentials } = response.locals;
    const asked2 = { body, params, query: queryOf(request), caller, credentials, address: request.socket.remoteAddress ?? "" };
    const isKnown = isKnownHost(request.headers, options.access);
    const reply = await route.handler({ ...asked2, isKnownHost: isKnown, requestId: String(id3), conversation, signal }, context);
    await send(reply, request, response, context, options);
  };
}
function queryOf({ url }) {
  const at = url.indexOf("?");
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(at)));
}
var CONVERSATION_HEADERS = ["x-conversation-id", "x-session-id"];
function conversationHeader(request) {
  const name2 = CONVERSATION_HEADERS.find((header) => request.get(header) !== void 0);
  const given = name2 === void 0 ? void 0 : request.get(name2);
  if (name2 === void 0 || given === void 0) return null;
  if (CONVERSATION_ID.test(given)) return given;
  throw new ApiError("invalid_value", `${name2}: 1 to 128 of A-Z a-z 0-9 . _ : -`, name2);
}
async function send(reply, request, response, context, options) {
  switch (reply.kind) {
    case "json":
      response.set(reply.headers ?? {}).json(reply.body);
      return;
    case "text":
      response.set("content-type", reply.contentType).send(reply.text);
      return;
    case "stream": {
      response.set({ ...STREAM_HEADERS, ...reply.headers }).flushHeaders();
      const onError = (error) => logFailure(context.log, String(request.id), error, context.service);
      const end = await writeEventStream(response, reply.events, shapeOf(response), options.stream, onError);
      if (end === "cut off") context.telemetry.streamCutOff();
    }
  }
}
var notFound = () => {
  throw new ApiError("not_found", "The server has no such route. GET /openapi.json lists the routes.");
};
function answerError({ log, service }) {
  return (thrown, request, response, _next) => {
    if (response.destroyed || thrown instanceof ClientGone) return;
    const error = toApiError(thrown);
    logFailure(log, String(request.id), error, service);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(statusOf(error)).set(errorHeaders(error)).json(errorBody(error, shapeOf(response)));
  };
}

// ts/api/openapi.ts
import { OpenApiGeneratorV31, OpenAPIRegistry } from "@asteasolutions/zod-to-openapi";
function jsonContent(schema2) {
  return { "application/json": { schema: schema2 } };
}
function openApiPath(path) {
  return path.replace(/[:*](\w+)/g, "{$1}");
}
var SECURITY = [{ bearer: [] }, { apiKey: [] }];
function routeConfig(route) {
  const { method, path, summary, access, params, query, request, response, chunk, shape } = route;
  const content2 = {
    ...response ? jsonContent(response) : {},
    ...chunk ? { "text/event-stream": { schema: chunk } } : {}
  };
  return {
    method,
    path: openApiPath(path),
    summary,
    ...access === "open" ? {} : { security: SECURITY },
    request: {
      ...params ? { params } : {},
      ...query ? { query } : {},
      ...request ? { body: { required: true, content: jsonContent(request) } } : {}
    },
    responses: {
      200: Object.keys(content2).length > 0 ? { description: summary, content: content2 } : { description: summary },
      default: { description: "An error", content: jsonContent(shape.errors.schema) }
    }
  };
}
function openApiDocument(routes, version) {
  const registry = new OpenAPIRegistry();
  registry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  registry.registerComponent("securitySchemes", "apiKey", { type: "apiKey", in: "header", name: "x-api-key" });
  for (const route of routes) registry.registerPath(routeConfig(route));
  const info3 = { title: "AttentionStore", version, description: "The OpenAI API, with conversations that are never computed twice." };
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({ openapi: "3.1.0", info: info3 });
}

// ts/protocol/schemas/admin.ts
import { z as z23 } from "zod";
var count8 = z23.int().nonnegative();
var CacheStatusBody = z23.object({
  tiers: z23.array(
    z23.object({
      name: z23.enum(TIER_NAMES),
      medium: z23.string(),
      capacity_bytes: count8,
      used_bytes: count8,
      capacity_blocks: count8,
      blocks: z23.object({ total: count8, running: count8, cached: count8 }),
      hit_tokens: count8
    })
  ),
  policy: z23.string(),
  io_engine: z23.string()
}).meta({ id: "CacheStatus" });
var DemoteRequest = z23.object({ to: z23.enum(LOWER_TIERS) }).meta({ id: "DemoteRequest" });
var DemoteResponse = z23.object({ demoted_blocks: count8, skipped_in_use: count8 }).meta({ id: "DemoteResponse" });
var ResetResponse = z23.object({ removed_blocks: count8, skipped_in_use: count8 }).meta({ id: "ResetResponse" });
var HealthResponse = z23.object({ status: z23.literal("ok") }).meta({ id: "Health" });
var ReadyResponse = z23.object({ status: z23.literal("ready") }).meta({ id: "Ready" });

// ts/protocol/schemas/session.ts
import { z as z24 } from "zod";
var SessionRequest = z24.object({ key: z24.string().min(1).max(512).meta({ description: "the admin key" }) }).meta({ id: "SessionRequest" });
var Session = z24.object({
  name: z24.string().meta({ description: "name of the admin key" }),
  tenant: z24.string().meta({ description: "whose conversations the playground holds" }),
  expires_at_ms: z24.int().meta({ description: "milliseconds since the Unix epoch" })
}).meta({ id: "Session" });
var SessionState = z24.object({
  login_required: z24.boolean().meta({ description: "the admin routes and the socket need a session or the admin key" }),
  session: Session.nullable().meta({ description: "that of this request's cookie" })
}).meta({ id: "SessionState" });
var SessionEnded = z24.object({ ended: z24.boolean() }).meta({ id: "SessionEnded" });

// ts/api/handlers/cache.ts
var cacheStatus2 = (_, { service }) => {
  const { tiers: tiers2, policy, ioEngine } = service.cacheStatus();
  const body = {
    tiers: tiers2.map((tier) => ({
      name: tier.name,
      medium: tier.medium,
      capacity_bytes: tier.capacityBytes,
      used_bytes: tier.usedBytes,
      capacity_blocks: tier.capacityBlocks,
      blocks: { total: tier.blocks.total, running: tier.blocks.running, cached: tier.blocks.waiting + tier.blocks.resting },
      hit_tokens: tier.hitTokens
    })),
    policy,
    io_engine: ioEngine
  };
  return json(body);
};
var demoteCache = async ({ body }, { service }) => {
  const { demotedBlocks, skippedInUse } = await service.demote(validate(DemoteRequest, body).to);
  const reply = { demoted_blocks: demotedBlocks, skipped_in_use: skippedInUse };
  return json(reply);
};
var resetCache = async (_, { service }) => {
  const { removedBlocks, skippedInUse } = await service.reset();
  const reply = { removed_blocks: removedBlocks, skipped_in_use: skippedInUse };
  return json(reply);
};

// ts/api/handlers/conversations.ts
var listConversations = ({ query }, { service }) => {
  const { cursor, limit, tenant: tenant2, q } = validate(ConversationQuery, query);
  const before = cursor === void 0 ? null : Number(cursor);
  const { rows: rows4, total, next } = service.conversations.list({ tenant: tenant2 ?? null, text: q ?? null, before, limit });
  const body = { conversations: rows4.map(row2), total, next_cursor: next === null ? null : String(next) };
  return json(body);
};
function row2(info3) {
  return {
    id: info3.id,
    tenant: info3.tenant,
    turns: info3.turns,
    tokens: info3.tokens,
    created_at_ms: Math.floor(info3.createdAt),
    last_used_at_ms: Math.floor(info3.lastUse),
    forked_from: info3.forkedFrom,
    active_turns: info3.activeTurns,
    tiers: info3.tiers,
    strip: [...info3.strip]
  };
}
function targetOf({ params, query }) {
  return [validate(ConversationParams, params).id, validate(ConversationTarget, query).tenant ?? null];
}
var warmConversation = async (request, { service }) => {
  const warmed = await service.conversations.warm(...targetOf(request));
  const body = {
    conversation: warmed.conversation,
    blocks: warmed.blocks,
    promoted_blocks: warmed.promotedBlocks,
    loaded_blocks: warmed.loadedBlocks,
    tiers: warmed.tiers
  };
  return json(body);
};
var demoteConversation = async (request, { service }) => {
  const { to } = validate(DemoteRequest, request.body);
  const demoted = await service.conversations.demote(...targetOf(request), to);
  const body = {
    conversation: demoted.conversation,
    demoted_blocks: demoted.demotedBlocks,
    skipped_in_use: demoted.skippedInUse,
    skipped_shared: demoted.skippedShared
  };
  return json(body);
};
var forkConversation = async (request, { service }) => {
  const { conversation, forkedFrom, tenant: tenant2, sharedBlocks: sharedBlocks2 } = await service.conversations.fork(...targetOf(request));
  const body = { conversation, forked_from: forkedFrom, tenant: tenant2, shared_blocks: sharedBlocks2 };
  return json(body);
};
var eraseConversation = async (request, { service }) => {
  const { conversation, tenant: tenant2, erased, recordsErased, requestsAnonymised, responsesErased, keptShared } = await service.conversations.erase(...targetOf(request));
  const body = {
    conversation,
    tenant: tenant2,
    blocks_erased: erased.blocks,
    bytes_erased: erased.bytes,
    tiers: erased.copies,
    remains_overwritten: erased.remains,
    records_erased: recordsErased,
    responses_erased: responsesErased,
    requests_anonymised: requestsAnonymised,
    kept_shared: keptShared.map(({ key, referrers }) => ({ key, referrers: [...referrers] }))
  };
  return json(body);
};

// ts/api/handlers/health.ts
var health = (request, context) => {
  checkEngine(request, context);
  return json({ status: "ok" });
};
var ready = (request, context) => {
  checkEngine(request, context);
  if (context.service.ready) return json({ status: "ready" });
  throw new ApiError("draining", "The server takes no new requests.");
};
function checkEngine({ credentials, isKnownHost: isKnownHost2 }, { service: { failure }, auth }) {
  if (!failure) return;
  const mayKnow = isKnownHost2 && auth.allows("admin", credentials);
  throw new ApiError("engine_stopped", mayKnow ? failure.message : "The engine has ended.", null, mayKnow ? failure.context : {});
}

// ts/api/handlers/metrics.ts
var metrics = async (_, { telemetry }) => {
  const { text: text5, contentType } = await telemetry.prometheus();
  return { kind: "text", text: text5, contentType };
};

// ts/api/handlers/openapi.ts
var openapi = (_, { description: description2 }) => json(description2);

// ts/api/handlers/requests.ts
var listRequests = ({ query }, { service }) => {
  const { cursor, limit } = validate(RequestQuery, query);
  const { records, next } = service.records.page(cursor, limit);
  const body = { requests: [...records], next_cursor: next };
  return json(body);
};

// ts/api/handlers/session.ts
function sessionBody({ record: record2, session }) {
  return { name: record2.name, tenant: record2.tenant, expires_at_ms: session.expiresAt };
}
var sessionState = ({ credentials }, { auth }) => {
  const login = auth.sessionOf(credentials);
  const body = {
    login_required: auth.needsLogin(credentials.headers),
    session: login === null ? null : sessionBody(login)
  };
  return json(body);
};
var beginSession = ({ body, credentials, address }, { auth }) => {
  const login = auth.login(validate(SessionRequest, body).key, credentials.headers, address);
  return json(sessionBody(login), { "set-cookie": login.cookie });
};
var endSession = ({ credentials }, { auth }) => {
  const { ended, cookie: cookie2 } = auth.logout(credentials);
  const body = { ended };
  return json(body, { "set-cookie": cookie2 });
};

// ts/api/routes.ts
var OWN_ROUTES = [
  { method: "get", path: "/health", access: "open", anyHost: true, handler: health, summary: "The process and its engine are alive", response: HealthResponse },
  { method: "get", path: "/ready", access: "open", anyHost: true, handler: ready, summary: "New requests are taken", response: ReadyResponse },
  { method: "get", path: "/metrics", access: "metrics", handler: metrics, summary: "Prometheus metrics" },
  { method: "get", path: "/openapi.json", access: "open", handler: openapi, summary: "This description" },
  {
    method: "get",
    path: "/admin/cache",
    access: "admin",
    handler: cacheStatus2,
    summary: "The tiers and their contents",
    response: CacheStatusBody
  },
  {
    method: "post",
    path: "/admin/cache/demote",
    access: "admin",
    handler: demoteCache,
    summary: "Remove copies above a tier",
    request: DemoteRequest,
    response: DemoteResponse
  },
  {
    method: "post",
    path: "/admin/cache/reset",
    access: "admin",
    handler: resetCache,
    summary: "Remove every block that is not in use",
    response: ResetResponse
  },
  {
    method: "get",
    path: "/admin/requests",
    access: "admin",
    handler: listRequests,
    summary: "The last requests, with their times and reasons",
    query: RequestQuery,
    response: RequestList
  },
  {
    method: "get",
    path: "/admin/session",
    access: "open",
    handler: sessionState,
    summary: "The need for a login, and the owner of the session",
    response: SessionState
  },
  {
    method: "post",
    path: "/admin/session",
    access: "open",
    handler: beginSession,
    summary: "Log in with the admin key: sets a cookie",
    request: SessionRequest,
    response: Session
  },
  {
    method: "delete",
    path: "/admin/session",
    access: "open",
    handler: endSession,
    summary: "Log out",
    response: SessionEnded
  },
  {
    method: "get",
    path: "/admin/conversations",
    access: "admin",
    handler: listConversations,
    summary: "Conversations, the most recently used first",
    query: ConversationQuery,
    response: ConversationPage
  },
  {
    method: "post",
    path: "/admin/conversations/:id/warm",
    access: "admin",
    handler: warmConversation,
    summary: "Bring its blocks up to dram, and to hbm where hbm has free slots",
    params: ConversationParams,
    query: ConversationTarget,
    response: WarmResponse
  },
  {
    method: "post",
    path: "/admin/conversations/:id/demote",
    access: "admin",
    handler: demoteConversation,
    summary: "Remove copies above a tier of the blocks that it alone uses",
    params: ConversationParams,
    query: ConversationTarget,
    request: DemoteRequest,
    response: DemoteConversationResponse
  },
  {
    method: "post",
    path: "/admin/conversations/:id/fork",
    access: "admin",
    handler: forkConversation,
    summary: "A new conversation that continues after its last turn",
    params: ConversationParams,
    query: ConversationTarget,
    response: ForkResponse
  },
  {
    method: "delete",
    path: "/admin/conversations/:id",
    access: "admin",
    handler: eraseConversation,
    summary: "Forget the conversation, and erase the blocks that it alone uses, in all tiers",
    params: ConversationParams,
    query: ConversationTarget,
    response: EraseReceipt
  }
];
function routesOf(surfaces) {
  const theirs = surfaces.flatMap((surface) => surface.routes.map((route) => ({ ...route, access: "api", shape: surface })));
  return [...theirs, ...OWN_ROUTES.map((route) => ({ ...route, shape: OWN_SHAPE }))];
}
var ROUTES2 = routesOf(SURFACES);

// ts/api/sockets.ts
import { Server } from "socket.io";

// ts/api/topics.ts
var PUBLISHERS = {
  overview: (telemetry, { socket, isReady }) => telemetry.listen((sample) => isReady() && socket.emit("sample", sample)),
  requests: (telemetry, { socket, isReady }) => telemetry.records.follow({ isReady, take: (batch) => void socket.emit("requests", batch) }),
  map: (telemetry, { socket, isReady }) => telemetry.maps.listenFromNow((map) => isReady() && socket.emit("map", map)),
  "what-if": (telemetry, { socket, isReady }) => telemetry.whatIfs.listenFromNow((whatIf2) => isReady() && socket.emit("what-if", whatIf2))
};
var TOPICS = Object.keys(PUBLISHERS);
var Subscriptions = class {
  #telemetry;
  #listener;
  #running = /* @__PURE__ */ new Map();
  constructor(telemetry, listener) {
    this.#telemetry = telemetry;
    this.#listener = listener;
  }
  /** To these topics and no others. What a client sends is anything; unknown topics are ignored. */
  replace(topics) {
    const wanted = new Set(Array.isArray(topics) ? topics : []);
    for (const topic of TOPICS) {
      if (!wanted.has(topic)) this.#stop(topic);
      else if (!this.#running.has(topic)) this.#running.set(topic, PUBLISHERS[topic](this.#telemetry, this.#listener));
    }
  }
  close() {
    for (const topic of TOPICS) this.#stop(topic);
  }
  #stop(topic) {
    this.#running.get(topic)?.();
    this.#running.delete(topic);
  }
};

// ts/api/sockets.ts
var SOCKET_PATH = "/socket.io/";
var MAX_SOCKETS = 64;
var MAX_MESSAGE_BYTES = 4096;
function attachSockets(server, { telemetry, auth }, access) {
  const io = new Server(server, {
    serveClient: false,
    // Upgrades elsewhere are not its to end: ./upgrades.ts.
    destroyUpgrade: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    allowRequest: (request, allow) => {
      const refusal2 = io.engine.clientsCount >= MAX_SOCKETS ? "too many sockets" : refusalOf(request, auth, access);
      allow(refusal2, refusal2 === null);
    }
  });
  io.on("connection", (socket) => {
    const isReady = () => {
      if (refusalOf(socket.request, auth, access) !== null) socket.disconnect(true);
      return socket.connected && socket.conn.transport.writable;
    };
    const subscriptions = new Subscriptions(telemetry, { socket, isReady });
    socket.on("subscribe", (topics) => subscriptions.replace(topics));
    socket.on("disconnect", () => subscriptions.close());
    socket.emit("snapshot", telemetry.snapshot());
  });
  return { close: () => io.close() };
}
function refusalOf({ headers, url }, auth, access) {
  try {
    checkHost(headers, access);
    const isSameOrigin2 = checkOrigin(headers, url ?? "/", access) === null;
    auth.authorize("admin", { headers, isSameOrigin: isSameOrigin2 });
    return null;
  } catch (thrown) {
    return toApiError(thrown).message;
  }
}

// ts/api/upgrades.ts
var OFFER = /* @__PURE__ */ new Set(["upgrade", "http2-settings"]);
function declineUpgrades(server, socketPath) {
  const unanswered = /* @__PURE__ */ new WeakMap();
  server.prependListener("request", (request, response) => {
    const { socket } = request;
    unanswered.set(socket, response);
    response.once("close", () => unanswered.get(socket) === response && unanswered.delete(socket));
  });
  server.on("upgrade", (request, socket, rest) => {
    if (request.url?.startsWith(socketPath)) return;
    const begin = () => beginAgain(server, socket, Buffer.concat([headWithoutOffer(request), rest]));
    const earlier = unanswered.get(socket);
    if (!earlier) return begin();
    const ignore = () => {
    };
    socket.on("error", ignore);
    earlier.once("close", () => {
      socket.off("error", ignore);
      if (!socket.destroyed) begin();
    });
  });
}
function beginAgain(server, socket, bytes) {
  socket.setTimeout(0);
  socket.unshift(bytes);
  server.emit("connection", socket);
}
function headWithoutOffer({ method, url, httpVersion, rawHeaders }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name2 = rawHeaders[at] ?? "";
    const value = rawHeaders[at + 1] ?? "";
    const lower = name2.toLowerCase();
    if (OFFER.has(lower)) continue;
    const kept = lower === "connection" ? withoutOffer(value) : value;
    if (lower !== "connection" || kept !== "") lines.push(`${name2}: ${kept}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r
\r
`, "latin1");
}
function withoutOffer(connection) {
  const tokens = connection.split(",").map((token) => token.trim());
  return tokens.filter((token) => !OFFER.has(token.toLowerCase())).join(", ");
}

// ts/api/listen.ts
var REQUEST_TIMEOUT_MS = 6e4;
var MARGIN_MS = 1e3;
var MAX_CONNECTIONS = 4096;
var LAST_WRITES_MS = 1e3;
var STREAM_BOUNDS = { keepAliveMs: 1e4, maxBufferedBytes: 1024 * 1024 };
async function openHttpApi(context, options) {
  const routes = routesOf(options.surfaces ?? SURFACES);
  const description2 = openApiDocument(routes, context.version);
  const stream = { ...STREAM_BOUNDS, ...options.stream };
  const server = createServer(createApp(routes, { ...context, description: description2 }, { ...options, stream }));
  Object.assign(server, connectionTimeouts(options.keepAliveMs), { maxConnections: MAX_CONNECTIONS });
  const sockets = attachSockets(server, context, options.access);
  declineUpgrades(server, SOCKET_PATH);
  await listen(server, options).catch(async (thrown) => {
    await sockets.close();
    throw thrown;
  });
  let closing2;
  return {
    url: urlOf(server.address()),
    close: () => closing2 ??= closeServer(server, sockets.close)
  };
}
function connectionTimeouts(keepAliveMs) {
  const headersTimeout = Math.max(REQUEST_TIMEOUT_MS, keepAliveMs + MARGIN_MS);
  return { keepAliveTimeout: keepAliveMs, headersTimeout, requestTimeout: headersTimeout + MARGIN_MS };
}
function listen(server, { host, port }) {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(listenError(cause, host, port)));
    server.listen(port, host, resolve);
  });
}
function listenError(cause, host, port) {
  const sentences = {
    EADDRINUSE: `--port: ${port} is in use on ${host}; give another port, or 0 for any free one`,
    EACCES: `--port: this user may not listen on ${port}`,
    EADDRNOTAVAIL: `--host: ${host} is not an address of this machine`,
    ENOTFOUND: `--host: no address is known for ${host}`
  };
  const message2 = sentences[cause.code ?? ""] ?? `--host: cannot listen on ${host}:${port}: ${cause.code}`;
  return new ExitError(2, "cannot_listen", message2, { host, port }, { cause });
}
function urlOf({ address, port }) {
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}
async function closeServer(server, closeSockets) {
  const deadline = setTimeout(() => server.closeAllConnections(), LAST_WRITES_MS);
  const closed = new Promise((resolve) => server.once("close", resolve));
  await closeSockets();
  server.closeIdleConnections();
  await closed;
  clearTimeout(deadline);
}

// ts/auth/attempts.ts
import { isIPv6 as isIPv62 } from "node:net";
var MOST_FAILURES2 = 10;
var WINDOW_MS2 = 6e4;
var MOST_ADDRESSES = 1024;
var FailedAttempts = class {
  #failures = /* @__PURE__ */ new Map();
  #now;
  constructor(now) {
    this.#now = now;
  }
  get addresses() {
    return this.#failures.size;
  }
  /** Seconds until the address may try again; 0: it may now. */
  waitSeconds(address) {
    const failures = this.#failures.get(networkOf(address));
    if (failures === void 0 || failures.count < MOST_FAILURES2) return 0;
    return Math.max(0, Math.ceil((failures.since + WINDOW_MS2 - this.#now()) / 1e3));
  }
  failed(address) {
    const network = networkOf(address);
    const before = this.#failures.get(network);
    const isSameWindow = before !== void 0 && this.#now() - before.since < WINDOW_MS2;
    this.#failures.delete(network);
    this.#failures.set(network, isSameWindow ? { since: before.since, count: before.count + 1 } : { since: this.#now(), count: 1 });
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= MOST_ADDRESSES) return;
      this.#failures.delete(oldest);
    }
  }
  succeeded(address) {
    this.#failures.delete(networkOf(address));
  }
};
function networkOf(address) {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== void 0 || !isIPv62(address)) return mapped ?? address;
  const [head3 = "", tail = ""] = address.split("%")[0]?.split("::") ?? [];
  const groups = head3 === "" ? [] : head3.split(":");
  const rest = tail === "" ? [] : tail.split(":");
  const zeros = address.includes("::") ? Array.from({ length: 8 - groups.length - rest.length }, () => "0") : [];
  return [...groups, ...zeros, ...rest].slice(0, 4).join(":");
}

// ts/auth/sessions.ts
import { createHash as createHash5, randomBytes as randomBytes4 } from "node:crypto";
var MOST_SESSIONS = 256;
var SESSION_MS = 12 * 60 * 60 * 1e3;
var TOKEN_BYTES = 32;
var Sessions = class {
  /** By hash of the token, oldest first: what is kept opens nothing, and looking it up tells nothing of a token. */
  #sessions = /* @__PURE__ */ new Map();
  #now;
  constructor(now) {
    this.#now = now;
  }
  get size() {
    return this.#sessions.size;
  }
  begin(keyId) {
    this.#trim();
    const token = randomBytes4(TOKEN_BYTES).toString("base64url");
    const session = { keyId, expiresAt: this.#now() + SESSION_MS };
    this.#sessions.set(tokenHash(token), session);
    return { token, session };
  }
  find(token) {
    const session = this.#sessions.get(tokenHash(token));
    return session !== void 0 && session.expiresAt > this.#now() ? session : null;
  }
  /** False: there was none. */
  end(token) {
    return this.#sessions.delete(tokenHash(token));
  }
  #trim() {
    for (const [hash, { expiresAt }] of this.#sessions) {
      if (expiresAt > this.#now() && this.#sessions.size < MOST_SESSIONS) return;
      this.#sessions.delete(hash);
    }
  }
};
function tokenHash(token) {
  return createHash5("sha256").update(token, "utf8").digest("base64");
}

// ts/auth/credentials.ts
function presentedKey(headers) {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  const named4 = headers["x-api-key"];
  return bearer ?? (typeof named4 === "string" && named4 !== "" ? named4 : null);
}
function sessionToken(headers) {
  const name2 = cookieName(headers);
  for (const pair of (headers.cookie ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name2) return pair.slice(at + 1).trim();
  }
  return null;
}
function sessionCookie(headers, token) {
  return cookie(headers, token, Math.floor(SESSION_MS / 1e3));
}
function endedCookie(headers) {
  return cookie(headers, "", 0);
}
function cookieName({ host }) {
  const port = /:(\d{1,5})$/.exec(host ?? "")?.[1];
  return port === void 0 ? "attentionstore_session" : `attentionstore_session_${port}`;
}
function cookie(headers, value, maxAgeS) {
  const parts = [`${cookieName(headers)}=${value}`, "Path=/", `Max-Age=${maxAgeS}`, "HttpOnly", "SameSite=Strict"];
  return [...parts, ...cameOverHttps(headers) ? ["Secure"] : []].join("; ");
}
function cameOverHttps(headers) {
  const forwarded = headers["x-forwarded-proto"];
  const first = (typeof forwarded === "string" ? forwarded : "").split(",")[0]?.trim().toLowerCase();
  return first === "https" || (headers.origin ?? "").startsWith("https://");
}

// ts/auth/key-file.ts
import { z as z25 } from "zod";
var MAX_FILE_BYTES = 4 * 2 ** 20;
var KEY_NAME = /^[^\p{C}]{1,64}$/u;
var KeyLine = z25.object({
  id: z25.string().regex(/^[\w.:-]{1,64}$/),
  name: z25.string().regex(KEY_NAME),
  tenant: z25.string().regex(TENANT_NAME),
  /** SHA-256 of the key, 64 hex digits. */
  sha256: z25.string().regex(/^[0-9a-f]{64}$/),
  /** ISO time. */
  created: z25.string().max(64)
});
var KeyFileError = class extends AttentionStoreError {
  name = "KeyFileError";
};

// ts/auth/access-control.ts
var NO_TENANT = { tenant: "" };
var AccessControl = class {
  #options;
  #sessions;
  #attempts;
  constructor(options) {
    this.#options = options;
    this.#sessions = new Sessions(options.now);
    this.#attempts = new FailedAttempts(options.now);
  }
  /**
   * Lets a request through, as a caller.
   * @throws ApiError `invalid_api_key`, or `forbidden` for a key that opens something else.
   */
  authorize(access, credentials) {
    if (access === "open") return NO_TENANT;
    if (access === "api") return this.#authorizeApi(credentials);
    if (this.#isAdminOpen(access, credentials.headers)) return NO_TENANT;
    return this.#authorizeAdmin(credentials);
  }
  /** As `authorize`, for what a caller sees on a route that is open anyway. */
  allows(access, credentials) {
    try {
      this.authorize(access, credentials);
      return true;
    } catch (thrown) {
      if (thrown instanceof ApiError) return false;
      throw thrown;
    }
  }
  /** The admin routes and the socket ask for something that this request does not carry by itself. */
  needsLogin(headers) {
    return !this.#isAdminOpen("admin", headers);
  }
  /** The session that the request's cookie holds. */
  sessionOf({ headers, isSameOrigin: isSameOrigin2 }) {
    const token = isSameOrigin2 ? sessionToken(headers) : null;
    const session = token === null ? null : this.#sessions.find(token);
    const record2 = session === null ? null : this.#options.adminKeys?.byId(session.keyId) ?? null;
    return session === null || record2 === null ? null : { session, record: record2 };
  }
  /**
   * Begins a session; `cookie` is the value of Set-Cookie.
   * @param address the client's, for counting its failures.
   * @throws ApiError `not_found` without an admin key, `invalid_api_key`, `too_many_attempts`.
   */
  login(key, headers, address) {
    const { adminKeys } = this.#options;
    if (adminKeys === null) throw new ApiError("not_found", "The server has no admin key (--admin-key-file), so it has no login.");
    const wait = this.#attempts.waitSeconds(address);
    if (wait > 0) {
      const message2 = `Too many logins failed from this address. The next attempt may come in ${wait} s.`;
      throw new ApiError("too_many_attempts", message2, null, { retry_after: wait });
    }
    const record2 = adminKeys.find(key);
    if (record2 === null) {
      this.#attempts.failed(address);
      throw new ApiError("invalid_api_key", "key: This is not the admin key.", "key");
    }
    this.#attempts.succeeded(address);
    const { token, session } = this.#sessions.begin(record2.id);
    return { record: record2, session, cookie: sessionCookie(headers, token) };
  }
  /** Ends the session of the request's cookie; `cookie` removes it from the browser. */
  logout({ headers, isSameOrigin: isSameOrigin2 }) {
    const token = isSameOrigin2 ? sessionToken(headers) : null;
    return { ended: token !== null && this.#sessions.end(token), cookie: endedCookie(headers) };
  }
  /** Reads the key files again. A broken file keeps the keys before, and its error is returned. */
  reload() {
    const rings = [this.#options.apiKeys, this.#options.adminKeys];
    return rings.flatMap((ring) => {
      try {
        ring?.reload();
        return [];
      } catch (thrown) {
        if (thrown instanceof KeyFileError) return [thrown];
        throw thrown;
      }
    });
  }
  #authorizeApi(credentials) {
    const { apiKeys, adminKeys } = this.#options;
    if (apiKeys === null) return NO_TENANT;
    const key = presentedKey(credentials.headers);
    const record2 = key === null ? this.sessionOf(credentials)?.record : apiKeys.find(key) ?? adminKeys?.find(key);
    if (record2) return { tenant: record2.tenant };
    throw refused(key === null ? "This route needs an API key." : "The server does not know this API key.");
  }
  #authorizeAdmin(credentials) {
    const { apiKeys, adminKeys } = this.#options;
    const key = presentedKey(credentials.headers);
    const record2 = key === null ? this.sessionOf(credentials)?.record : adminKeys?.find(key);
    if (record2) return { tenant: record2.tenant };
    if (key !== null && apiKeys?.find(key)) throw new ApiError("forbidden", "An API key does not open this route; the admin key does.");
    if (adminKeys === null) throw refused("This route needs the admin key, and the server has none. --admin-key-file gives it one.");
    throw refused(key === null ? "This route needs the admin key or a login." : "This is not the admin key.");
  }
  /** Without an admin key: open on a server without keys, else to this machine. Metrics are open to this machine. */
  #isAdminOpen(access, headers) {
    const { apiKeys, adminKeys } = this.#options;
    if (adminKeys === null && apiKeys === null) return true;
    return (access === "metrics" || adminKeys === null) && this.#isLocal(headers);
  }
  /** From this machine, as far as can be seen: not through a proxy, which makes everyone look local. */
  #isLocal(headers) {
    const name2 = hostNameOf(headers.host);
    const isForwarded = FORWARDED.some((header) => headers[header] !== void 0);
    return this.#options.isLoopback && name2 !== null && isLoopback(name2) && !isForwarded;
  }
};
var FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
function refused(message2) {
  return new ApiError("invalid_api_key", `${message2} Send Authorization: Bearer KEY or x-api-key.`);
}

// test/unit/support/fake-service.ts
var VOCABULARY = 512;
var fakeInfo = {
  kind: "simulated",
  device: "fake",
  modelName: "fake-model",
  layers: 2,
  vocabSize: VOCABULARY,
  modelContext: 4096,
  sliceBytes: 64,
  blockBytes: 128,
  hostSlotBytes: 4096,
  slots: { hbm: 10, dram: 20, ssd: 30 },
  dramStagingOnly: false,
  ioEngine: "none",
  maxBatchTokens: 64,
  fingerprint: "00",
  textFingerprint: "00",
  endTokens: [0],
  defaults: { temperature: 0.6, topP: 0.95 },
  hasChatTemplate: true,
  outputFormat: "generic"
};
var fakeText = {
  encodeChat: async ({ messages: messages3 }) => ({
    tokens: Uint32Array.from(Buffer.from(messages3.map(({ role, content: content2 }) => `<${role}>${content2}`).join(""))),
    systemTokens: 0,
    startsInReasoning: false,
    withoutReasoning: []
  }),
  encodePrompt: async (text5) => Uint32Array.from(Buffer.from(text5)),
  tokenize: async (text5, special) => Uint32Array.from([...special ? [256] : [], ...Buffer.from(text5)]),
  compile: async ({ kind }) => ({ kind }),
  decode: async (tokens) => Buffer.from(tokens).toString(),
  tokenBytes: (token) => token < 256 ? Uint8Array.of(token) : new Uint8Array(),
  root: () => "\0".repeat(32),
  keys: async () => [],
  blockKey: () => "\0".repeat(32)
};
var fakeStats = {
  steps: 7,
  computeMs: 1500,
  loadStallMs: 20,
  stalledLayers: 3,
  loadBytes: 100,
  loadMs: 2,
  saveBytes: 200,
  saveMs: 4,
  readBytes: 300,
  readMs: 6,
  writeBytes: 400,
  writeMs: 8,
  damagedReads: 1,
  readQueueDepth: 0,
  writeQueueDepth: 0,
  saveQueueDepth: 0,
  loadQueueDepth: 0,
  masks: 12,
  maskMs: 3,
  lateRows: 1,
  grammarsCompiled: 4,
  grammarsCached: 5,
  grammarsRefused: 6
};
function usage(changes = {}) {
  return {
    promptTokens: 100,
    completionTokens: 5,
    conversation: "conv_fake",
    reusedTokens: { hbm: 64, dram: 16, ssd: 8 },
    computedTokens: 12,
    recomputedTokens: 0,
    outsideViewTokens: 0,
    missedTokens: { neverSeen: 6, reasoningDropped: 0, evicted: 3, damaged: 2, outsideView: 0, unknown: 1 },
    strandedBlocks: 0,
    queueMs: 1,
    loadMs: 2,
    prefillMs: 3,
    ttftMs: 6,
    ttftWithoutReuseMs: 60,
    ...changes
  };
}
function delta2(text5, more = {}) {
  return { type: "delta", text: text5, tokens: [...Buffer.from(text5)], logprobs: [], ...more };
}
function done(more = {}) {
  return { type: "done", finish: "stop", stopReason: null, usage: usage(), ...more };
}
var FakeTurn = class {
  constructor(request, events4 = []) {
    this.request = request;
    this.conversation = request.conversation ?? "conv_fake";
    this.#events = [...events4];
    this.cancelled = new Promise((resolve) => this.#onCancelled = resolve);
  }
  request;
  conversation;
  promptTokens = 100;
  isCancelled = false;
  #events = [];
  #wake = () => {
  };
  /** Resolves when the turn is cancelled. */
  cancelled;
  #onCancelled = () => {
  };
  push(event) {
    this.#events.push(event);
    this.#wake();
  }
  cancel() {
    this.isCancelled = true;
    this.#onCancelled();
    this.#wake();
  }
  async *[Symbol.asyncIterator]() {
    for (; ; ) {
      const event = this.#events.shift();
      if (event instanceof Error) throw event;
      if (event) yield event;
      if (event?.type === "done") return;
      if (event) continue;
      if (this.isCancelled) return;
      await new Promise((resolve) => this.#wake = resolve);
    }
  }
};
var fakeConversation = {
  id: "conv_fake",
  tenant: "acme",
  turns: 2,
  tokens: 130,
  createdAt: 1000.5,
  lastUse: 2000.5,
  forkedFrom: null,
  activeTurns: 1,
  tiers: { hbm: { blocks: 1, tokens: 64 }, dram: { blocks: 0, tokens: 0 }, ssd: { blocks: 1, tokens: 2 } },
  strip: [{ tier: "hbm", blocks: 1 }, { tier: null, blocks: 1 }, { tier: "ssd", blocks: 1 }]
};
function fakeConversations(called2) {
  const act = (verb, id3, tenant2) => {
    called2(`${verb} ${id3} ${tenant2}`);
    if (id3 !== fakeConversation.id) throw new ApiError("not_found", "The server has no conversation of this id.");
  };
  const conversation = fakeConversation.id;
  return {
    list(query) {
      called2(`list ${JSON.stringify(query)}`);
      return { rows: [fakeConversation], total: 7, next: 5 };
    },
    async warm(id3, tenant2) {
      act("warm", id3, tenant2);
      return { conversation, blocks: 3, promotedBlocks: 2, loadedBlocks: 1, tiers: { hbm: 1, dram: 2, ssd: 0 } };
    },
    async demote(id3, tenant2, to) {
      act(`demote to ${to}`, id3, tenant2);
      return { conversation, demotedBlocks: 2, skippedInUse: 1, skippedShared: 4 };
    },
    async fork(id3, tenant2) {
      act("fork", id3, tenant2);
      return { conversation: "conv_fork", forkedFrom: id3, tenant: "acme", sharedBlocks: 3 };
    },
    async erase(id3, tenant2) {
      act("erase", id3, tenant2);
      const erased = { blocks: 2, bytes: 512, copies: { hbm: 1, dram: 2, ssd: 2 }, remains: 5 };
      return { conversation, tenant: "acme", erased, recordsErased: 1, requestsAnonymised: 3, responsesErased: 2, keptShared: [{ key: "ab", referrers: ["conv_other"] }] };
    }
  };
}
var FakeService = class {
  modelContext = 2048;
  /** The chats that were tokenised. */
  chats = [];
  ready = true;
  failure = null;
  failed = new Promise(() => {
  });
  turns = [];
  /** What each turn answers; replaced by tests. An ApiError refuses the request. */
  answer = () => [delta2("Hello"), delta2(" you"), done()];
  records = new RequestRecords();
  responses = new MemoryResponses({ maxBytes: 64 * 1024, ttlMs: 6e4, now: () => this.now });
  /** Milliseconds; a test moves it. */
  now = 0;
  /** As many tokens as `fakeText` gives the roles and texts. */
  async countPrompt({ prompt }) {
    if (prompt.kind !== "chat") throw new Error("only chats are counted here");
    return (await fakeText.encodeChat({ messages: messageTexts(prompt.messages) }, "")).tokens.length;
  }
  cacheMap() {
    return { policy: "lru", tiers: [], owners: [{ conversation: "", tenant: "" }], queue: { length: 0, window: 0, front: [] } };
  }
  whatIf() {
    return { requests: 0, samplingRate: 1, sampledBlocks: 0, method: "guessed", policy: "lru", tiers: [] };
  }
  demoted = [];
  #onStarted = [];
  async start(request) {
    if (!this.ready) throw new ApiError("draining", "The server is shutting down.");
    const answer2 = this.answer(request);
    if (answer2 instanceof ApiError) throw answer2;
    const turn = new FakeTurn(request, answer2);
    this.turns.push(turn);
    for (const resolve of this.#onStarted.splice(0)) resolve(turn);
    return turn;
  }
  async tokenizeChat(chat2) {
    this.chats.push(chat2);
    const messages3 = chat2.messages.map(({ role, content: content2 }) => ({ role, content: content2 }));
    return (await fakeText.encodeChat({ messages: messages3 }, "")).tokens;
  }
  /** The next turn that starts. */
  nextTurn() {
    return new Promise((resolve) => this.#onStarted.push(resolve));
  }
  get lastRequest() {
    const turn = this.turns.at(-1);
    if (!turn) throw new Error("no turn was started");
    return turn.request;
  }
  cacheStatus() {
    const tier = (name2, medium, total) => ({
      name: name2,
      medium,
      capacityBytes: 1e3 * total,
      usedBytes: 100 * total,
      capacityBlocks: 10 * total,
      blocks: { total, running: 1, waiting: 0, resting: total - 1 },
      hitTokens: total
    });
    return { tiers: [tier("hbm", "arena", 2), tier("dram", "host memory", 3)], policy: "lru", ioEngine: "none" };
  }
  counters() {
    return {
      requestsTotal: { ok: 1, cancelled: 2, failed: 3, rejected: 4 },
      queued: 5,
      preparing: 6,
      running: 7,
      promptTokens: 8,
      completionTokens: 9,
      computedTokens: 10,
      recomputedTokens: 11,
      reusedTokens: { hbm: 12, dram: 13, ssd: 14 },
      missedTokens: { neverSeen: 5, reasoningDropped: 0, evicted: 3, damaged: 1, outsideView: 22, unknown: 1 },
      savedMs: 2500,
      prefillTokensPerS: 1234,
      preemptions: 15,
      failedTransfers: [{ kind: "load", code: "kv_io", count: 29 }],
      droppedBlocks: { evicted: 16, reset: 17 },
      abandonedBlocks: { save: 29, write: 30 },
      savedBlocks: 18,
      loadedBlocks: 19,
      promotedBlocks: 20,
      writtenBlocks: 21,
      prefetchedBlocks: 22,
      bufferedBlocks: 23,
      prefetchHits: 24,
      wastedPrefetches: 25,
      historyChoices: { load: 26, recompute: 27, split: 28 },
      scheduleMs: { p50: 0.25, p99: 0.5 }
    };
  }
  async demote(to) {
    if (to === "ssd") throw new ApiError("tier_disabled", "there is no ssd tier", "to");
    this.demoted.push(to);
    return { demotedBlocks: 4, skippedInUse: 2 };
  }
  async reset() {
    return { removedBlocks: 9, skippedInUse: 1 };
  }
  /** What was asked for, as `verb id tenant`. */
  conversationCalls = [];
  conversations = fakeConversations((call2) => this.conversationCalls.push(call2));
  checkIntegrity() {
  }
  async close() {
    this.ready = false;
    for (const turn of this.turns) turn.cancel();
  }
};

// test/unit/support/api.ts
var info = {
  version: "0.0.0",
  models: ["fake-model", "org/other-name"],
  engine: "simulated",
  device: "fake",
  maxModelLen: 2048,
  modelContext: 4096,
  layers: 2,
  blockTokens: 64,
  blockBytes: 128,
  maxBatchTokens: 64,
  policy: "lru",
  ioEngine: "none",
  reuse: true,
  startedAtMs: 0,
  ttftEstimate: "guessed"
};
function openToAll() {
  return new AccessControl({ apiKeys: null, adminKeys: null, isLoopback: true, now: () => 0 });
}
async function openTestApi(options = {}, engine = {}, auth = openToAll()) {
  const service = new FakeService();
  const api = await openApiOver(service, { info: { ...fakeInfo, ...engine }, text: fakeText }, options, auth);
  return { ...api, service };
}
async function openApiOver(service, engine, { strictFields = false, ...options } = {}, auth = openToAll()) {
  const log = [];
  const telemetry = new Telemetry(info, { service, stats: () => fakeStats });
  const http = await openHttpApi(
    {
      service,
      telemetry,
      auth,
      engine,
      log: createLogger("debug", (line) => log.push(line)),
      models: info.models,
      startedAtS: 1,
      version: info.version,
      strictFields
    },
    {
      host: "127.0.0.1",
      port: 0,
      maxBodyBytes: 64 * 1024,
      keepAliveMs: 5e3,
      access: { allowedHosts: [], corsOrigins: [] },
      webDirectory: "no-such-directory",
      ...options
    }
  );
  return {
    url: http.url,
    log,
    client: new OpenAI({ baseURL: `${http.url}/v1`, apiKey: "none", maxRetries: 0 }),
    post: (path, body, headers = {}) => fetch(http.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body)
    }),
    async close() {
      telemetry.close();
      await http.close();
    }
  };
}

// test/unit/records.test.ts
var user = (content2) => ({ role: "user", content: content2 });
var info2 = { models: ["m"] };
function telemetryOf(served) {
  const { service, engine, clock } = served;
  return new Telemetry(info2, { service, stats: () => engine.stats() }, { clock });
}
function newest(served) {
  const [record2] = served.service.records.page(void 0, 1).records;
  if (!record2) throw new Error("no request has ended");
  return record2;
}
var lengthOf2 = (spans2) => spans2.reduce((sum, [from = 0, to = 0]) => sum + to - from, 0);
function overlap2(a, b) {
  let sum = 0;
  for (const [from = 0, to = 0] of a) for (const [start = 0, end = 0] of b) sum += Math.max(0, Math.min(to, end) - Math.max(from, start));
  return sum;
}
ava_shim_default("spans are ascending, disjoint, bounded, and cover what was added", (t) => {
  const span = fc.tuple(fc.nat(1e3), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(fc.array(span, { maxLength: 60 }), (spans2) => {
      const all = new Spans();
      for (const [from, length] of spans2) all.add(from, from + length);
      const kept = all.since(0);
      t.true(kept.length <= MOST_SPANS);
      kept.forEach(([from, to], i) => t.true(from < to && (i === 0 || kept[i - 1][1] < from)));
      for (const [from, length] of spans2) t.true(kept.some(([start, end]) => start <= from && from + length <= end));
      if (kept.length < MOST_SPANS) {
        const covered = new Set(spans2.flatMap(([from, length]) => Array.from({ length }, (_, i) => from + i)));
        t.is(lengthOf2(kept), covered.size);
      }
    })
  );
});
ava_shim_default("a record tells every phase of a turn that comes back from ssd, and loading overlaps computing", async (t) => {
  const served = simulatedService();
  const question = user("a long question ".repeat(60));
  const first = await ask(served.service, chat([question], { requestId: "first", conversation: "talk", ignoreEos: true }));
  await served.service.demote("ssd");
  const messages3 = [question, { role: "assistant", content: first.text }, user("and more ".repeat(40))];
  await ask(served.service, chat(messages3, { requestId: "second", conversation: "talk", ignoreEos: true }));
  await served.clock.advance(5e3);
  const record2 = newest(served);
  t.notThrows(() => RequestRecord.parse(record2));
  t.like(record2, { request_id: "second", conversation: "talk", tenant: "", status: "ok", finish_reason: "length", error: null });
  const { phases } = record2;
  for (const phase of ["read", "load", "prefill", "decode", "save", "write"]) t.true(phases[phase].length > 0, phase);
  t.true(overlap2(phases.read, phases.load) > 0, "blocks are loaded while others are read");
  const ttft = record2.ttft_ms ?? 0;
  t.true(lengthOf2(phases.prefill) > 0 && (phases.prefill.at(-1)?.[1] ?? 0) <= ttft + 1e-6);
  t.true((phases.decode.at(-1)?.[1] ?? 0) <= record2.duration_ms + 1e-6);
  const reused = Object.values(record2.reused_tokens).reduce((sum, tokens) => sum + tokens, 0);
  const missed = Object.values(record2.miss).reduce((sum, tokens) => sum + tokens, 0);
  t.is(reused + missed, record2.prompt_tokens);
  t.is(record2.reused_tokens.ssd, reused);
  await served.close();
});
ava_shim_default("the time without reuse is the time plus what computing the reused tokens takes", async (t) => {
  const served = simulatedService();
  const cold = await ask(served.service, chat([user("x".repeat(2e3))], { ignoreEos: true }));
  for (let i = 0; i < 3; i++) await ask(served.service, chat([user(`${i}`.repeat(900 + 300 * i))], { ignoreEos: true }));
  const { savedMs } = served.service.counters();
  const warm = await ask(served.service, chat([user("x".repeat(2e3))], { ignoreEos: true }));
  const estimate = warm.usage.ttftWithoutReuseMs ?? 0;
  t.true(warm.usage.ttftMs < cold.usage.ttftMs / 3);
  t.true(Math.abs(estimate - cold.usage.ttftMs) < 0.15 * cold.usage.ttftMs, `${estimate} instead of ${cold.usage.ttftMs}`);
  t.true(Math.abs(served.service.counters().savedMs - savedMs - (estimate - warm.usage.ttftMs)) < 1e-6);
  await served.close();
});
ava_shim_default("what was evicted is told with time, tier and the policy that chose it", async (t) => {
  const served = simulatedService({ slots: { hbm: 20, dram: 0, ssd: 0 } });
  const ids = (salt) => Uint32Array.from({ length: 640 }, (_, i) => (i * 31 + salt * 7) % 200);
  const send2 = (salt) => ask(served.service, chat([], { prompt: { kind: "tokens", tokens: ids(salt) }, ignoreEos: true }));
  for (const salt of [1, 2, 3, 1]) await send2(salt);
  const record2 = newest(served);
  t.true(record2.miss.evicted > 500);
  const [eviction] = record2.evictions;
  t.like(eviction, { cause: "evicted", tier: "hbm", policy: served.service.cacheStatus().policy, tokens: record2.miss.evicted });
  t.true((eviction?.at_ms ?? 0) > 0 && (eviction?.at_ms ?? 0) <= record2.accepted_at_ms + record2.duration_ms);
  await served.close();
});
ava_shim_default("cancelled and refused turns are recorded as such, with nothing that they did not do", async (t) => {
  const served = simulatedService({}, { maxRunning: 1 });
  const running = await served.service.start(chat([user("go on")], { requestId: "running", ignoreEos: true, maxTokens: 4e3 }));
  const waiting = await served.service.start(chat([user("wait")], { requestId: "waiting", ignoreEos: true }));
  waiting.cancel();
  t.like(newest(served), { request_id: "waiting", status: "cancelled", computed_tokens: 0, ttft_ms: null, estimated_ttft_ms: null });
  const read = readTurn(running);
  await served.service.close(0);
  await t.throwsAsync(read, { code: "draining" });
  t.like(newest(served), { request_id: "running", status: "failed", error: "draining" });
  await served.close();
});
ava_shim_default("three seconds of 500 requests a second stay bounded, in the ring and on the way to a follower", async (t) => {
  const served = simulatedService({ slots: { hbm: 200, dram: 0, ssd: 0 }, profile: fastProfile }, { maxQueue: 1e3 });
  const telemetry = telemetryOf(served);
  const batches = [];
  let isReady = true;
  const stop = telemetry.records.follow({ isReady: () => isReady, take: (batch) => batches.push(batch) });
  const turns = [];
  for (let tick = 0; tick < 30; tick++) {
    isReady = tick < 8 || tick > 20;
    for (let i = 0; i < 50; i++) {
      const tokens = Uint32Array.from({ length: 70 }, (_, at) => (at + 3 * i + tick) % 200);
      const turn = served.service.start(chat([], { prompt: { kind: "tokens", tokens }, maxTokens: 2, ignoreEos: true }));
      turns.push(turn.then((started) => readTurn(telemetry.observed(started, 0))));
    }
    await served.clock.advance(100);
  }
  await Promise.all(turns);
  await served.clock.advance(2e3);
  stop();
  const told = batches.flatMap(({ records }) => records.map(({ seq }) => seq));
  t.is(Math.max(...told), 1499);
  t.true(batches.every(({ records }) => records.length <= 250));
  t.true(batches.some(({ skipped }) => skipped > 0), "the one that could not read for more than a second missed records, and knows it");
  const page = served.service.records.page(void 0, 5e3);
  t.is(page.records.length, MAX_REQUEST_RECORDS);
  t.deepEqual([page.records[0]?.seq, page.records.at(-1)?.seq, page.next], [1499, 500, null]);
  t.true(telemetry.snapshot().history.length > 0);
  t.is(telemetry.sample().ttft?.count, 1024);
  telemetry.close();
  await served.close();
});
var fastProfile = { ...cpu2, stepBaseMs: 1, stepPerRowMs: 1e-3, stepPerHistoryTokenMs: 0, loadRate: 1e7, saveRate: 1e7 };
ava_shim_default("the map has a cell a slot, and says what each slot is for", async (t) => {
  const served = simulatedService({ slots: { hbm: 30, dram: 9e3, ssd: 40 } });
  await ask(served.service, chat([user("hello ".repeat(60))], { conversation: "talk" }));
  await served.clock.advance(3e3);
  const map = served.service.cacheMap();
  const bytes = (text5) => [...Buffer.from(text5, "base64")];
  for (const tier of map.tiers) {
    const states = bytes(tier.states);
    t.is(states.length, Math.ceil(tier.slots / tier.slotsPerCell));
    t.is(bytes(tier.owners).length, 2 * states.length);
    const ages = bytes(tier.ages);
    t.true(states.every((state, cell) => state === 0 ? ages[cell] === NO_AGE : ages[cell] !== NO_AGE));
  }
  const [hbm, dram] = map.tiers;
  t.is(hbm?.slotsPerCell, 1);
  t.is(dram?.slotsPerCell, 2);
  const cached = bytes(hbm?.states ?? "").filter((state) => state === CELL_STATES.indexOf("cached")).length;
  t.is(served.service.cacheStatus().tiers[0]?.blocks.resting, cached);
  t.deepEqual(map.owners, [{ conversation: "", tenant: "" }, { conversation: "talk", tenant: "" }]);
  await served.close();
});
ava_shim_default("the queue shows who waits, for which blocks, and how far placement looks", async (t) => {
  const served = simulatedService({}, { maxRunning: 1 });
  const turns = ["a", "b", "c"].map((id3) => ask(served.service, chat([user(id3)], { requestId: id3, conversation: id3 })));
  let queue = served.service.cacheMap().queue;
  while (queue.length < 2) {
    await new Promise((resolve) => setImmediate(resolve));
    queue = served.service.cacheMap().queue;
  }
  t.deepEqual(queue.front.map(({ requestId }) => requestId), ["b", "c"]);
  t.true(queue.window >= 1);
  t.true(queue.front[0]?.isInWindow);
  await Promise.all(turns);
  await served.close();
});
ava_shim_default("what-if curves rise with capacity, and tell gains between measured figures", async (t) => {
  const served = simulatedService();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) await ask(served.service, chat([user(`${i} `.repeat(150))], { ignoreEos: true }));
  }
  const report = served.service.whatIf();
  t.is(report.requests, 15);
  for (const { points, gains, current, modelledHitRate } of report.tiers) {
    points.forEach(({ hitRate, bytes }, i) => {
      const before = points[i - 1];
      t.true(!before || before.bytes < bytes && before.hitRate <= hitRate + 1e-9);
    });
    for (const gain of gains) t.true(gain.to >= gain.from - 1e-9 && gain.addBytes > 0);
    t.true(Math.abs(current.hitRate - modelledHitRate) < 0.02, `${current.hitRate}, ${modelledHitRate}`);
    t.is(current.error, 0, "measured");
  }
  await served.close();
});
ava_shim_default("GET /admin/requests turns pages from the newest record to the oldest", async (t) => {
  const api = await openTestApi();
  t.teardown(() => api.close());
  const served = simulatedService();
  for (let i = 0; i < 5; i++) await ask(served.service, chat([user(`${i}`)], { requestId: `r${i}` }));
  Object.assign(api.service, { records: served.service.records });
  const page = async (query) => await (await fetch(`${api.url}/admin/requests${query}`)).json();
  const first = await page("?limit=2");
  t.deepEqual(first.requests.map(({ request_id: id3 }) => id3), ["r4", "r3"]);
  const rest = await page(`?limit=10&cursor=${first.next_cursor}`);
  t.deepEqual(rest.requests.map(({ request_id: id3 }) => id3), ["r2", "r1", "r0"]);
  t.is(rest.next_cursor, null);
  t.is((await fetch(`${api.url}/admin/requests?limit=1001`)).status, 400);
  t.is((await fetch(`${api.url}/admin/requests?cursor=-1`)).status, 400);
  await served.close();
});
