// Log probabilities of a prompt's tokens, as every engine gives them.

import type { ScoredToken, SequenceSpec } from '../../ts/engine/types.js'
import { greedy } from '../support/sampling.js'
import { generate, promptOf, slotsFrom, tablesOf, type EngineDriver } from './driver.js'
import type { EngineTest } from './engine.js'

/** Of a GPU other chunks are other kernels. */
const NEAR = 0.02

/** The scores of a prompt that is computed in chunks, and the first tokens of its answer. */
async function scoresOf(driver: EngineDriver, tokens: Uint32Array, top: number, chunk: number, rest: Partial<SequenceSpec> = {}) {
  const spec = driver.add(tokens, { promptLogprobs: top, ...rest })
  const { rows, tokens: answer } = await generate(driver, spec, 3, { chunk, tables: tablesOf(spec.sequence, slotsFrom(0, tokens.length + 3)) })
  driver.engine.dropSequence(spec.sequence)
  return { scores: rows.flatMap(row => row.scored ?? []), answer, perRow: rows.map(row => row.scored?.length ?? 0) }
}

export function promptScoresContract(test: EngineTest): void {
  test('every token of a prompt but the first is scored, whatever the chunks, and tokens of the answer are not', async (t, driver) => {
    const prompt = await promptOf(driver, 2)
    const whole = await scoresOf(driver, prompt, 3, 1000)
    const free = driver.add(prompt)
    const { rows, tokens } = await generate(driver, free, 3, { tables: tablesOf(free.sequence, slotsFrom(8, prompt.length + 3)) })
    t.deepEqual(whole.answer, tokens)
    t.true(rows.every(row => row.scored === undefined))
    for (const chunk of [1000, 17, 64]) {
      const { scores, answer, perRow } = await scoresOf(driver, prompt, 3, chunk)
      t.is(scores.length, prompt.length - 1)
      t.deepEqual(answer, tokens)
      t.deepEqual(perRow.slice(-2), [0, 0])
      scores.forEach((score, i) => {
        t.true(Math.abs(score.logprob - (whole.scores[i] as ScoredToken).logprob) < NEAR, `chunks of ${chunk}, token ${i + 1}`)
      })
    }
  })

  test('a score is told with its rank among the likeliest tokens', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    for (const top of [0, 5]) {
      for (const { logprob, rank, top: likeliest } of (await scoresOf(driver, prompt, top, 50)).scores) {
        t.is(likeliest.length, top)
        t.true(logprob <= 0 && rank >= 1)
        if (rank <= top) t.is((likeliest[rank - 1] as readonly [number, number])[1], logprob)
        else for (const [, other] of likeliest) t.true(other >= logprob)
        t.deepEqual(likeliest, likeliest.toSorted(([, a], [, b]) => b - a))
      }
    }
  })

  test('the score of a token is the log probability that it is sampled with, beside rows that are not scored', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const sampled = driver.add(prompt, { sampling: { ...greedy, logprobs: 2 } })
    const { rows, tokens } = await generate(driver, sampled, 8, { tables: tablesOf(sampled.sequence, slotsFrom(8, prompt.length + 8)) })
    const known = Uint32Array.from([...prompt, ...tokens])
    const other = driver.add(prompt)
    const scored = driver.add(known, { promptLogprobs: 2 })
    const group = (sequence: number, count: number) => ({ sequence, from: 0, count, sample: true })
    const reply = await driver.step({
      tables: [...tablesOf(other.sequence, slotsFrom(16, prompt.length)), ...tablesOf(scored.sequence, slotsFrom(0, known.length))],
      rows: [group(other.sequence, prompt.length), group(scored.sequence, known.length)],
    })
    t.is(reply.rows[0]?.token, tokens[0])
    t.is(reply.rows[0]?.scored, undefined)
    const scores = reply.rows[1]?.scored?.slice(-tokens.length) ?? []
    t.is(scores.length, tokens.length)
    scores.forEach((score, i) => {
      const logprob = rows[i]?.logprob
      t.true(Math.abs(score.logprob - (logprob?.logprob ?? 1)) < NEAR, `${score.logprob} of ${logprob?.logprob}`)
      t.deepEqual(score.top.map(([token]) => token), logprob?.top.map(([token]) => token))
    })
  })
}
