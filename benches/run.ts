// `make bench [ONLY=name] [QUICK=1]`: runs the benchmarks, prints their tables, writes every figure as JSON and all of
// them as one page.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findModel } from '../ts/config/model.js'
import { VERSION } from '../ts/version.js'
import { ablations } from './ablations/ablations.js'
import { engine } from './engine/engine.js'
import { machineBench } from './machine/machine.js'
import { peers } from './peers/peers.js'
import { placement } from './placement/placement.js'
import { reportPage, type Measured } from './report/page.js'
import { scheduler } from './scheduler/scheduler.js'
import type { Bench, BenchContext, MachinePeaks } from './support/bench.js'
import { machineName, measurePeaks } from './support/machine.js'
import { renderReport } from './support/render.js'
import { ttft } from './ttft/ttft.js'

const RESULTS = join(import.meta.dirname, 'results')

/** What the machine can do, as the first benchmark that asks or measures finds it. */
class Peaks {
  private known: MachinePeaks | null = null

  readonly set = (peaks: MachinePeaks): void => {
    this.known = peaks
  }

  async get(threads: number): Promise<MachinePeaks> {
    this.known ??= await measurePeaks(threads)
    return this.known
  }
}

const peaks = new Peaks()
const BENCHES: readonly Bench[] = [machineBench(peaks.set), engine, ttft, ablations, scheduler, placement, peers]

async function runOne(bench: Bench, context: Omit<BenchContext, 'progress'>): Promise<Measured> {
  console.log(`\n## ${bench.name}: ${bench.about}\n`)
  const start = performance.now()
  const report = await bench.run({ ...context, progress: (text) => console.error(`${bench.name}: ${text}`) })
  const seconds = (performance.now() - start) / 1000
  console.log(renderReport(report))
  const file = join(RESULTS, `${bench.name}.json`)
  writeFileSync(file, `${JSON.stringify({ machine: machineName(), quick: context.quick, seconds, ...report }, null, 2)}\n`)
  return { name: bench.name, about: bench.about, seconds, report }
}

function writePage(measured: readonly Measured[], { quick, threads }: Omit<BenchContext, 'progress'>): string {
  const date = new Date().toISOString().slice(0, 10)
  const file = join(RESULTS, 'report.html')
  writeFileSync(file, reportPage({ machine: machineName(), threads, quick, date, version: VERSION }, measured))
  return file
}

async function main(): Promise<number> {
  const only = process.env['ONLY'] ?? ''
  const chosen = BENCHES.filter(({ name }) => only === '' || name === only)
  if (chosen.length === 0) {
    console.error(`no benchmark ${only}; there are ${BENCHES.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const { path } = await findModel(null, process.env, console.error)
  const threads = availableParallelism()
  const context = { quick: process.env['QUICK'] === '1', threads, modelPath: path, peaks: () => peaks.get(threads) }
  console.log(`machine: ${machineName()}; ${threads} threads${context.quick ? '; QUICK: few repetitions' : ''}`)
  mkdirSync(RESULTS, { recursive: true })
  const measured: Measured[] = []
  for (const bench of chosen) measured.push(await runOne(bench, context))
  const seconds = measured.reduce((sum, bench) => sum + bench.seconds, 0)
  console.log(`\nmeasured in ${seconds.toFixed(0)} s; everything on one page: ${writePage(measured, context)}`)
  return 0
}

process.exitCode = await main()
