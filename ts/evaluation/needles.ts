// Finding what was said: numbers of made-up people, asked for at the end. A seed repeats every case.

import type { Scorer, Scores } from '../engine/native/scorer.js'
import type { EngineText } from '../engine/types.js'
import { leftOut, viewParameters } from '../engine/view.js'
import { COMPARED, OURS, wayOf, type Method, type Setting } from './methods.js'

const NAMES = ['Anna', 'Boris', 'Clara', 'David', 'Emma', 'Felix', 'Greta', 'Henry', 'Irene', 'Jacob', 'Kate', 'Louis', 'Maria', 'Nora', 'Oscar', 'Paula']
const FILLERS = [
  'The weather was mild that day, and the market was full of people.',
  'A letter came in the morning, but nobody had time to read it.',
  'They walked along the river until the bridge came into sight.',
  'The old clock in the hall had stopped again, and nobody minded.',
  'Somebody had left the garden gate open during the night.',
  'In the evening there was music from the house across the street.',
]
/** Numbers that are asked for in a case. */
const ASKED = 6
const FILLERS_BETWEEN = 3

interface Needle {
  readonly name: string
  readonly value: string
}

export interface NeedleCase {
  readonly tokens: Uint32Array
  /** Of each number asked for: the tokens [from, to) of the answer, and those of the place where it was said. */
  readonly asked: ReadonlyArray<{ readonly answer: readonly [from: number, to: number]; readonly said: readonly [from: number, to: number] }>
}

const statement = ({ name, value }: Needle): string => ` The number of ${name} is ${value}.`
const question = ({ name }: Needle): string => `\nWhat is the number of ${name}? The number of ${name} is`

/** A text of about `length` tokens in which every number that is asked for lies within the last `reach` of them. */
export async function needleCase(text: EngineText, random: () => number, length: number, reach: number): Promise<NeedleCase> {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const names = NAMES.map(name => ({ name, at: random() })).sort((a, b) => a.at - b.at).map(({ name }) => name)
  const needles = names.slice(0, ASKED).map((name): Needle => ({ name, value: String(1000 + Math.floor(random() * 9000)) }))
  const ids: number[] = [...(await text.encodePrompt('Notes.'))]
  const add = async (piece: string): Promise<readonly [number, number]> => {
    const from = ids.length
    ids.push(...(await text.tokenize(piece, false)))
    return [from, ids.length]
  }
  const questions = (await Promise.all(needles.map(needle => text.tokenize(`${question(needle)} ${needle.value}.`, false)))).reduce((sum, { length: count }) => sum + count, 0)
  while (ids.length < length - reach) await add(` ${pick(FILLERS)}`)
  const said: Array<readonly [number, number]> = []
  for (const needle of needles) {
    for (let i = 0; i < FILLERS_BETWEEN && ids.length < length - questions; i++) await add(` ${pick(FILLERS)}`)
    said.push(await add(statement(needle)))
  }
  while (ids.length < length - questions) await add(` ${pick(FILLERS)}`)
  const asked: Array<NeedleCase['asked'][number]> = []
  for (const [i, needle] of needles.entries()) {
    await add(question(needle))
    asked.push({ answer: await add(` ${needle.value}`), said: said[i] as readonly [number, number] })
    await add('.')
  }
  return { tokens: Uint32Array.from(ids), asked }
}

export interface NeedleResult {
  readonly window: number
  readonly situation: string
  readonly found: number
  readonly asked: number
}

/**
 * Numbers found before anything is left out, and beyond the window, of those that the view still holds. `progress` hears
 * of the cases done.
 */
export async function needles(
  scorer: Scorer,
  text: EngineText,
  setting: Setting,
  cases: number,
  random: () => number,
  progress: (done: number) => void,
): Promise<NeedleResult[]> {
  const { window } = setting
  const before = { window, situation: 'before a truncation', found: 0, asked: 0 }
  const after = COMPARED.map(method => ({ window, situation: `after it: ${method.name}`, found: 0, asked: 0 }))
  for (let i = 0; i < cases; i++) {
    const reach = Math.floor(window * 0.45)
    await judge(scorer, await needleCase(text, random, Math.floor(window * 0.9), reach), setting, [OURS], [before])
    await judge(scorer, await needleCase(text, random, Math.floor(window * (1.6 + random())), reach), setting, COMPARED, after)
    progress(i + 1)
  }
  return [before, ...after]
}

interface Tally {
  found: number
  asked: number
}

async function judge(scorer: Scorer, { tokens, asked }: NeedleCase, setting: Setting, methods: readonly Method[], tallies: readonly Tally[]): Promise<void> {
  const view = viewParameters(setting.window, setting.ratio, 0)
  const seen = asked.filter(({ answer, said }) => said[0] >= view.head + leftOut(view, answer[1] - 1) || said[1] <= view.head)
  const first = seen[0]?.answer[0]
  if (first === undefined) return
  const scores = await scorer.score(tokens, first, methods.map(method => wayOf(method, setting, 0)))
  for (const [i, tally] of tallies.entries()) {
    tally.asked += seen.length
    tally.found += seen.filter(({ answer }) => isFound(tokens, answer, scores[i] as Scores, first)).length
  }
}

/** Whether every token of the answer is the likeliest. */
function isFound(tokens: Uint32Array, [from, to]: readonly [number, number], { best }: Scores, first: number): boolean {
  return tokens.subarray(from, to).every((token, i) => best[from + i - first] === token)
}
