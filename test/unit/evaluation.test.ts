import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedText } from '../../ts/engine/simulated/text.js'
import type { Scorer, Truncation } from '../../ts/engine/native/scorer.js'
import type { ViewParameters } from '../../ts/engine/types.js'
import { readDialogues, readText } from '../../ts/evaluation/corpus.js'
import { METHODS, OURS, REFERENCE } from '../../ts/evaluation/methods.js'
import { needleCase, needles } from '../../ts/evaluation/needles.js'
import { perplexity, upperBound } from '../../ts/evaluation/perplexity.js'
import { report } from '../../ts/evaluation/report.js'
import { bootstrapMean } from '../../ts/evaluation/statistics.js'
import { chatSubject, proseSubject } from '../../ts/evaluation/subjects.js'
import { seededRandom } from '../../ts/simulator/random.js'

const text = new SimulatedText('evaluation')

/** Every token costs 2 nats; decoupled 0.5 more, coupled 3 more, and all guesses are right with the head. */
class FakeScorer implements Scorer {
  readonly calls: Array<{ readonly view: ViewParameters; readonly truncation: Truncation; readonly length: number }> = []

  async score(tokens: Uint32Array, view: ViewParameters, truncation: Truncation) {
    this.calls.push({ view, truncation, length: tokens.length })
    const more = truncation === 'decoupled' ? 0.5 : truncation === 'coupled' ? 3 : 0
    return { nll: new Float32Array(tokens.length - 1).fill(2 + more), best: view.head > 0 ? tokens.slice(1) : new Uint32Array(tokens.length - 1) }
  }
}

test('only tokens beyond the window that count are compared, each with its own of the reference', async t => {
  const scorer = new FakeScorer()
  const subject = await proseSubject(text, 'prose', 'once upon a time '.repeat(200), 900)
  const result = await perplexity(scorer, { ...subject, counts: index => index % 2 === 0 }, 256, METHODS, seededRandom(1))
  t.deepEqual(scorer.calls.map(({ view, truncation, length }) => [view.window, view.head, view.step, truncation, length]), [
    [256, 64, 64, 'recompute', 900],
    [256, 64, 64, 'decoupled', 900],
    [256, 0, 64, 'decoupled', 900],
    [256, 64, 64, 'coupled', 900],
  ])
  t.is(result.tokens, Math.floor((899 - 256) / 2))
  const [reference, ours] = result.methods
  t.is(reference?.difference, null)
  t.true(Math.abs((reference?.perplexity ?? 0) - Math.exp(2)) < 1e-9)
  t.deepEqual(ours?.difference, { mean: 0.5, low: 0.5, high: 0.5 })
  t.is(upperBound(result), 0.5)
})

test('an interval holds the mean it is drawn around in about 95 of 100 cases, and a seed repeats it', t => {
  let held = 0
  for (let seed = 0; seed < 100; seed++) {
    const random = seededRandom(seed)
    const noise = () => random() + random() + random() - 1.5
    const { low, high } = bootstrapMean(Array.from({ length: 2000 }, () => 1 + noise()), random)
    if (low <= 1 && high >= 1) held++
    t.true(high - low > 0.02 && high - low < 0.1)
  }
  t.true(held >= 84, `${held} of 100`)
  const values = Array.from({ length: 300 }, (_, i) => i % 7)
  t.deepEqual(bootstrapMean(values, seededRandom(3)), bootstrapMean(values, seededRandom(3)))
})

test('of dialogues strung together the answers count, and nothing else', async t => {
  const dialogues = [
    { turns: [['user', 'first question'], ['assistant', 'FIRST']] as const },
    { turns: [['user', 'second question'], ['assistant', 'SECOND'], ['user', 'more'], ['assistant', 'THIRD']] as const },
  ]
  const subject = await chatSubject(text, 'chat', dialogues, 4000)
  const counted = Uint32Array.from(subject.tokens.filter((_, index) => subject.counts(index)))
  t.is(await text.decode(counted), 'FIRSTSECONDTHIRD')
  t.is((await chatSubject(text, 'chat', dialogues, 40)).tokens.length, 40)
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
  const found = await needles(new FakeScorer(), text, 1024, 2, seededRandom(2))
  t.deepEqual(found.map(({ situation }) => situation), ['before a truncation', `after it: ${REFERENCE.name}`, `after it: ${OURS.name}`])
  for (const { found: right, asked } of found) t.true(asked > 0 && right === asked)
  const blind: Scorer = { score: async tokens => ({ nll: new Float32Array(tokens.length - 1), best: new Uint32Array(tokens.length - 1) }) }
  for (const { found: right } of await needles(blind, text, 1024, 2, seededRandom(2))) t.is(right, 0)
})

test('a corpus is read plain, and what is wrong with it is named', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string, lines: readonly unknown[]): string => {
    const path = join(folder, name)
    writeFileSync(path, lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    return path
  }
  t.is(await readText(file('prose.jsonl', [{ title: 'a', text: 'short' }, { title: 'b', text: 'the longest' }])), 'the longest')
  const paths = [[['user', 'a'], ['assistant', 'b']], [['user', 'a'], ['assistant', 'b'], ['user', 'c']], [['user', 'x']]]
  const dialogues = await readDialogues(file('chat.jsonl', paths.map(turns => ({ turns }))))
  t.deepEqual(dialogues.map(({ turns }) => turns.length), [3, 1])
  await t.throwsAsync(readText(file('other.jsonl', [{ turns: [] }])), { code: 'invalid_corpus' })
  await t.throwsAsync(readDialogues(file('odd.jsonl', [{ turns: [['user', 1]] }])), { code: 'invalid_corpus' })
  await t.throwsAsync(readText(file('bad.jsonl', ['{'])), { code: 'invalid_corpus' })
  await t.throwsAsync(readText(file('bad.xz', ['\ufffd7zXZ'])), { code: 'invalid_corpus' })
  await t.throwsAsync(readText(join(folder, 'none')), { code: 'corpus_missing' })
})

test('the report has a row a method, and leaves out what was not asked for', async t => {
  const subject = await proseSubject(text, 'prose', 'once upon a time '.repeat(200), 900)
  const prose = [await perplexity(new FakeScorer(), subject, 256, METHODS, seededRandom(1))]
  const table = report({ model: 'm', prose, answers: [], needles: [] })
  t.is(table.split('\n').filter(line => line.startsWith('|')).length, 2 + METHODS.length)
  t.true(table.includes('| +0.5000 (+0.5000 … +0.5000) |'))
  t.is(report({ model: 'm', prose: [], answers: [], needles: [] }), '')
})
