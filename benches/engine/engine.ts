// Prefill and decode against llama.cpp: same file, same tokens, same threads, taking turns on a machine that does
// nothing else.

import { statSync } from 'node:fs'
import type { Bench, BenchContext, Report, Table } from '../support/bench.js'
import { median, show, showRatio, showShare } from '../support/figures.js'
import { measurePeaks, type MachinePeaks } from '../support/machine.js'
import { proseOf } from '../support/prompts.js'
import { firstTokens } from '../support/server.js'
import { startAttentionStore } from './attentionstore.js'
import { startLlamaCpp } from './llama-cpp.js'
import type { Subject } from './subjects.js'
import { decodeBytes, prefillFlops } from './work.js'

const PROMPTS = [512, 4096] as const
const DECODE_PROMPT = 64
const CONTEXT = 4352

interface Measured {
  /** Median milliseconds: of a whole prefill by prompt length, of one decoded token. */
  readonly prefill: ReadonlyMap<number, number>
  readonly decode: number
}

type Times = Map<Subject, number[]>

/** Every subject once a round, in turn: what disturbs the machine disturbs all. */
async function takeTurns(subjects: readonly Subject[], rounds: number, measure: (subject: Subject) => Promise<number>): Promise<Times> {
  const times: Times = new Map(subjects.map((subject) => [subject, []]))
  for (const subject of subjects) await measure(subject)
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) times.get(subject)?.push(await measure(subject))
  }
  return times
}

async function measureAll(subjects: readonly Subject[], tokens: readonly number[], context: BenchContext): Promise<Map<Subject, Measured>> {
  const rounds = context.quick ? 2 : 5
  const prefill = new Map<number, Times>()
  for (const length of PROMPTS) {
    context.progress(`prefill of ${length} tokens, ${rounds} rounds`)
    prefill.set(length, await takeTurns(subjects, rounds, (subject) => subject.prefill(tokens.slice(0, length))))
  }
  const count = context.quick ? 48 : 128
  context.progress(`decode of ${count} tokens, ${rounds} rounds`)
  const decode = await takeTurns(subjects, rounds, (subject) => subject.decode(tokens.slice(0, DECODE_PROMPT), count))
  const of = (times: Times | undefined, subject: Subject) => median(times?.get(subject) ?? [])
  return new Map(
    subjects.map((subject) => [
      subject,
      { prefill: new Map(PROMPTS.map((length) => [length, of(prefill.get(length), subject)])), decode: of(decode, subject) },
    ]),
  )
}

function rowOf(name: string, { prefill, decode }: Measured, rival: Measured): string[] {
  const rate = (length: number) => (length * 1000) / (prefill.get(length) ?? NaN)
  const faster = (length: number) => (rival.prefill.get(length) ?? NaN) / (prefill.get(length) ?? NaN)
  return [
    name,
    ...PROMPTS.flatMap((length) => [show(rate(length)), showRatio(faster(length))]),
    show(1000 / decode),
    showRatio(rival.decode / decode),
  ]
}

function toTable(measured: ReadonlyMap<Subject, Measured>, rival: Measured): Table {
  return {
    title: 'Tokens a second, and how many times the prebuilt llama.cpp’s',
    columns: ['', ...PROMPTS.flatMap((length) => [`prefill ${length}`, '']), 'decode', ''],
    rows: [...measured].map(([{ name }, figures]) => rowOf(name, figures, rival)),
  }
}

function sharesOf(ours: Measured, peaks: MachinePeaks, weightBytes: number): string[] {
  const gflops = (length: number) => prefillFlops(length) / (ours.prefill.get(length) ?? NaN) / 1e6
  const gbps = decodeBytes(weightBytes, DECODE_PROMPT) / ours.decode / 1e6
  return [
    ...PROMPTS.map(
      (length) =>
        `prefill of ${length}: ${show(gflops(length))} GFLOP/s, ${showShare(gflops(length) / peaks.f32_gflops)} of this machine's ${show(peaks.f32_gflops)}`,
    ),
    `decode: ${show(gbps)} GB/s of weights and KV, ${showShare(gbps / peaks.read_gbps)} of this machine's ${show(peaks.read_gbps)}`,
  ]
}

async function run(context: BenchContext): Promise<Report> {
  const peaks = await measurePeaks(context.threads)
  const ours = await startAttentionStore(context.modelPath, context.threads)
  const llama = await startLlamaCpp(context.modelPath, context.threads, CONTEXT)
  try {
    const tokens = await firstTokens(ours.server, proseOf(300), Math.max(...PROMPTS))
    const measured = await measureAll([llama, ours], tokens, context)
    const [rival, own] = [measured.get(llama), measured.get(ours)]
    if (!rival || !own) throw new Error('a subject was not measured')
    return {
      tables: [toTable(measured, rival)],
      notes: sharesOf(own, peaks, statSync(context.modelPath).size),
      data: { peaks, subjects: [...measured].map(([{ name }, { prefill, decode }]) => ({ name, prefill_ms: [...prefill], decode_ms: decode })) },
    }
  } finally {
    await ours.close()
    await llama.close()
  }
}

export const engine: Bench = { name: 'engine', about: 'prefill and decode against llama.cpp', run }
