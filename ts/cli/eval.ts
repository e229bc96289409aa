// `eval`: what truncation costs in quality, measured on a model and texts.

import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { findModel } from '../config/model.js'
import { kernelsDirectory } from '../config/paths.js'
import { list, wholeNumber } from '../config/units.js'
import { createNativeEngine } from '../engine/native/index.js'
import { openScorer, type Scorer } from '../engine/native/scorer.js'
import type { Engine } from '../engine/types.js'
import { MIN_WINDOW } from '../engine/view.js'
import { corpusName, readDialogues, readText } from '../evaluation/corpus.js'
import { COMPARED, METHODS, type Method } from '../evaluation/methods.js'
import { needles, type NeedleResult } from '../evaluation/needles.js'
import { perplexity, upperBound, type PerplexityResult } from '../evaluation/perplexity.js'
import { report, type EvaluationResult } from '../evaluation/report.js'
import { chatSubject, proseSubject } from '../evaluation/subjects.js'
import { ExitError } from '../protocol/errors.js'
import { seededRandom } from '../simulator/random.js'
import type { Terminal } from './terminal.js'

/** Nats a token that ours may cost at most, with 95 % certainty: the paper's 0.02 at its perplexity of 6. */
const GOAL = 0.003

interface EvalValues {
  readonly model?: string
  readonly corpus: readonly string[]
  readonly dialogues: readonly string[]
  readonly window: string
  readonly length: string
  readonly ablations: boolean
  readonly needles: string
  readonly seed: string
  readonly threads: string
  readonly json?: string
}

const HELP = `
Texts are JSON lines, plain or xz: {"title", "text"} for prose, of which the longest is taken, and
{"turns": [[role, text], …]} for dialogues, which are strung together into one conversation.
Exit code 1: with 95 % certainty, truncated KV may cost more than ${GOAL} nats a token against computing everything again.
`

export function evalCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  const collect = (value: string, previous: readonly string[]): string[] => [...previous, value]
  return new Command('eval')
    .description('what truncation costs: perplexity beyond the window, and whether what was said is found')
    .option('--model <path|name>', 'a GGUF file or a Hugging Face directory (default: SmolLM2-135M-Instruct, downloaded once)')
    .option('--corpus <file>', 'prose; may be repeated', collect, [])
    .option('--dialogues <file>', 'dialogues; may be repeated', collect, [])
    .option('--window <tokens,…>', 'context windows', '1024,2048')
    .option('--length <windows>', 'length of each text, in windows', '4')
    .option('--no-ablations', 'leave out what is known to break: no kept head, coupled positions')
    .option('--needles <count>', 'texts with numbers to find, a window; 0: none', '8')
    .option('--seed <number>', 'of what is drawn', '1')
    .option('--threads <count>', 'threads that compute', String(availableParallelism()))
    .option('--json <file>', 'write the results there too')
    .addHelpText('after', HELP)
    .action(async (values: EvalValues) => setExitCode(await evaluate(values, terminal)))
}

interface Job {
  readonly scorer: Scorer
  readonly engine: Engine
  readonly windows: readonly number[]
  /** In windows. */
  readonly length: number
  /** For prose. */
  readonly methods: readonly Method[]
  readonly random: () => number
  readonly note: (sentence: string) => void
}

async function evaluate(values: EvalValues, terminal: Terminal): Promise<number> {
  const windows = list(wholeNumber(MIN_WINDOW, 2 ** 20))(values.window.split(',').map(Number), '--window')
  const length = wholeNumber(2, 1000)(values.length, '--length')
  const cases = wholeNumber(0, 10_000)(values.needles, '--needles')
  const random = seededRandom(wholeNumber(0, 2 ** 32 - 1)(values.seed, '--seed'))
  const note = (sentence: string): void => terminal.err(`${sentence}\n`)
  const { path } = await findModel(values.model ?? null, terminal.env, note)
  const open = { device: 'cpu', kernelCacheDir: kernelsDirectory(terminal.env), modelPath: path, threads: wholeNumber(1, 1024)(values.threads, '--threads'), maxBatchTokens: 256, dramBytes: 0, ssdBytes: 0, kvDtype: 'bf16' as const }
  const engine = await createNativeEngine({ ...open, hbmBytes: 2 ** 24, threads: 1 })
  try {
    checkWindows(windows, engine)
    const hbmBytes = Math.ceil(Math.max(...windows) / 64 + 1) * engine.info.blockBytes
    const scorer = await openScorer({ ...open, hbmBytes })
    const methods = values.ablations ? METHODS : COMPARED
    const job: Job = { scorer, engine, windows, length, methods, random, note }
    const result: EvaluationResult = {
      model: engine.info.modelName,
      prose: await prose(job, values.corpus),
      answers: await answers(job, values.dialogues),
      needles: await needleResults(job, cases),
    }
    terminal.out(report(result))
    if (values.json !== undefined) write(values.json, `${JSON.stringify(result, null, 2)}\n`)
    return [...result.prose, ...result.answers].some(one => upperBound(one) > GOAL) ? 1 : 0
  } finally {
    await engine.close()
  }
}

async function prose({ scorer, engine, windows, length, methods, random, note }: Job, paths: readonly string[]): Promise<PerplexityResult[]> {
  const results: PerplexityResult[] = []
  for (const path of paths) {
    const text = await readText(path)
    for (const window of windows) {
      note(`${corpusName(path)}, window ${window}`)
      const subject = await proseSubject(engine.text, corpusName(path), text, length * window)
      results.push(await perplexity(scorer, subject, window, methods, random))
    }
  }
  return results
}

async function answers({ scorer, engine, windows, length, random, note }: Job, paths: readonly string[]): Promise<PerplexityResult[]> {
  const results: PerplexityResult[] = []
  for (const path of paths) {
    const dialogues = await readDialogues(path)
    const [window = MIN_WINDOW] = windows
    note(`${corpusName(path)}, window ${window}`)
    const subject = await chatSubject(engine.text, corpusName(path), dialogues, length * window)
    results.push(await perplexity(scorer, subject, window, COMPARED, random))
  }
  return results
}

async function needleResults({ scorer, engine, windows, random, note }: Job, cases: number): Promise<NeedleResult[]> {
  const [window = MIN_WINDOW] = windows
  if (cases === 0) return []
  note(`numbers to find, window ${window}`)
  return needles(scorer, engine.text, window, cases, random)
}

/** Where a model refers to positions that it has not learnt, nothing is measured but that. */
function checkWindows(windows: readonly number[], { info }: Engine): void {
  const wide = windows.find(window => window > info.modelContext)
  if (wide === undefined) return
  throw new ExitError(2, 'invalid_option', `--window: ${wide} tokens are more than the model's ${info.modelContext}`, { window: wide })
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `--json: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
