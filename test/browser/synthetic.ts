// The data of a busy server, made from a seed.

import type {
  CacheMap,
  ConversationPage,
  ConversationRow,
  RequestRecord,
  Sample,
  ServerInfo,
  Snapshot,
  TierCurve,
  TierName,
  WhatIf,
} from '../../ts/protocol/index.js'

const MIB = 2 ** 20
const BLOCK_BYTES = 1_474_560

/** mulberry32: the same numbers from the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const INFO: ServerInfo = {
  version: '0.1.0',
  models: ['SmolLM2-135M-Instruct'],
  engine: 'simulated',
  device: 'scripted',
  maxModelLen: 8192,
  modelContext: 8192,
  layers: 30,
  blockTokens: 64,
  blockBytes: BLOCK_BYTES,
  maxBatchTokens: 256,
  policy: 'lru',
  ioEngine: 'simulated',
  reuse: true,
  startedAtMs: 1_700_000_000_000,
  ttftEstimate: 'measured time of the turn, plus its reused tokens at the measured speed of prefill.',
}

const SLOTS: Readonly<Record<TierName, number>> = { hbm: 180, dram: 1200, ssd: 9000 }

function tierSample(name: TierName, fill: number): Sample['tiers'][number] {
  const total = Math.floor(SLOTS[name] * fill)
  const running = name === 'hbm' ? Math.floor(total * 0.3) : Math.floor(total * 0.05)
  const waiting = Math.floor(total * 0.1)
  return {
    name,
    medium: { hbm: 'arena', dram: 'host memory', ssd: 'disk' }[name],
    capacityBytes: SLOTS[name] * BLOCK_BYTES,
    committedBytes: SLOTS[name] * BLOCK_BYTES,
    usedBytes: total * BLOCK_BYTES,
    capacityBlocks: SLOTS[name],
    blocks: { total, running, waiting, cached: total - running - waiting },
    hitTokens: total * 900,
  }
}

/** A server that has run for `seconds` under a steady load that comes in waves. */
export function sampleAt(seconds: number): Sample {
  const wave = (period: number) => Math.sin((seconds / period) * 2 * Math.PI)
  const prompt = Math.floor(9000 * seconds + 40_000 * (1 + wave(60)))
  const warmth = 1 - Math.exp(-seconds / 90)
  const hbm = Math.floor(prompt * 0.45 * warmth)
  const dram = Math.floor(prompt * 0.25 * warmth)
  const ssd = Math.floor(prompt * 0.1 * warmth)
  const computed = prompt - hbm - dram - ssd
  const transfer = (rate: number, limit: number) => ({
    bytes: Math.floor(rate * seconds * (1 + 0.1 * wave(23))),
    ms: (rate * seconds * 1000) / (limit * 0.8),
    queueDepth: Math.floor(2 + 2 * wave(7)),
    limit: { bytesPerS: limit, basis: 'measured' as const },
  })
  const ttft = { count: 240, p50: 110 + 30 * wave(40), p95: 420 + 90 * wave(30), withoutReuse: { p50: 1900 + 200 * wave(50), p95: 4800 } }
  return {
    uptimeMs: seconds * 1000,
    tiers: [tierSample('hbm', 0.97), tierSample('dram', 0.8 * warmth), tierSample('ssd', 0.5 * warmth)],
    requests: { ok: Math.floor(seconds * 4), cancelled: 3, failed: 0, rejected: 1, queued: Math.floor(9 + 7 * wave(31)), preparing: 2, running: Math.floor(14 + 6 * wave(19)) },
    tokens: { prompt, completion: Math.floor(seconds * 620), computed, recomputed: 0, reused: { hbm, dram, ssd }, miss: { neverSeen: Math.floor(computed * 0.7), reasoningDropped: 0, promptScored: 0, evicted: Math.floor(computed * 0.24), damaged: 0, outsideView: Math.floor(computed * 0.05), unknown: Math.floor(computed * 0.01) } },
    saved: { tokens: hbm + dram + ssd, ms: (hbm + dram + ssd) * 3.4 },
    today: { sinceMs: INFO.startedAtMs, promptTokens: prompt, reusedTokens: hbm + dram + ssd, savedMs: (hbm + dram + ssd) * 3.4 },
    prefillTokensPerS: 290,
    blocks: { saved: 0, loaded: 0, promoted: 0, demoted: 0, dropped: { evicted: Math.floor(seconds * 3), write_queue_full: 0, damaged: 0, reset: 0, ttl: 0, foreign: 0 }, abandoned: { save: 0, write: 0 } },
    prefetches: { fetched: 900, buffered: 400, used: 850, wasted: 12 },
    history: { load: 2200, recompute: 40, split: 130 },
    constraints: { sources: { compiled: 0, cached: 0, refused: 0 }, masks: 0, maskMs: 0, lateRows: 0 },
    preemptions: 2,
    sharedKeyRequests: 0,
    followed: { requests: 60, tokens: 18_000 },
    steps: { count: Math.floor(seconds * 12), computeMs: seconds * 900, loadStallMs: seconds * 4, stalledLayers: 0, scheduleMs: { p50: 0.2, p99: 0.6 } },
    ttftMs: null,
    ttft,
    transfers: { load: transfer(9e7, 9e9), save: transfer(6e7, 9e9), read: transfer(3e7, 8e8), write: transfer(4e7, 8e8) },
    damagedReads: 0,
    dramChecked: 0,
    dramDamaged: 0,
    disks: [],
    failedTransfers: [],
    eventLoopDelayMs: { p50: 0.4, p99: 3 },
    residentBytes: 900 * MIB,
  }
}

