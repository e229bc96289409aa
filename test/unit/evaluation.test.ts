import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedText } from '../../ts/engine/simulated/text.js'
import type { Scorer, Scores, Way } from '../../ts/engine/native/scorer.js'
import { readDialogues, readTexts } from '../../ts/evaluation/corpus.js'
import { COMPARED, METHODS, OURS, REFERENCE } from '../../ts/evaluation/methods.js'
import { needleCase, needles } from '../../ts/evaluation/needles.js'
import { perplexity, upperBound, type Evaluated } from '../../ts/evaluation/perplexity.js'
import { partsOfPlaceholders } from '../../ts/evaluation/placeholders.js'
import { report } from '../../ts/evaluation/report.js'
import { bootstrapMean } from '../../ts/evaluation/statistics.js'
import { chatSubject, proseSubject, type Section, type Subject } from '../../ts/evaluation/subjects.js'
import { seededRandom } from '../../ts/simulator/random.js'

const text = new SimulatedText('evaluation')
const SETTING = { window: 256, ratio: 0.5 }

/** Every token costs 2 nats; decoupled 0.5 more, coupled 3 more, and all guesses are right with the head. */
class FakeScorer implements Scorer {
  readonly calls: Array<{ readonly ways: readonly Way[]; readonly length: number; readonly first: number }> = []

  async score(tokens: Uint32Array, first: number, ways: readonly Way[]): Promise<Scores[]> {
    this.calls.push({ ways, length: tokens.length, first })
    const more = { decoupled: 0.5, coupled: 3, recompute: 0 }
    return ways.map(({ view, truncation }) => ({
      nll: new Float32Array(tokens.length - first).fill(2 + more[truncation]),
      best: view.head > 0 ? tokens.slice(first) : new Uint32Array(tokens.length - first),
    }))
  }
}

const evaluated = (scorer: Scorer): Evaluated => ({ scorer, text, random: seededRandom(1), progress: () => undefined })

const prose = (sections: number, length: number): Promise<Subject> => proseSubject(text, 'prose', ['once upon a time '.repeat(2000)], { sections, length })

test('only tokens beyond the window that count are compared, each with its own of the reference', async t => {
  const scorer = new FakeScorer()
  const { name, sections } = await prose(3, 900)
  const progress: number[] = []
  const everySecond = sections.map(section => ({ ...section, counts: (index: number) => index % 2 === 0 }))
  const result = await perplexity({ ...evaluated(scorer), progress: done => progress.push(done) }, { name, sections: everySecond }, SETTING, METHODS)
  t.deepEqual(progress, [1, 2, 3])
  for (const { ways, length, first } of scorer.calls) {
    t.deepEqual([length, first], [900, 257])
    t.deepEqual(ways.map(({ view, truncation }) => [view.window, view.head, view.step, truncation]), [
      [256, 64, 64, 'recompute'],
      [256, 64, 64, 'decoupled'],
      [256, 0, 64, 'decoupled'],
      [256, 64, 64, 'coupled'],
    ])
  }
  t.is(result.tokens, 3 * Math.floor((899 - 256) / 2))
  const [reference, ours] = result.methods
  t.is(reference?.difference, null)
  t.true(Math.abs((reference?.perplexity ?? 0) - Math.exp(2)) < 1e-9)
  t.deepEqual(ours?.difference, { mean: 0.5, low: 0.5, high: 0.5 })
  t.is(upperBound(result), 0.5)
})

test('a difference is taken token by token, each from its own', async t => {
  const of = (more: number, first: number, length: number): Float32Array => Float32Array.from({ length }, (_, i) => ((first + i) * 37) % 11 + more)
  const scorer: Scorer = {
    score: async (tokens, first, ways) => ways.map(({ truncation }) => ({ nll: of(truncation === 'recompute' ? 0 : 0.25, first, tokens.length - first), best: tokens })),
  }
  const { methods } = await perplexity(evaluated(scorer), await prose(2, 700), SETTING, COMPARED)
  t.deepEqual(methods[1]?.difference, { mean: 0.25, low: 0.25, high: 0.25 })
})

