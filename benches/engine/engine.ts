// Prefill and decode against llama.cpp: same file, same tokens, same threads, taking turns on a machine that does
// nothing else.

import { statSync } from 'node:fs'
import type { Bar, Bench, BenchContext, MachinePeaks, Plot, Report, Table } from '../support/bench.js'
import { barOf, median, show, showRatio, showShare } from '../support/figures.js'
import { proseOf } from '../support/prompts.js'
import { firstTokens } from '../support/server.js'
import { startAttentionStore } from './attentionstore.js'
import { startLlamaCpp } from './llama-cpp.js'
import type { Subject } from './subjects.js'
import { decodeBytes, prefillFlops } from './work.js'

/** Lengths of prompts: a run among others has no time for long ones, a quick one only for the first. */
const SHORT = [512, 2048] as const
const LONG = [512, 4096] as const
const DECODE_PROMPT = 64
const CONTEXT = 4352

interface Measured {
  /** Milliseconds of each round: of a whole prefill by prompt length, of one decoded token. */
  readonly prefill: ReadonlyMap<number, readonly number[]>
  readonly decode: readonly number[]
}

type Times = Map<Subject, number[]>

function lengthsOf({ quick, alone }: BenchContext): readonly number[] {
  const lengths = alone ? LONG : SHORT
  return quick ? lengths.slice(0, 1) : lengths
}

/** Every subject once a round, in turn: what disturbs the machine disturbs all. */
async function takeTurns(subjects: readonly Subject[], rounds: number, measure: (subject: Subject) => Promise<number>): Promise<Times> {
  const times: Times = new Map(subjects.map((subject) => [subject, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) times.get(subject)?.push(await measure(subject))
  }
  return times
}

async function measureAll(subjects: readonly Subject[], tokens: readonly number[], context: BenchContext): Promise<Map<Subject, Measured>> {
  const rounds = context.quick ? 2 : 3
  const count = context.quick ? 32 : 64
  const decode = (subject: Subject) => subject.decode(tokens.slice(0, DECODE_PROMPT), count)
  context.progress('warm-up')
  for (const subject of subjects) await decode(subject)
  const lengths = lengthsOf(context)
  const prefill = new Map<number, Times>()
  for (const length of lengths) {
    context.progress(`prefill of ${length} tokens, ${rounds} rounds`)
    prefill.set(length, await takeTurns(subjects, rounds, (subject) => subject.prefill(tokens.slice(0, length))))
  }
  context.progress(`decode of ${count} tokens, ${rounds + 2} rounds`)
  const decoded = await takeTurns(subjects, rounds + 2, decode)
  const of = (times: Times | undefined, subject: Subject) => times?.get(subject) ?? []
  return new Map(
    subjects.map((subject) => [
      subject,
      { prefill: new Map(lengths.map((length) => [length, of(prefill.get(length), subject)])), decode: of(decoded, subject) },
    ]),
  )
}

/** Tokens a second of each round. */
const prefillRates = ({ prefill }: Measured, length: number) => (prefill.get(length) ?? []).map((ms) => (length * 1000) / ms)
const decodeRates = ({ decode }: Measured) => decode.map((ms) => 1000 / ms)

function rowOf(name: string, measured: Measured, rival: Measured): string[] {
  const cells = (own: readonly number[], others: readonly number[]) => {
    const { value, low, high } = barOf('', own)
    return [show(value), `${show(low)} … ${show(high)}`, showRatio(value / median(others))]
  }
  const lengths = [...measured.prefill.keys()]
  return [name, ...lengths.flatMap((length) => cells(prefillRates(measured, length), prefillRates(rival, length))), ...cells(decodeRates(measured), decodeRates(rival))]
}

function toTable(measured: ReadonlyMap<Subject, Measured>, rival: Measured): Table {
  return {
    title: 'Tokens a second, with the spread, and how many times the prebuilt llama.cpp’s',
    columns: ['', ...[...rival.prefill.keys()].flatMap((length) => [`prefill ${length}`, '', '']), 'decode', '', ''],
    rows: [...measured].map(([{ name }, figures]) => rowOf(name, figures, rival)),
  }
}

function toPlots(measured: ReadonlyMap<Subject, Measured>, rival: Measured): Plot[] {
  const bars = (title: string, rates: (figures: Measured) => readonly number[]): Bar[] =>
    [...measured].map(([{ name }, figures]) => barOf(`${title}, ${name}`, rates(figures)))
  const lengths = [...rival.prefill.keys()]
  return [
    { title: 'Prefill', unit: 'tokens a second', bars: lengths.flatMap((length) => bars(`${length} tokens`, (figures) => prefillRates(figures, length))) },
    { title: 'Decode', unit: 'tokens a second', bars: bars('one sequence', decodeRates) },
  ]
}

function sharesOf(ours: Measured, peaks: MachinePeaks, weightBytes: number): string[] {
  const gflops = (length: number) => (prefillFlops(length) * median(prefillRates(ours, length))) / length / 1e9
  const gbps = (decodeBytes(weightBytes, DECODE_PROMPT) * median(decodeRates(ours))) / 1e9
  return [
    ...[...ours.prefill.keys()].map(
      (length) =>
        `prefill of ${length}: ${show(gflops(length))} GFLOP/s, ${showShare(gflops(length) / peaks.f32_gflops)} of this machine's ${show(peaks.f32_gflops)}`,
    ),
    `decode: ${show(gbps)} GB/s of weights and KV, ${showShare(gbps / peaks.read_gbps)} of this machine's ${show(peaks.read_gbps)}`,
  ]
}

async function run(context: BenchContext): Promise<Report> {
  const peaks = await context.peaks()
  const ours = await startAttentionStore(context.modelPath, context.threads)
  const llama = await startLlamaCpp(context.modelPath, context.threads, CONTEXT)
  try {
    const tokens = await firstTokens(ours.server, proseOf(300), Math.max(...lengthsOf(context)))
    const measured = await measureAll([llama, ours], tokens, context)
    const [rival, own] = [measured.get(llama), measured.get(ours)]
    if (!rival || !own) throw new Error('a subject was not measured')
    return {
      tables: [toTable(measured, rival)],
      plots: toPlots(measured, rival),
      notes: sharesOf(own, peaks, statSync(context.modelPath).size),
      data: { peaks, subjects: [...measured].map(([{ name }, { prefill, decode }]) => ({ name, prefill_ms: [...prefill], decode_ms: decode })) },
    }
  } finally {
    await ours.close()
    await llama.close()
  }
}

export const engine: Bench = { name: 'engine', about: 'prefill and decode against llama.cpp', run }
