// Constrained answers: what a mask takes over the default model's vocabulary, and what a schema that takes long costs the
// answers beside it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import { GREEDY } from '../../ts/engine/sampling.js'
import type { Engine } from '../../ts/engine/types.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { Constraint, InferenceService, TurnRequest } from '../../ts/service/types.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { show } from '../support/figures.js'

const ROOT = join(import.meta.dirname, '../..')
const BOUND_US = 100
const BOUND_SHARE = 1.05
const BLOCK_BYTES = 2 << 20

interface Case {
  readonly name: string
  readonly compile_ms: number
  readonly p50_us: number
  readonly p90_us: number
  readonly p99_us: number
  readonly longest_of_first_answer_us: number
}

/** Constraints that take long, by what takes long of them. */
const PATHOLOGICAL: Readonly<Record<string, Constraint>> = {
  // Each token has more derivations than the one before, until there are too many and the answer ends.
  'a pathological grammar': { kind: 'grammar', grammar: 'start: a\na: a a | a a a | "a" | ""' },
  // A state of the lexer for each remainder.
  'a pathological schema': {
    kind: 'json_schema',
    schema: { type: 'array', items: { type: 'integer', minimum: -9_007_199_254_740_991, maximum: 9_007_199_254_740_990, multipleOf: 7919 } },
  },
  'a schema of a long string': { kind: 'json_schema', schema: { type: 'string', minLength: 60_000, maxLength: 65_536 } },
}
const FREE = 'a free answer'

function vocabularyOf({ info, text }: Engine): string {
  const special = new Set(info.endTokens)
  const lines = Array.from({ length: info.vocabSize }, (_, token) => {
    const bytes = Buffer.from(text.tokenBytes(token))
    return `${special.has(token) || /^<\|.*\|>$/.test(bytes.toString()) ? '!' : ''}${bytes.toString('hex')}`
  })
  return [...lines, info.endTokens.join(' ')].join('\n')
}

function measureMasks(engine: Engine): { readonly compiler_ms: number; readonly cases: readonly Case[] } {
  const program = join(process.env['CARGO_TARGET_DIR'] ?? join(ROOT, 'target'), 'release/examples/masks')
  if (!existsSync(program)) throw new Error(`${program} is not built: cargo build --release -p attentionstore-grammar --examples`)
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-bench-'))
  try {
    const path = join(folder, 'vocabulary')
    writeFileSync(path, vocabularyOf(engine))
    return JSON.parse(execFileSync(program, [path], { encoding: 'utf8' })) as { compiler_ms: number; cases: Case[] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function requestOf(tokens: number, constraint?: Constraint): TurnRequest {
  return {
    requestId: 'bench',
    tenant: '',
    cacheSalt: `${Math.random()}`,
    conversation: null,
    conversationHint: null,
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Tell me a long story of the sea.' }] },
    sampling: { ...GREEDY, temperature: 1, seed: 1n },
    stop: [],
    stopTokens: [],
    ignoreEos: true,
    maxTokens: tokens,
    truncation: 'disabled',
    ...(constraint === undefined ? {} : { constraint }),
  }
}

/** Answers one after the other until it is told to stop. */
function answerOn(service: InferenceService, constraint: Constraint | undefined): () => Promise<void> {
  let isOver = false
  const answers = (async () => {
    while (!isOver) {
      const turn = await service.start(requestOf(400, constraint))
      try {
        for await (const event of turn) {
          if (isOver) turn.cancel()
          if (event.type === 'done') break
        }
      } catch {
        // It was cancelled.
      }
    }
  })()
  return () => {
    isOver = true
    return answers
  }
}

/** Milliseconds between the tokens of an answer beside others that are constrained like this; null: beside none. */
async function gaps(service: InferenceService, tokens: number, beside: { readonly constraint?: Constraint } | null): Promise<number[]> {
  const stop = beside === null ? async () => {} : answerOn(service, beside.constraint)
  const times: number[] = []
  let last = 0
  for await (const event of await service.start(requestOf(tokens))) {
    if (event.type !== 'delta') continue
    const now = performance.now()
    if (last > 0) times.push(now - last)
    last = now
  }
  await stop()
  return times.slice(Math.min(10, times.length - 1))
}

async function run({ quick, progress, threads, modelPath }: BenchContext): Promise<Report> {
  const sizes = { hbmBytes: 256 * BLOCK_BYTES, dramBytes: 0, ssdBytes: 0 }
  const engine = await createNativeEngine({ modelPath, device: 'cpu', kernelCacheDir: '', threads, maxBatchTokens: 256, kvDtype: 'bf16', ...sizes })
  const service = createInferenceService(engine, { maxContext: 4096 })
  progress('masks over the vocabulary')
  const masks = measureMasks(engine)
  const tokens = quick ? 60 : 300
  const rounds = quick ? 1 : 3
  const beside: Readonly<Record<string, { readonly constraint?: Constraint } | null>> = {
    nothing: null,
    [FREE]: {},
    ...Object.fromEntries(Object.entries(PATHOLOGICAL).map(([name, constraint]) => [name, { constraint }])),
  }
  const samples: Record<string, number[]> = Object.fromEntries(Object.keys(beside).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    progress(`an answer beside others, round ${round + 1} of ${rounds}`)
    for (const [name, other] of Object.entries(beside)) samples[name]?.push(...(await gaps(service, tokens, other)))
  }
  const { lateRows } = engine.stats()
  await service.close(0)
  await engine.close()
  const quantile = (values: readonly number[], share: number): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN
  const p99 = (name: string): number => quantile(samples[name] ?? [], 0.99)
  const shares = Object.fromEntries(Object.keys(PATHOLOGICAL).map((name) => [name, p99(name) / p99(FREE)]))
  const slowest = Math.max(...masks.cases.map(({ p50_us }) => p50_us))
  return {
    tables: [
      {
        title: 'Masks, µs a token',
        columns: ['form', 'compile ms', 'p50', 'p90', 'p99', 'longest of a first answer'],
        rows: masks.cases.map(({ name, compile_ms, p50_us, p90_us, p99_us, longest_of_first_answer_us }) => [name, ...[compile_ms, p50_us, p90_us, p99_us, longest_of_first_answer_us].map(show)]),
      },
      {
        title: 'Milliseconds between the tokens of an answer without a constraint',
        columns: ['beside it', 'p50', 'p99'],
        rows: Object.entries(samples).map(([name, values]) => [name, show(quantile(values, 0.5)), show(quantile(values, 0.99))]),
      },
    ],
    plots: [],
    notes: [
      `p50 ≤ ${BOUND_US} µs a mask: ${slowest <= BOUND_US ? 'met' : 'not met'} (${show(slowest)})`,
      ...Object.entries(shares).map(([name, share]) => `p99 beside ${name} ≤ ${BOUND_SHARE} × that beside ${FREE}: ${share <= BOUND_SHARE ? 'met' : 'not met'} (${show(share)})`),
      `${lateRows} rows were late`,
    ],
    data: { ...masks, samples, shares, late_rows: lateRows },
  }
}

export const grammar: Bench = { name: 'grammar', about: 'masks of constrained answers, and answers beside a slow one', run }
