// A mixed load whose histories lie on a disk of 200 MB/s, with prefetching and without; and whether long loads hold up the
// others. The real server and model.

import type { Bar, Bench, BenchContext, Report } from '../support/bench.js'
import { quantile, show, showRatio } from '../support/figures.js'
import type { TimedAnswer } from '../support/server.js'
import { during, playBeside } from './beside.js'
import { playMixed, SHAPES, type Shape } from './mixed.js'
import { HISTORY_TOKENS, LONG_TOKENS, READ_LIMIT, readMs, store } from './stored.js'

const ASKED_RATIO = 0.6
const ASKED_HINDRANCE = 1.1

const ttfts = (answers: readonly TimedAnswer[]) => answers.map(({ ttftMs }) => ttftMs)
const p95 = (answers: readonly TimedAnswer[]) => quantile(ttfts(answers), 0.95)
const verdict = (ratio: number, asked: number) => `${showRatio(ratio)} (at most ${asked}× asked): ${ratio <= asked ? 'met' : 'NOT met'}`

function rowOf(name: string, answers: readonly TimedAnswer[]): string[] {
  const times = ttfts(answers)
  return [name, String(times.length), show(quantile(times, 0.5)), show(quantile(times, 0.95)), show(Math.max(...times))]
}

function barOf(label: string, answers: readonly TimedAnswer[]): Bar {
  const times = ttfts(answers)
  return { label, value: quantile(times, 0.95), low: quantile(times, 0.5), high: Math.max(...times), limit: null }
}

async function run(context: BenchContext): Promise<Report> {
  const stored = await store(context, context.quick ? 5 : 10, context.quick ? 1 : 3)
  const on = await playMixed(context, stored, true, null)
  const off = await playMixed(context, stored, false, on.gapMs)
  const beside = await playBeside(context, stored)
  const meanwhile = during(beside)
  const longTokens = LONG_TOKENS.toLocaleString('en')
  const ratio = (shape: Shape) => p95(on.answers[shape]) / p95(off.answers[shape])
  return {
    tables: [
      {
        title: `Time to first token with the disk at ${READ_LIMIT / 1e6} MB/s, milliseconds`,
        columns: ['load', 'requests', 'p50', 'p95', 'longest'],
        rows: [
          ...SHAPES.flatMap((shape) => [rowOf(`${shape}, with prefetching`, on.answers[shape]), rowOf(`${shape}, without`, off.answers[shape])]),
          rowOf('chats alone', beside.alone),
          rowOf(`chats beside loads of ${longTokens} tokens`, beside.beside),
          rowOf('of these, sent while one was under way', meanwhile),
          rowOf(`the loads of ${longTokens} tokens`, beside.longs),
        ],
      },
    ],
    plots: SHAPES.map((shape) => ({
      title: `Mixed load, ${shape}: p95 of the time to first token, from the median to the longest`,
      unit: 'ms',
      bars: [barOf('with prefetching', on.answers[shape]), barOf('without', off.answers[shape])],
    })),
    notes: [
      `reading a history takes ${show(readMs(HISTORY_TOKENS))} ms, a turn ${show(off.computeMs)} ms; a request comes every ${show(on.gapMs.steady)} ms (steady) and ${show(on.gapMs.burst)} ms (burst); ${on.prefetched} blocks were prefetched`,
      `steady: p95 with prefetching over p95 without: ${verdict(ratio('steady'), ASKED_RATIO)}`,
      `burst: p95 with prefetching over p95 without: ${verdict(ratio('burst'), ASKED_RATIO)}`,
      `p95 of chats beside long loads over that alone: ${verdict(p95(beside.beside) / p95(beside.alone), ASKED_HINDRANCE)}`,
    ],
    data: {
      gap_ms: on.gapMs,
      compute_ms: off.computeMs,
      on: { steady: ttfts(on.answers.steady), burst: ttfts(on.answers.burst) },
      off: { steady: ttfts(off.answers.steady), burst: ttfts(off.answers.burst) },
      alone: ttfts(beside.alone),
      beside: ttfts(beside.beside),
      during: ttfts(meanwhile),
      longs: ttfts(beside.longs),
    },
  }
}

export const prefetch: Bench = { name: 'prefetch', about: 'a mixed load from disk with prefetching and without; long loads beside others', isLong: true, run }
