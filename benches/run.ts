// `make bench [ONLY=name] [QUICK=1]`: runs the benchmarks (those of some minutes by their names only), prints their
// tables, writes every figure as JSON and all of them as one page.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findModel } from '../ts/config/model.js'
import { VERSION } from '../ts/version.js'
import { ablations } from './ablations/ablations.js'
import { conversations } from './conversations/conversations.js'
import { engine } from './engine/engine.js'
import { grammar } from './grammar/grammar.js'
import { loadOrRecompute } from './load-or-recompute/load-or-recompute.js'
import { machineBench } from './machine/machine.js'
import { peers } from './peers/peers.js'
import { paper } from './placement/paper.js'
import { placement } from './placement/placement.js'
import { prefetch } from './prefetch/prefetch.js'
import { reportPage, type Measured } from './report/page.js'
import { scheduler } from './scheduler/scheduler.js'
import { siblings } from './siblings/siblings.js'
import { store } from './store/store.js'
import type { Bench, BenchContext, MachinePeaks, Report } from './support/bench.js'
import { machineName, measurePeaks, peaksOf } from './support/machine.js'
import type { NativeResult } from './support/native.js'
import { renderReport } from './support/render.js'
import { telemetry } from './telemetry/telemetry.js'
import { truncation } from './truncation/truncation.js'
import { ttft } from './ttft/ttft.js'
import { web } from './web/web.js'

const RESULTS = join(import.meta.dirname, 'results')

/** The machine, as the first benchmark that asks or measures finds it. */
class Findings {
  private known: MachinePeaks | null = null
  private disk: string | null = null

  readonly take = (result: NativeResult): void => {
    this.known = peaksOf(result)
    this.disk = result.machine.disk
  }

  async peaks(threads: number): Promise<MachinePeaks> {
    this.known ??= await measurePeaks(threads)
    return this.known
  }

  get machine(): string {
    return this.disk === null ? machineName() : `${machineName()}; ${this.disk}`
  }
}

const findings = new Findings()
const BENCHES: readonly Bench[] = [
  machineBench(findings.take),
  engine,
  ttft,
  ablations,
  truncation,
  scheduler,
  store,
  grammar,
  prefetch,
  loadOrRecompute,
  telemetry,
  placement,
  paper,
  web,
  peers,
  conversations,
  siblings,
]

/** One benchmark that fails costs its own figures, not those of the others. */
async function runOne(bench: Bench, context: Omit<BenchContext, 'progress'>): Promise<Measured> {
  console.log(`\n## ${bench.name}: ${bench.about}\n`)
  const start = performance.now()
  const progress = (text: string) => console.error(`${bench.name}: ${text}`)
  const report = await bench.run({ ...context, progress }).catch((error: Error): Report => {
    console.error(error)
    process.exitCode = 1
    return { tables: [], plots: [], notes: [`failed: ${error.message}`], data: null }
  })
  const seconds = (performance.now() - start) / 1000
  console.log(renderReport(report))
  const file = join(RESULTS, `${bench.name}.json`)
  writeFileSync(file, `${JSON.stringify({ machine: machineName(), quick: context.quick, seconds, ...report }, null, 2)}\n`)
  return { name: bench.name, about: bench.about, seconds, report }
}

function writePage(measured: readonly Measured[], { quick, threads }: Omit<BenchContext, 'progress'>): string {
  const date = new Date().toISOString().slice(0, 10)
  const file = join(RESULTS, 'report.html')
  writeFileSync(file, reportPage({ machine: findings.machine, threads, quick, date, version: VERSION }, measured))
  return file
}

/** Every server that a benchmark starts waits for the end of this process, and there are many. */
const SERVERS_MOST = 64

async function main(): Promise<void> {
  process.setMaxListeners(SERVERS_MOST)
  const only = process.env['ONLY'] ?? ''
  const chosen = BENCHES.filter(({ name, isLong }) => (only === '' ? isLong !== true : name === only))
  if (chosen.length === 0) {
    console.error(`no benchmark ${only}; there are ${BENCHES.map(({ name }) => name).join(', ')}`)
    process.exitCode = 2
    return
  }
  const { path } = await findModel(null, process.env, console.error)
  const threads = availableParallelism()
  const context = { quick: process.env['QUICK'] === '1', alone: chosen.length === 1, threads, modelPath: path, peaks: () => findings.peaks(threads) }
  console.log(`machine: ${machineName()}; ${threads} threads${context.quick ? '; QUICK: few repetitions' : ''}`)
  mkdirSync(RESULTS, { recursive: true })
  const measured: Measured[] = []
  for (const bench of chosen) measured.push(await runOne(bench, context))
  const seconds = measured.reduce((sum, bench) => sum + bench.seconds, 0)
  console.log(`\nmeasured in ${seconds.toFixed(0)} s; everything on one page: ${writePage(measured, context)}`)
  const left = BENCHES.filter((bench) => !chosen.includes(bench)).map(({ name }) => name)
  if (only === '') console.log(`longer ones, each with ONLY=name: ${left.join(', ')}`)
}

await main()
