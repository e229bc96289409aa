// The contract of an engine. Every implementation passes the same suite; a test file only says how to make one.

import type { ExecutionContext, TestFn } from 'ava'
import { BLOCK_TOKENS, type Engine, type RowResult, type TierName } from '../../ts/engine/types.js'
import { greedy } from '../support/sampling.js'
import { EngineDriver, generate, promptOf, slotsFrom, tablesOf, written } from './driver.js'
import { promptScoresContract } from './prompt-scores.js'
import { rulesContract } from './rules.js'
import { textContract } from './text.js'
import { viewContract } from './view.js'

export interface EngineRequest {
  /** The least number of slots of each tier. */
  readonly slots: Readonly<Record<TierName, number>>
}

/** Makes a fresh engine with empty tiers. The suite closes it. */
export type EngineFactory = (request: EngineRequest) => Promise<Engine>

const SLOTS = { hbm: 24, dram: 8, ssd: 8 }

/** Declares the suite's tests. They run one after another: engines use every core. */
export function engineContract(test: TestFn, factory: EngineFactory): void {
  const withEngine = (title: string, run: (t: ExecutionContext, driver: EngineDriver) => Promise<void>): void => {
    test.serial(title, async t => {
      const engine = await factory({ slots: SLOTS })
      try {
        await run(t, new EngineDriver(engine))
      } finally {
        await engine.close()
      }
    })
  }
  textContract(withEngine)
  viewContract(withEngine)
  computing(withEngine)
  protocol(withEngine)
  moving(withEngine)
  ending(withEngine)
  rulesContract(withEngine)
  promptScoresContract(withEngine)
}

export type EngineTest = (title: string, run: (t: ExecutionContext, driver: EngineDriver) => Promise<void>) => void

/** The answer to `tokens`, computed in one go in slots that nothing else uses. */
async function answerTo(driver: EngineDriver, tokens: Uint32Array, count: number, firstSlot = 0): Promise<readonly number[]> {
  const spec = driver.add(tokens)
  const tables = tablesOf(spec.sequence, slotsFrom(firstSlot, tokens.length + count))
  const { tokens: answer } = await generate(driver, spec, count, { tables })
  driver.engine.dropSequence(spec.sequence)
  return answer
}

function computing(test: EngineTest): void {
  test('chunks of prefill of any size give the same tokens', async (t, driver) => {
    const prompt = await promptOf(driver, 2)
    const whole = await answerTo(driver, prompt, 6)
    for (const chunk of [17, 64, 100]) {
      const spec = driver.add(prompt)
      const tables = tablesOf(spec.sequence, slotsFrom(8, prompt.length + 6))
      t.deepEqual((await generate(driver, spec, 6, { chunk, tables })).tokens, whole, `chunks of ${chunk}`)
    }
  })

  test('what else is in the batch changes nothing', async (t, driver) => {
    const prompts = [await promptOf(driver, 1), await promptOf(driver, 1, 'Quite another beginning: ')]
    const alone: number[][] = []
    for (const prompt of prompts) alone.push([...(await answerTo(driver, prompt, 4))])
    const specs = prompts.map(prompt => driver.add(prompt))
    const together: number[][] = [[], []]
    for (let round = 0; round < 4; round++) {
      const rows = specs.map(({ sequence, tokens }) =>
        round === 0
          ? { sequence, from: 0, count: tokens.length, sample: true }
          : { sequence, from: tokens.length + round - 1, count: 1, sample: true },
      )
      const tables = round > 0 ? [] : specs.flatMap((spec, i) => tablesOf(spec.sequence, slotsFrom(i * 8, spec.tokens.length + 4)))
      const reply = await driver.step({ rows, tables })
      reply.rows.forEach((row, i) => together[i]?.push(row.token as number))
    }
    t.deepEqual(together, alone)
  })

  test('the same seed gives the same tokens, another one others', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const sample = async (seed: bigint, firstSlot: number) => {
      const spec = driver.add(prompt, { sampling: { ...greedy, temperature: 20, seed } })
      return (await generate(driver, spec, 12, { tables: tablesOf(spec.sequence, slotsFrom(firstSlot, prompt.length + 12)) })).tokens
    }
    const first = await sample(5n, 0)
    t.deepEqual(await sample(5n, 4), first)
    t.notDeepEqual(await sample(6n, 8), first)
  })

  test('filled blocks are reported with the keys of the chain', async (t, driver) => {
    const prompt = await promptOf(driver, 2)
    const spec = driver.add(prompt)
    const { rows, tokens } = await generate(driver, spec, 60, { tables: tablesOf(spec.sequence, slotsFrom(0, prompt.length + 60)) })
    const known = Uint32Array.from([...prompt, ...tokens])
    const keys = await driver.engine.text.keys(spec.root, known, null)
    const filled = rows.flatMap(row => row.filled)
    t.deepEqual(filled, [0, 1, 2].map(index => ({ index, key: keys[index] as string })))
  })
}

