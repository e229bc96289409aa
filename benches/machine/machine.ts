// The machine's ceilings, our parts as ratios to them, and the engine without a server: the native benchmark on the
// default model.

import type { Bar, Bench, BenchContext, Plot, Report, Table } from '../support/bench.js'
import { show } from '../support/figures.js'
import { runNative, type NativeMeasurement, type NativeResult } from '../support/native.js'

/** Larger sizes take two cores minutes: the native benchmark has them. */
const SIZES = ['--prefill', '512', '--decode', '1,4,16', '--history', '1024', '--device', 'cpu'] as const

const TITLES: Readonly<Record<string, string>> = {
  cpu: 'Arithmetic',
  memory: 'Host memory',
  disk: 'Disk, by engine, block size and requests in flight',
  gpu: 'Card',
  prefill: 'Prefill',
  attention: 'Attention',
  decode: 'Decode, one step',
  part: 'Movements alone',
  returning: 'A returning turn, to its first token',
}

const groupOf = ({ name }: NativeMeasurement) => name.slice(0, name.indexOf('/'))
const rest = ({ name }: NativeMeasurement) => name.slice(name.indexOf('/') + 1)

function barOfMeasurement(measurement: NativeMeasurement): Bar {
  const { value, low, high, limit } = measurement
  return { label: rest(measurement), value, low, high, limit: limit?.value ?? null }
}

/** Measurements by group, and within it by way where a group has many. */
function plotsOf(measurements: readonly NativeMeasurement[]): Plot[] {
  return [...new Set(measurements.map(groupOf))].flatMap((group) => {
    const own = measurements.filter((measurement) => groupOf(measurement) === group)
    const title = TITLES[group] ?? group
    return [...new Set(own.map(({ unit }) => unit))].map((unit) => ({
      title,
      unit,
      bars: own.filter((measurement) => measurement.unit === unit).map(barOfMeasurement),
    }))
  })
}

function tableOf({ measurements, skipped }: NativeResult): Table {
  return {
    title: 'Ceilings of this machine, and the engine against them (1.00 is the limit)',
    columns: ['', 'value', 'spread', 'reached', 'of what'],
    rows: [
      ...measurements.map(({ name, unit, value, low, high, limit, reached }) => [
        name,
        `${show(value)} ${unit}`,
        `${show(low)} … ${show(high)}`,
        reached === null ? '–' : show(reached),
        limit === null ? '–' : `${limit.what}: ${show(limit.value)} ${unit}`,
      ]),
      ...skipped.map(({ name, reason }) => [name, 'skipped', reason, '–', '–']),
    ],
  }
}

/** The benchmark; `onResult` hears of what was found, which others need too. */
export function machineBench(onResult: (result: NativeResult) => void): Bench {
  async function run({ quick, threads, modelPath, progress }: BenchContext): Promise<Report> {
    const args = ['engine', '--model', modelPath, '--threads', String(threads), ...SIZES, ...(quick ? ['--quick'] : [])]
    const result = await runNative(args, progress)
    onResult(result)
    return { tables: [tableOf(result)], plots: plotsOf(result.measurements), notes: [], data: result }
  }
  return { name: 'machine', about: 'this machine’s ceilings, and the engine’s parts as ratios to them', run }
}
