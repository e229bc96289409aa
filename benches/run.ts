// `make bench [ONLY=name] [QUICK=1]`: runs the benchmarks, prints their tables, writes every figure as JSON.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findModel } from '../ts/config/model.js'
import { engine } from './engine/engine.js'
import { placement } from './placement/placement.js'
import { scheduler } from './scheduler/scheduler.js'
import type { Bench, BenchContext } from './support/bench.js'
import { machineName } from './support/machine.js'
import { renderReport } from './support/render.js'
import { ttft } from './ttft/ttft.js'

const BENCHES: readonly Bench[] = [engine, ttft, scheduler, placement]
const RESULTS = join(import.meta.dirname, 'results')

async function runOne(bench: Bench, context: Omit<BenchContext, 'progress'>): Promise<void> {
  console.log(`\n## ${bench.name}: ${bench.about}\n`)
  const report = await bench.run({ ...context, progress: (text) => console.error(`${bench.name}: ${text}`) })
  console.log(renderReport(report))
  mkdirSync(RESULTS, { recursive: true })
  const file = join(RESULTS, `${bench.name}.json`)
  writeFileSync(file, `${JSON.stringify({ machine: machineName(), quick: context.quick, ...report }, null, 2)}\n`)
}

async function main(): Promise<number> {
  const only = process.env['ONLY'] ?? ''
  const chosen = BENCHES.filter(({ name }) => only === '' || name === only)
  if (chosen.length === 0) {
    console.error(`no benchmark ${only}; there are ${BENCHES.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const { path } = await findModel(null, process.env, console.error)
  const context = { quick: process.env['QUICK'] === '1', threads: availableParallelism(), modelPath: path }
  console.log(`machine: ${machineName()}; ${context.threads} threads${context.quick ? '; QUICK: few repetitions' : ''}`)
  for (const bench of chosen) await runOne(bench, context)
  return 0
}

process.exitCode = await main()