function protocol(test: EngineTest): void {
  test('two plans may be unanswered, a third is refused', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const spec = driver.add(prompt)
    const { sequence } = spec
    const tables = tablesOf(sequence, slotsFrom(0, prompt.length + 3))
    const first = driver.step({ tables, rows: [{ sequence, from: 0, count: prompt.length, sample: true }] })
    const second = driver.step({ rows: [{ sequence, from: prompt.length, count: 1, sample: true }] })
    t.throws(() => void driver.step({ rows: [{ sequence, from: prompt.length + 1, count: 1, sample: true }] }))
    const ahead = [(await first).rows[0]?.token, (await second).rows[0]?.token]
    t.deepEqual(ahead, await answerTo(driver, prompt, 2, 8))
  })

  test('replies come in order and name the rows in the order of the plan', async (t, driver) => {
    const prompt = await promptOf(driver, 0)
    const specs = [driver.add(prompt), driver.add(prompt), driver.add(prompt)]
    const tables = specs.flatMap((spec, i) => tablesOf(spec.sequence, [i]))
    const [a, b, c] = specs.map(({ sequence }) => ({ sequence, from: 0, count: prompt.length, sample: true }))
    const rows = [c, a, b].filter(row => row !== undefined)
    const reply = await driver.step({ tables, rows })
    t.deepEqual(reply.rows.map(row => row.sequence), rows.map(row => row.sequence))
    t.true(reply.stepMs >= reply.loadStallMs)
  })

  test('rows planned for a sequence that has finished are no-ops, and their saves compute nothing', async (t, driver) => {
    const prompt = (await promptOf(driver, 1)).slice(0, BLOCK_TOKENS - 1)
    const spec = driver.add(prompt, { maxTokens: 1 })
    const { sequence } = spec
    const first = driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: prompt.length, sample: true }] })
    const { save, done } = driver.save({ sequence, index: 0, dramSlot: 0, valid: BLOCK_TOKENS })
    const second = driver.step({ rows: [{ sequence, from: prompt.length, count: 1, sample: true }], saves: [save] })
    t.is((await first).rows[0]?.finish, 'length')
    const noop = (await second).rows[0] as RowResult
    t.is(noop.status, 'noop')
    t.is(noop.token, undefined)
    t.deepEqual(noop.filled, [])
    t.is((await done).error, 'not_computed')
  })

  test('a reset empties the table: the sequence goes on in other slots', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const expected = await answerTo(driver, prompt, 6)
    const spec = driver.add(prompt)
    const { sequence } = spec
    const { tokens } = await generate(driver, spec, 3, { tables: tablesOf(sequence, slotsFrom(0, prompt.length + 6)) })
    const known = prompt.length + 3
    const tables = tablesOf(sequence, slotsFrom(8, known + 3))
    const again = await driver.step({ resets: [sequence], tables, rows: [{ sequence, from: 0, count: known, sample: true }] })
    t.deepEqual([...tokens, again.rows[0]?.token], expected.slice(0, 4))
  })
}