export function snapshotAt(seconds: number): Snapshot {
  const points = Array.from({ length: 150 }, (_, index) => seconds - 600 + index * 4).filter((at) => at > 0)
  return { info: INFO, sample: sampleAt(seconds), history: points.map(sampleAt) }
}

/** A turn of some conversation: history loaded, the rest computed, answered. */
export function recordOf(seq: number, random: () => number): RequestRecord {
  const prompt = Math.floor(300 + 3000 * random())
  const isReturning = random() < 0.8
  const reused = isReturning ? Math.floor(prompt * (0.5 + 0.45 * random())) : 0
  const tier: TierName = random() < 0.5 ? 'hbm' : random() < 0.6 ? 'dram' : 'ssd'
  const computed = prompt - reused
  const evicted = isReturning && random() < 0.3 ? Math.floor(computed * 0.5) : 0
  const queued = 30 * random()
  const read = tier === 'ssd' ? reused * 0.03 : 0
  const load = tier === 'hbm' ? 0 : reused * 0.02
  const prefillAt = queued + read * 0.6 + load * 0.3
  const ttft = Math.max(prefillAt + computed * 0.35, queued + read + load) + 6
  const answer = Math.floor(20 + 200 * random())
  const end = ttft + answer * 9
  return {
    seq,
    request_id: `req_${seq}`,
    conversation: `conv_${(seq * 7919) % 997}`,
    tenant: ['', 'blue', 'red'][seq % 3] ?? '',
    status: random() < 0.02 ? 'cancelled' : 'ok',
    finish_reason: 'stop',
    error: null,
    queued_for: queued < 1 ? null : seq % 3 === 0 ? 'room' : 'turn',
    accepted_at_ms: INFO.startedAtMs + seq * 20,
    duration_ms: end,
    prompt_tokens: prompt,
    completion_tokens: answer,
    reused_tokens: { hbm: 0, dram: 0, ssd: 0, [tier]: reused },
    computed_tokens: computed,
    recomputed_tokens: 0,
    outside_view_tokens: 0,
    miss: { never_seen: computed - evicted, reasoning_dropped: 0, prompt_scored: 0, evicted, damaged: 0, outside_view: 0, unknown: 0 },
    evictions: evicted > 0 ? [{ tokens: evicted, at_ms: INFO.startedAtMs + seq * 20 - 42_000, cause: 'evicted', tier: 'ssd', policy: 'lru' }] : [],
    ttft_ms: ttft,
    estimated_ttft_ms: ttft + reused * 3,
    phases: {
      queued: [[0, queued]],
      read: read > 0 ? [[queued * 0.3, queued + read]] : [],
      load: load > 0 ? [[queued + read * 0.4, queued + read + load]] : [],
      prefill: [[prefillAt, ttft]],
      decode: [[ttft, end]],
      save: [[prefillAt + computed * 0.1, end]],
      write: [[end, end + 40]],
    },
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

export function mapOf(random: () => number): CacheMap {
  const owners = [{ conversation: '', tenant: '' }, ...Array.from({ length: 40 }, (_, index) => ({ conversation: `conv_${index}`, tenant: index % 3 === 0 ? 'red' : 'blue' }))]
  const tier = (name: TierName, slotsPerCell: number, fill: number) => {
    const count = Math.ceil(SLOTS[name] / slotsPerCell)
    const states = new Uint8Array(count)
    const ages = new Uint8Array(count).fill(255)
    const words = new Uint16Array(count)
    let owner = 1
    for (let index = 0; index < count * fill; index++) {
      if (random() < 0.12) owner = 1 + Math.floor(random() * 40)
      words[index] = owner
      ages[index] = Math.min(14, Math.floor((owner % 11) + random() * 2))
      states[index] = owner % 9 === 0 ? 4 : owner % 7 === 0 ? 2 : random() < 0.01 ? 3 : 1
    }
    return { name, slots: SLOTS[name], slotsPerCell, states: base64(states), ages: base64(ages), owners: base64(new Uint8Array(words.buffer)) }
  }
  const front = Array.from({ length: 12 }, (_, index) => ({
    requestId: `req_${index}`,
    conversation: `conv_${index}`,
    tenant: '',
    waitingMs: 900 - 60 * index,
    promptTokens: 900 + 300 * index,
    blocks: { hbm: index % 3, dram: 6, ssd: 2 + index },
    isInWindow: index < 8,
  }))
  return { uptimeMs: 0, policy: 'lru', tiers: [tier('hbm', 1, 1), tier('dram', 1, 0.85), tier('ssd', 3, 0.6)], owners, queue: { length: 31, window: 8, front } }
}

function curve(name: TierName, capacityBytes: number, half: number): TierCurve {
  const rate = (bytes: number) => 0.86 * (1 - Math.exp(-bytes / half))
  const point = (bytes: number) => ({ bytes, hitRate: rate(bytes), error: 0.004 + 0.03 * rate(bytes) * (1 - rate(bytes)) })
  const points = Array.from({ length: 33 }, (_, index) => point((capacityBytes * 3 * index) / 32))
  const gains = [0.25, 0.5, 1, 2].map((share) => ({ addBytes: capacityBytes * share, from: rate(capacityBytes), to: rate(capacityBytes * (1 + share)), error: 0.012 }))
  return { name, capacityBytes, current: point(capacityBytes), modelledHitRate: rate(capacityBytes) - 0.006, points, gains }
}

export function whatIf(): WhatIf {
  return {
    requests: 5210,
    samplingRate: 0.1,
    sampledBlocks: 3120,
    method: 'Reuse distances of sampled blocks (SHARDS), the sample corrected for its size.',
    policy: 'lru',
    tiers: [curve('hbm', 256 * MIB, 300 * MIB), curve('dram', 1700 * MIB, 1400 * MIB), curve('ssd', 13_000 * MIB, 3000 * MIB)],
  }
}

export function conversationAt(index: number): ConversationRow {
  const random = randomOf(index + 1)
  const blocks = Math.floor(2 + 90 * random())
  const inHbm = index < 30 ? Math.floor(blocks * 0.7) : 0
  const inDram = index < 400 ? Math.floor((blocks - inHbm) * random()) : 0
  const inSsd = index < 60_000 ? blocks - inHbm - inDram : 0
  const runs = [
    { tier: 'ssd' as const, blocks: inSsd },
    { tier: 'dram' as const, blocks: inDram },
    { tier: 'hbm' as const, blocks: inHbm },
    { tier: null, blocks: blocks - inHbm - inDram - inSsd },
  ]
  return {
    id: `conv_${String(index).padStart(6, '0')}`,
    tenant: '',
    turns: 1 + (index % 12),
    tokens: blocks * 64 - 20,
    created_at_ms: INFO.startedAtMs,
    last_used_at_ms: INFO.startedAtMs + 600_000 - index * 900,
    forked_from: index % 40 === 3 ? `conv_${String(index - 1).padStart(6, '0')}` : null,
    active_turns: index < 3 ? 1 : 0,
    tiers: { hbm: held(inHbm), dram: held(inDram), ssd: held(inSsd) },
    strip: runs.filter((run) => run.blocks > 0),
  }
}

const held = (blocks: number) => ({ blocks, tokens: blocks * 64 })

/** One page of `total` conversations, as GET /admin/conversations answers it. */
export function conversationPage(total: number, query: URLSearchParams): ConversationPage {
  const from = Number(query.get('cursor') ?? 0)
  const to = Math.min(total, from + Number(query.get('limit') ?? 100))
  const conversations = Array.from({ length: to - from }, (_, index) => conversationAt(from + index))
  return { conversations, total, next_cursor: to < total ? String(to) : null }
}
