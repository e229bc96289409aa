// `eval`: what truncation costs in quality, measured on a model and texts.

import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { findModel } from '../config/model.js'
import { device as deviceName } from '../config/names.js'
import { kernelsDirectory } from '../config/paths.js'
import { invalidOption, list, share, wholeNumber } from '../config/units.js'
import { defaultBatchTokens, isGpu } from '../device-choice.js'
import { createNativeEngine } from '../engine/native/index.js'
import { openScorer, type Scorer } from '../engine/native/scorer.js'
import { BLOCK_TOKENS, type Engine } from '../engine/types.js'
import { MIN_WINDOW } from '../engine/view.js'
import { corpusName, readDialogues, readTexts, type Dialogue } from '../evaluation/corpus.js'
import { COMPARED, METHODS, type Method } from '../evaluation/methods.js'
import { needles, type NeedleResult } from '../evaluation/needles.js'
import { perplexity, upperBound, type PerplexityResult } from '../evaluation/perplexity.js'
import { report, type EvaluationResult } from '../evaluation/report.js'
import { chatSubject, proseSubject, type Subject } from '../evaluation/subjects.js'
import { ExitError } from '../protocol/errors.js'
import { seededRandom } from '../simulator/random.js'
import { progressLine } from './progress.js'
import type { Terminal } from './terminal.js'

/** Nats a token that ours may cost at most, with 95 % certainty: the paper's 0.02 at its perplexity of 6. */
const GOAL = 0.003

interface EvalValues {
  readonly model?: string
  readonly corpus: readonly string[]
  readonly dialogues: readonly string[]
  readonly window: string
  readonly length: string
  readonly sections: string
  readonly truncationRatio: string
  readonly head: string
  readonly ablations: boolean
  readonly needles: string
  readonly seed: string
  readonly device: string
  readonly threads: string
  readonly json?: string
}

const HELP = `
Texts are JSON lines, plain or xz: {"title", "text"} for prose, of which sections are taken evenly, and
{"turns": [[role, text], …]} for dialogues, which are strung together into conversations.
Exit code 1: with 95 % certainty, truncated KV may cost more than ${GOAL} nats a token against computing everything again.
`

export function evalCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  const collect = (value: string, previous: readonly string[]): string[] => [...previous, value]
  return new Command('eval')
    .description('measure the cost of truncation: perplexity beyond the window, and numbers found again')
    .option('--model <path|name>', 'a GGUF file or a Hugging Face directory (default: SmolLM2-135M-Instruct, downloaded once)')
    .option('--corpus <file>', 'prose; may be repeated', collect, [])
    .option('--dialogues <file>', 'dialogues; may be repeated', collect, [])
    .option('--window <tokens,…>', 'context windows', '1024,2048')
    .option('--sections <count>', 'sections of each prose, conversations of each file of dialogues', '4')
    .option('--length <windows>', 'length of each of them, in windows', '4')
    .option('--truncation-ratio <share>', 'share of the window that leaves it at a time', '0.5')
    .option('--head <tokens>', 'tokens at the start of each prose that are kept, as a system prompt is', '0')
    .option('--no-ablations', 'leave out the ways that are known to break: no kept head, coupled positions')
    .option('--needles <count>', 'texts with numbers to find, a window; 0: none', '8')
    .option('--seed <number>', 'seed of the random draws', '1')
    .option('--device <device>', 'cpu, cuda or cuda:n', 'cpu')
    .option('--threads <count>', 'threads that compute', String(availableParallelism()))
    .option('--json <file>', 'write the results there too')
    .addHelpText('after', HELP)
    .action(async (values: EvalValues) => setExitCode(await evaluate(values, terminal)))
}

interface Job {
  readonly scorer: Scorer
  readonly engine: Engine
  readonly windows: readonly number[]
  readonly sections: number
  /** Of a section, in windows. */
  readonly length: number
  readonly ratio: number
  readonly head: number
  /** For prose. */
  readonly methods: readonly Method[]
  readonly needles: number
  /** Numbers from the seed, from the first on: a result does not depend on what else is asked for. */
  readonly random: () => () => number
  /** Shows how much of something is done, as a share. */
  readonly progress: (what: string) => (share: number) => void
}