function moving(test: EngineTest): void {
  test('a block saved beside its step and loaded elsewhere gives the same tokens', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const expected = await answerTo(driver, prompt, 4)
    const { sequence } = driver.add(prompt)
    const { save, done } = driver.save({ sequence, index: 0, dramSlot: 3, valid: BLOCK_TOKENS })
    await driver.step({ tables: tablesOf(sequence, slotsFrom(4, prompt.length)), rows: [{ sequence, from: 0, count: BLOCK_TOKENS, sample: false }], saves: [save] })
    t.is((await done).error, undefined)
    const spec = driver.add(prompt)
    const loaded = driver.transfer({ kind: 'load', dramSlot: 3, hbmSlot: 12 })
    const tables = tablesOf(spec.sequence, [12, 13])
    t.deepEqual((await generate(driver, spec, 4, { computed: BLOCK_TOKENS, tables })).tokens, expected)
    const end = await loaded
    t.is(end.error, undefined)
    t.is(end.bytes >= driver.engine.info.blockBytes, true)
  })

  test('a partly filled block goes to the ssd and back, to the token', async (t, driver) => {
    const prompt = (await promptOf(driver, 1)).slice(0, 40)
    const expected = await answerTo(driver, prompt, 4)
    const { sequence, root } = driver.add(prompt)
    const valid = 39
    await driver.step({ tables: tablesOf(sequence, [4]), rows: [{ sequence, from: 0, count: valid, sample: false }] })
    const key = driver.engine.text.blockKey(root, 0, prompt.slice(0, valid), null)
    t.is((await driver.transfer({ kind: 'save', hbmSlot: 4, dramSlot: 0, valid })).error, undefined)
    t.is((await driver.transfer({ kind: 'write', dramSlot: 0, ssdSlot: 5, block: written(key, valid) })).error, undefined)
    t.is((await driver.transfer({ kind: 'flush' })).error, undefined)
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 5, dramSlot: 1, key, valid })).error, undefined)
    const spec = driver.add(prompt)
    void driver.transfer({ kind: 'load', dramSlot: 1, hbmSlot: 7 })
    t.deepEqual((await generate(driver, spec, 4, { computed: valid, tables: tablesOf(spec.sequence, [7]) })).tokens, expected)
  })

  test('a read that finds another block is damaged', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const { sequence, root } = driver.add(prompt)
    await driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: BLOCK_TOKENS, sample: false }] })
    const [key] = (await driver.engine.text.keys(root, prompt, null)) as [string]
    await driver.transfer({ kind: 'save', hbmSlot: 0, dramSlot: 0, valid: BLOCK_TOKENS })
    await driver.transfer({ kind: 'write', dramSlot: 0, ssdSlot: 2, block: written(key) })
    await driver.transfer({ kind: 'flush' })
    const other = driver.engine.text.blockKey(root, 0, prompt.slice(1, 65), null)
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 2, dramSlot: 1, key: other, valid: BLOCK_TOKENS })).error, 'kv_damaged')
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 2, dramSlot: 1, key, valid: 63 })).error, 'kv_damaged')
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 3, dramSlot: 1, key, valid: BLOCK_TOKENS })).error, 'kv_damaged')
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 2, dramSlot: 1, key, valid: BLOCK_TOKENS })).error, undefined)
    t.is(driver.engine.stats().damagedReads, 3)
  })

  test('an erased slot holds nothing, and can be written again', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const { sequence, root } = driver.add(prompt)
    await driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: BLOCK_TOKENS, sample: false }] })
    const [key] = (await driver.engine.text.keys(root, prompt, null)) as [string]
    const valid = BLOCK_TOKENS
    await driver.transfer({ kind: 'save', hbmSlot: 0, dramSlot: 0, valid })
    for (const ssdSlot of [2, 3]) await driver.transfer({ kind: 'write', dramSlot: 0, ssdSlot, block: written(key) })
    t.is((await driver.transfer({ kind: 'erase', ssdSlot: 2 })).error, undefined)
    t.is((await driver.transfer({ kind: 'flush' })).error, undefined)
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 2, dramSlot: 1, key, valid })).error, 'kv_damaged')
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 3, dramSlot: 1, key, valid })).error, undefined)
    t.is((await driver.transfer({ kind: 'write', dramSlot: 0, ssdSlot: 2, block: written(key) })).error, undefined)
    t.is((await driver.transfer({ kind: 'read', ssdSlot: 2, dramSlot: 1, key, valid })).error, undefined)
  })

  test('the first rows of a block can be copied, and a fork goes on from there', async (t, driver) => {
    const prompt = (await promptOf(driver, 1)).slice(0, 60)
    const fork = Uint32Array.from([...prompt.slice(0, 30), ...prompt.slice(10, 40)])
    const expected = await answerTo(driver, fork, 4)
    const { sequence } = driver.add(prompt)
    await driver.step({ tables: tablesOf(sequence, [4]), rows: [{ sequence, from: 0, count: 50, sample: false }] })
    void driver.transfer({ kind: 'copy', fromHbmSlot: 4, toHbmSlot: 6, valid: 30 })
    const spec = driver.add(fork)
    t.deepEqual((await generate(driver, spec, 4, { computed: 30, tables: tablesOf(spec.sequence, [6]) })).tokens, expected)
    const rest = await driver.step({ rows: [{ sequence, from: 50, count: 10, sample: true }] })
    t.deepEqual([rest.rows[0]?.token], await answerTo(driver, prompt, 1, 8))
  })

  test('bytes and milliseconds of every kind of transfer are counted', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const { sequence, root } = driver.add(prompt)
    await driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: BLOCK_TOKENS, sample: false }] })
    const [key] = (await driver.engine.text.keys(root, prompt, null)) as [string]
    await driver.transfer({ kind: 'save', hbmSlot: 0, dramSlot: 0, valid: BLOCK_TOKENS })
    await driver.transfer({ kind: 'write', dramSlot: 0, ssdSlot: 0, block: written(key) })
    await driver.transfer({ kind: 'read', ssdSlot: 0, dramSlot: 1, key, valid: BLOCK_TOKENS })
    await driver.transfer({ kind: 'load', dramSlot: 1, hbmSlot: 1 })
    const stats = driver.engine.stats()
    for (const bytes of [stats.saveBytes, stats.writeBytes, stats.readBytes, stats.loadBytes]) t.true(bytes >= driver.engine.info.blockBytes)
    t.is(stats.steps, 1)
    t.true(stats.computeMs > 0)
  })
}