test('where a difference comes from: epochs by what was left out, tokens by what they add', async t => {
  const length = 900
  const tokens = Uint32Array.from({ length }, (_, index) => (index % 10 === 0 ? 65 : 66))
  // Token 65 costs 1 nat more from the second truncation on.
  const more = (index: number): number => (tokens[index] === 65 && index - 1 >= 256 + 64 ? 1 : 0)
  const scorer: Scorer = {
    score: async (_tokens, first, ways) =>
      ways.map(({ truncation }) => ({ nll: Float32Array.from({ length: length - first }, (_, i) => 1 + (truncation === 'recompute' ? 0 : more(first + i))), best: tokens })),
  }
  const { epochs, costliest, tokens: count } = await perplexity(evaluated(scorer), { name: 'x', sections: [{ tokens, systemTokens: 0, counts: () => true }] }, SETTING, COMPARED)
  t.is(count, length - 257)
  t.deepEqual(epochs[0], { epoch: 1, tokens: 64, mean: 0 })
  t.is(epochs.reduce((sum, epoch) => sum + epoch.tokens, 0), count)
  const costing = [...tokens.keys()].filter(index => more(index) > 0).length
  const times = [...tokens.keys()].filter(index => index > 256 && tokens[index] === 65).length
  t.is(costliest[0]?.times, times)
  t.is(costliest[0]?.text, await text.decode(Uint32Array.of(65)))
  t.true(Math.abs((costliest[0]?.share ?? 0) - costing / count) < 1e-9)
  t.is(costliest[1]?.share, 0)
})

test('a corpus’s placeholders are told apart, however they are cut into tokens', async t => {
  // A token a byte here, but for one that holds the end of a placeholder and more.
  const tokens = await text.tokenize('a <unk> <un k>', false)
  const bytes = (token: number): Uint8Array => (token === -1 ? Buffer.from('k><unk>!') : text.tokenBytes(token))
  const parts = (of: ArrayLike<number>): string => partsOfPlaceholders(of as Uint32Array, { tokenBytes: bytes }).map(part => (part ? 'x' : '.')).join('')
  t.is(parts(tokens), '..xxxxx.......')
  t.is(parts([...tokens.slice(0, 5), -1, ...tokens.slice(0, 2)]), '..xxxx..')
  t.is(parts(tokens.slice(0, 2)), '..')
})

test('what a placeholder costs is left out of a second result, where there are any', async t => {
  const LENGTH = 904
  const word = [...(await text.tokenize('a <unk> ', false))]
  const tokens = Uint32Array.from({ length: LENGTH }, (_, index) => word[index % word.length] as number)
  const more = (index: number): number => (index % word.length >= 2 && index % word.length < 7 ? 2 : 0.25)
  const scorer: Scorer = {
    score: async (_tokens, first, ways) =>
      ways.map(({ truncation }) => ({ nll: Float32Array.from({ length: LENGTH - first }, (_, i) => 1 + (truncation === 'recompute' ? 0 : more(first + i))), best: tokens })),
  }
  const result = await perplexity(evaluated(scorer), { name: 'x', sections: [{ tokens, systemTokens: 0, counts: () => true }] }, SETTING, COMPARED)
  const without = result.withoutPlaceholders
  t.is(without?.tokens, [...tokens.keys()].filter(index => index > 256 && more(index) === 0.25).length)
  t.deepEqual(without?.methods[1]?.difference, { mean: 0.25, low: 0.25, high: 0.25 })
  t.true((result.methods[1]?.difference?.mean ?? 0) > 1)
  t.is((await perplexity(evaluated(scorer), await prose(1, 900), SETTING, COMPARED)).withoutPlaceholders, null)
  const rows = report({ model: 'm', device: 'cpu', prose: [result], answers: [], needles: [] }).split('\n')
  t.regex(rows.find(row => row.includes('without its `<unk>`')) ?? '', new RegExp(`\\| ${without?.tokens} \\| ${REFERENCE.name}`))
})

test('sections of prose are spread evenly over all texts, and each begins with a line of one of them', async t => {
  const lines = (name: string, count: number): string => Array.from({ length: count }, (_, i) => `${name}${i} ${'and so on '.repeat(5)}\n`).join('')
  const texts = [lines('a', 400), 'too short', lines('b', 1200)]
  const { sections } = await proseSubject(text, 'prose', texts, { sections: 8, length: 200 })
  const begins = await Promise.all(sections.map(async ({ tokens }) => (await text.decode(tokens)).replace('<|endoftext|>', '').split(' ')[0] as string))
  t.is(sections.length, 8)
  for (const begin of begins) t.regex(begin, /^[ab]\d+$/)
  t.is(begins.filter(begin => begin.startsWith('a')).length, 2)
  t.is(new Set(begins).size, 8)
  const { sections: short } = await proseSubject(text, 'prose', ['a few words', 'x'], { sections: 1, length: 200, systemTokens: 7 })
  t.is(short[0]?.systemTokens, 7)
  t.true((await text.decode((short[0] as Section).tokens)).endsWith('a few words'))
})

test('an interval holds the mean it is drawn around in about 95 of 100 cases, and a seed repeats it', t => {
  let held = 0
  for (let seed = 0; seed < 100; seed++) {
    const random = seededRandom(seed)
    const noise = () => random() + random() + random() - 1.5
    const { low, high } = bootstrapMean([1200, 800].map(length => Array.from({ length }, () => 1 + noise())), random)
    if (low <= 1 && high >= 1) held++
    t.true(high - low > 0.02 && high - low < 0.1)
  }
  t.true(held >= 84, `${held} of 100`)
  const values = Array.from({ length: 300 }, (_, i) => i % 7)
  t.deepEqual(bootstrapMean([values], seededRandom(3)), bootstrapMean([values], seededRandom(3)))
})

