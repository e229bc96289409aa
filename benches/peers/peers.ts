// The alternatives of a user on a GPU: transformers and vLLM, measured by the Python script beside this where they can
// be imported. Without them, or without a CUDA device, each is skipped by name.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { barOf, show } from '../support/figures.js'

const SCRIPT = join(import.meta.dirname, 'peers.py')
const SHAPE = 'mistral-7b'
const PYTHON = 'python3'

/** One line of the script's output. */
type Line =
  | { readonly peer: string; readonly name: string; readonly unit: string; readonly samples: readonly number[] }
  | { readonly peer: string; readonly skipped: string }
  | { readonly progress: string }

async function measure(args: readonly string[], progress: BenchContext['progress']): Promise<Line[]> {
  const child = spawn(PYTHON, [SCRIPT, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: Line[] = []
  createInterface({ input: child.stdout }).on('line', (text) => {
    // Libraries print what they like to standard output; ours are objects.
    if (!text.startsWith('{')) return
    const line = JSON.parse(text) as Line
    if ('progress' in line) progress(line.progress)
    else lines.push(line)
  })
  // A machine without Python has no peers either.
  child.once('error', ({ message }) => lines.push({ peer: PYTHON, skipped: message }))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0 && lines.length === 0) throw new Error(`${PYTHON} ${SCRIPT} ended with ${code}`)
  return lines
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const lines = await measure(['--shape', SHAPE, ...(quick ? ['--quick'] : [])], progress)
  const figures = lines.filter((line) => 'samples' in line)
  const bars = figures.map(({ peer, name, samples }) => barOf(`${name}, ${peer}`, samples))
  const rows = bars.map(({ label, value, low, high }) => [label, show(value), `${show(low)} … ${show(high)}`])
  return {
    tables: rows.length === 0 ? [] : [{ title: `Peers on the ${SHAPE} shape with random weights, milliseconds`, columns: ['', 'median', 'spread'], rows }],
    plots: [{ title: `Peers, ${SHAPE} shape`, unit: 'ms', bars }],
    notes: lines.flatMap((line) => ('skipped' in line ? [`${line.peer}: skipped: ${line.skipped}`] : [])),
    data: lines,
  }
}

export const peers: Bench = { name: 'peers', about: 'transformers and vLLM, where they are installed', run }