function ending(test: EngineTest): void {
  test('an answer ends at max_tokens, with the tokens whose KV was computed and the key of the rest', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const spec = driver.add(prompt, { maxTokens: 5 })
    const { rows, tokens } = await generate(driver, spec, 9, { tables: tablesOf(spec.sequence, slotsFrom(0, prompt.length + 9)) })
    const last = rows.at(-1) as RowResult
    t.is(last.finish, 'length')
    t.is(tokens.length, 5)
    t.is(last.computedTokens, prompt.length + 4)
    const keys = await driver.engine.text.keys(spec.root, Uint32Array.from([...prompt, ...tokens]).slice(0, prompt.length + 4), null)
    t.is(last.tailKey, keys.at(-1))
  })

  test('a stop token ends the answer and is not part of it', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const answer = await answerTo(driver, prompt, 6)
    const stop = answer[4] as number
    const spec = driver.add(prompt, { stopTokens: [stop] })
    const { rows, tokens } = await generate(driver, spec, 6, { tables: tablesOf(spec.sequence, slotsFrom(8, prompt.length + 6)) })
    const last = rows.at(-1) as RowResult
    t.is(last.finish, 'stop')
    t.is(last.stopped, stop)
    t.is(last.token, undefined)
    t.deepEqual(tokens, answer.slice(0, answer.indexOf(stop)))
    t.is(last.computedTokens, prompt.length + answer.indexOf(stop))
  })

  test('a stop string is cut off, and the tokens inside the text are counted', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const answer = await answerTo(driver, prompt, 24)
    const text = await driver.engine.text.decode(Uint32Array.from(answer))
    const stop = text.slice(6, 9)
    const spec = driver.add(prompt, { stop: [stop] })
    const generated = await generate(driver, spec, 24, { tables: tablesOf(spec.sequence, slotsFrom(8, prompt.length + 24)) })
    const last = generated.rows.at(-1) as RowResult
    t.is(generated.text, text.slice(0, text.indexOf(stop)))
    t.is(last.finish, 'stop')
    t.is(last.stopped, stop)
    const inside = generated.tokens.slice(0, last.insideTokens)
    const bytes = Buffer.concat(inside.map(token => driver.engine.text.tokenBytes(token)))
    t.is(bytes.length, last.insideBytes as number)
    t.deepEqual(bytes, Buffer.from(generated.text).subarray(0, bytes.length))
  })

  test('an answer without markers is content, whether or not it is read', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const answer = await answerTo(driver, prompt, 12)
    const tools = [{ name: 'f', parameters: { type: 'object' } }]
    for (const calls of [false, true]) {
      const spec = driver.add(prompt, { output: { tools, calls, startsInReasoning: false } })
      const { rows, tokens, text } = await generate(driver, spec, 12, { tables: tablesOf(spec.sequence, slotsFrom(8, prompt.length + 12)) })
      t.deepEqual(tokens, answer)
      t.true(rows.flatMap(row => row.parts).every(part => part.kind === 'content'))
      t.true((await driver.engine.text.decode(Uint32Array.from(tokens))).startsWith(text))
      t.is(rows.at(-1)?.reasoningTokens ?? 0, 0)
    }
    t.not(driver.engine.info.outputFormat, '')
  })

  test('the beginning of a message that the client wrote is counted with the answer, and not told', async (t, driver) => {
    const prompt = await promptOf(driver, 1)
    const answer = await answerTo(driver, prompt, 6)
    const reading = { tools: [], calls: false, startsInReasoning: false }
    const spec = driver.add(Uint32Array.from([...prompt, ...answer.slice(0, 3)]), { prefill: 3, output: reading, maxTokens: 3 })
    const length = spec.tokens.length
    const { rows, tokens, text } = await generate(driver, spec, 3, { tables: tablesOf(spec.sequence, slotsFrom(0, length + 3)) })
    t.deepEqual(tokens, answer.slice(3), 'the prompt is what it is without')
    const last = rows.at(-1)
    t.is(last?.finish, 'length')
    t.is(last?.insideTokens, 6)
    const whole = Buffer.concat(answer.map(token => driver.engine.text.tokenBytes(token)))
    t.is(last?.insideBytes, whole.length)
    t.true(whole.toString('utf8').endsWith(text))
    t.true(Buffer.byteLength(text) < whole.length)
  })

  test('log probabilities come with as many alternatives as asked for', async (t, driver) => {
    const prompt = await promptOf(driver, 0)
    const spec = driver.add(prompt, { sampling: { ...greedy, logprobs: 3 } })
    const { rows } = await generate(driver, spec, 2, { tables: tablesOf(spec.sequence, [0]) })
    for (const row of rows) {
      t.is(row.logprob?.token, row.token)
      t.is(row.logprob?.top.length, 3)
      t.true((row.logprob?.logprob ?? 1) <= 0)
    }
  })

  test('close may be called twice, and waits for what is under way', async (t, driver) => {
    const prompt = await promptOf(driver, 0)
    const { sequence } = driver.add(prompt)
    const reply = driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: prompt.length, sample: true }] })
    await driver.engine.close()
    await driver.engine.close()
    t.is((await reply).rows[0]?.status, 'ok')
  })
}