test('of dialogues strung together the answers count, and nothing else', async t => {
  const dialogues = [
    { turns: [['user', 'first question'], ['assistant', 'FIRST']] as const },
    { turns: [['user', 'second question'], ['assistant', 'SECOND'], ['user', 'more'], ['assistant', 'THIRD']] as const },
  ]
  const { sections } = await chatSubject(text, 'chat', dialogues, 3, 4000)
  t.is(sections.length, 1)
  const [{ tokens, counts } = sections[0] as Section] = sections
  t.is(await text.decode(tokens.filter((_, index) => counts(index))), 'FIRSTSECONDTHIRD')
  t.deepEqual((await chatSubject(text, 'chat', dialogues, 3, 20)).sections.map(section => section.tokens.length), [20, 20])
})

test('numbers are asked for in the order in which they were said, within reach of the end', async t => {
  const made = await needleCase(text, seededRandom(5), 3000, 1500)
  t.deepEqual(await needleCase(text, seededRandom(5), 3000, 1500), made)
  t.is(made.asked.length, 6)
  for (const { answer, said } of made.asked) {
    const value = await text.decode(made.tokens.slice(...answer))
    t.regex(value, /^ \d{4}$/)
    t.true((await text.decode(made.tokens.slice(...said))).includes(`is${value}.`))
    t.true(said[0] >= 1500 && said[1] < answer[0])
  }
})

test('a number is found if every one of its tokens is the likeliest', async t => {
  const found = await needles(new FakeScorer(), text, { ...SETTING, window: 1024 }, 2, seededRandom(2), () => undefined)
  t.deepEqual(found.map(({ situation }) => situation), ['before a truncation', `after it: ${REFERENCE.name}`, `after it: ${OURS.name}`])
  for (const { found: right, asked } of found) t.true(asked > 0 && right === asked)
  const nothing = new Uint32Array(4096)
  const blind: Scorer = { score: async (_tokens, _first, ways) => ways.map(() => ({ nll: new Float32Array(nothing.length), best: nothing })) }
  for (const { found: right } of await needles(blind, text, { ...SETTING, window: 1024 }, 2, seededRandom(2), () => undefined)) t.is(right, 0)
})

test('a corpus is read plain, and what is wrong with it is named', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string, lines: readonly unknown[]): string => {
    const path = join(folder, name)
    writeFileSync(path, lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    return path
  }
  t.deepEqual(await readTexts(file('prose.jsonl', [{ title: 'a', text: 'first' }, { title: 'b', text: '' }, { title: 'c', text: 'last' }])), ['first', 'last'])
  const paths = [[['user', 'a'], ['assistant', 'b']], [['user', 'a'], ['assistant', 'b'], ['user', 'c']], [['user', 'x']]]
  const dialogues = await readDialogues(file('chat.jsonl', paths.map(turns => ({ turns }))))
  t.deepEqual(dialogues.map(({ turns }) => turns.length), [3, 1])
  await t.throwsAsync(readTexts(file('other.jsonl', [{ turns: [] }])), { code: 'invalid_corpus' })
  await t.throwsAsync(readDialogues(file('odd.jsonl', [{ turns: [['user', 1]] }])), { code: 'invalid_corpus' })
  await t.throwsAsync(readTexts(file('bad.jsonl', ['{'])), { code: 'invalid_corpus' })
  await t.throwsAsync(readTexts(file('bad.xz', ['\ufffd7zXZ'])), { code: 'invalid_corpus' })
  await t.throwsAsync(readTexts(join(folder, 'none')), { code: 'corpus_missing' })
})

test('the report has a row a method, and leaves out what was not asked for', async t => {
  const result = await perplexity(evaluated(new FakeScorer()), await prose(1, 900), SETTING, METHODS)
  const table = report({ model: 'm', device: 'cpu', prose: [result], answers: [], needles: [] })
  const rows = (heading: string): number => (table.split('###').find(part => part.includes(heading)) ?? '').split('\n').filter(line => line.startsWith('|')).length
  t.is(rows('Prose beyond the window'), 2 + METHODS.length)
  t.is(rows('Truncated KV, by epoch'), 2 + result.epochs.length)
  t.is(rows('the tokens that add most'), 2 + result.costliest.length)
  t.true(table.includes('| +0.5000 (+0.5000 … +0.5000) |'))
  t.is(report({ model: 'm', device: 'cpu', prose: [], answers: [], needles: [] }), '')
})