async function evaluate(values: EvalValues, terminal: Terminal): Promise<number> {
  const windows = list(wholeNumber(MIN_WINDOW, 2 ** 20))(values.window.split(',').map(Number), '--window')
  const length = wholeNumber(2, 1000)(values.length, '--length')
  const sections = wholeNumber(1, 10_000)(values.sections, '--sections')
  const cases = wholeNumber(0, 10_000)(values.needles, '--needles')
  const ratio = share(values.truncationRatio, '--truncation-ratio')
  const head = wholeNumber(0, 2 ** 20)(values.head, '--head')
  const seed = wholeNumber(0, 2 ** 32 - 1)(values.seed, '--seed')
  const device = computingDevice(values.device)
  if (values.corpus.length + values.dialogues.length + cases === 0) {
    throw new ExitError(2, 'invalid_option', 'no texts to evaluate: give --corpus, --dialogues or --needles above 0')
  }
  // Before anything takes long: a file may be missing.
  const texts = await Promise.all(values.corpus.map(readTexts))
  const dialogues = await Promise.all(values.dialogues.map(readDialogues))
  const note = (sentence: string): void => terminal.err(`${sentence}\n`)
  const { path } = await findModel(values.model ?? null, terminal.env, note)
  const threads = wholeNumber(1, 1024)(values.threads, '--threads')
  const open = { device, kernelCacheDir: kernelsDirectory(terminal.env), modelPath: path, threads, maxBatchTokens: defaultBatchTokens(device), dramBytes: 0, ssdBytes: 0, kvDtype: 'bf16' as const }
  const engine = await createNativeEngine({ ...open, hbmBytes: 2 ** 24, threads: 1 })
  try {
    checkWindows(windows, engine)
    const hbmBytes = 2 * Math.ceil(Math.max(...windows) / BLOCK_TOKENS + 1) * engine.info.blockBytes
    const scorer = await openScorer({ ...open, hbmBytes })
    const methods = values.ablations ? METHODS : COMPARED
    const random = (): (() => number) => seededRandom(seed)
    const job: Job = { scorer, engine, windows, sections, length, ratio, head, methods, needles: cases, random, progress: what => progressLine(terminal, what) }
    const result: EvaluationResult = {
      model: engine.info.modelName,
      device: engine.info.device,
      prose: await prose(job, values.corpus, texts),
      answers: await answers(job, values.dialogues, dialogues),
      needles: await needleResults(job),
    }
    terminal.out(report(result))
    if (values.json !== undefined) write(values.json, `${JSON.stringify(result, null, 2)}\n`)
    return [...result.prose, ...result.answers].some(one => upperBound(one) > GOAL) ? 1 : 0
  } finally {
    await engine.close()
  }
}

/** Of those that `serve` knows, one that computes: figures name what they were computed with. */
function computingDevice(value: string): string {
  const name = deviceName(value, '--device')
  if (name === 'cpu' || isGpu(name)) return name
  throw invalidOption('--device', `${name} is not one of cpu, cuda, cuda:n`)
}

/** `texts` of each path. */
async function prose(job: Job, paths: readonly string[], texts: ReadonlyArray<readonly string[]>): Promise<PerplexityResult[]> {
  const results: PerplexityResult[] = []
  for (const [i, path] of paths.entries()) {
    const shape = { sections: job.sections, systemTokens: job.head }
    const subject = (length: number): Promise<Subject> => proseSubject(job.engine.text, corpusName(path), texts[i] ?? [], { ...shape, length })
    results.push(...(await atWindows(job, subject, job.methods)))
  }
  return results
}

/** `dialogues` of each path. */
async function answers(job: Job, paths: readonly string[], dialogues: ReadonlyArray<readonly Dialogue[]>): Promise<PerplexityResult[]> {
  const results: PerplexityResult[] = []
  for (const [i, path] of paths.entries()) {
    const subject = (length: number): Promise<Subject> => chatSubject(job.engine.text, corpusName(path), dialogues[i] ?? [], job.sections, length)
    results.push(...(await atWindows(job, subject, COMPARED)))
  }
  return results
}

/** `subject` makes the scored texts, in sections of the given number of tokens. */
async function atWindows(
  { scorer, engine, windows, length, ratio, random, progress }: Job,
  subject: (length: number) => Promise<Subject>,
  methods: readonly Method[],
): Promise<PerplexityResult[]> {
  const results: PerplexityResult[] = []
  for (const window of windows) {
    const scored = await subject(length * window)
    const show = progress(`${scored.name}, window ${window}`)
    const evaluated = { scorer, text: engine.text, random: random(), progress: (done: number) => show(done / scored.sections.length) }
    results.push(await perplexity(evaluated, scored, { window, ratio }, methods))
  }
  return results
}

async function needleResults({ scorer, engine, windows, ratio, needles: cases, random, progress }: Job): Promise<NeedleResult[]> {
  if (cases === 0) return []
  const results: NeedleResult[] = []
  for (const window of windows) {
    const show = progress(`numbers to find, window ${window}`)
    results.push(...(await needles(scorer, engine.text, { window, ratio }, cases, random(), done => show(done / cases))))
  }
  return results
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
