// An engine with a sequence that is longer than its view.

import { BLOCK_TOKENS, type SequenceSpec } from '../../ts/engine/types.js'
import { hiddenBlocks } from '../../ts/engine/view.js'
import type { EngineDriver } from './driver.js'
import { generate, promptOf, slotsFrom, tablesOf } from './driver.js'
import type { EngineTest } from './engine.js'

const VIEW = { window: 256, head: 64, step: 128 }
/** Epoch 2: blocks 1 to 4 are hidden from the last prompt token. */
const PROMPT_BLOCKS = 6
const ANSWER = 5

async function addLong(driver: EngineDriver, spec: Partial<SequenceSpec> = {}): Promise<SequenceSpec> {
  return driver.add(await promptOf(driver, PROMPT_BLOCKS), { view: VIEW, ...spec })
}

function lengthOf(spec: SequenceSpec): number {
  return spec.tokens.length + ANSWER
}

export function viewContract(test: EngineTest): void {
  test('beyond the window a sequence goes on with head and tail, however its prefill is chunked', async (t, driver) => {
    const spec = await addLong(driver)
    const whole = await generate(driver, spec, ANSWER, { tables: tablesOf(spec.sequence, slotsFrom(0, lengthOf(spec))) })
    for (const chunk of [17, 64, 100]) {
      const again = await addLong(driver)
      const tables = tablesOf(again.sequence, slotsFrom(8, lengthOf(again)))
      t.deepEqual((await generate(driver, again, ANSWER, { chunk, tables })).tokens, whole.tokens, `chunks of ${chunk}`)
    }
    const known = Uint32Array.from([...spec.tokens, ...whole.tokens])
    const keys = await driver.engine.text.keys(spec.root, known, VIEW)
    t.deepEqual(whole.rows.flatMap(row => row.filled), keys.slice(0, PROMPT_BLOCKS).map((key, index) => ({ index, key })))
  })

  test('rows across an edge of the view are refused', async (t, driver) => {
    const spec = await addLong(driver)
    const { sequence } = spec
    await driver.step({ tables: tablesOf(sequence, slotsFrom(0, lengthOf(spec))), rows: [{ sequence, from: 0, count: 200, sample: false }] })
    await t.throwsAsync(async () => driver.step({ rows: [{ sequence, from: 200, count: 57, sample: false }] }))
  })

  test('what lies in slots that the view has left behind changes nothing, and need not lie anywhere', async (t, driver) => {
    const spec = await addLong(driver)
    const { sequence } = spec
    const tables = tablesOf(sequence, slotsFrom(0, lengthOf(spec)))
    const expected = (await generate(driver, spec, ANSWER, { tables })).tokens
    const { from, to } = hiddenBlocks(VIEW, spec.tokens.length)
    t.deepEqual([from, to], [1, 5])
    const other = driver.add(await promptOf(driver, 3, 'Another text altogether: '))
    await generate(driver, other, 1, { tables: tablesOf(other.sequence, [1, 2, 3, 4]) })
    const next = driver.step({ rows: [{ sequence, from: lengthOf(spec) - 1, count: 1, sample: true }] })
    const again = await addLong(driver)
    const seen = slotsFrom(0, lengthOf(again)).map((slot, index) => ({ sequence: again.sequence, index, slot }))
    const needed = seen.filter(({ index }) => index < from || index >= to)
    const computed = PROMPT_BLOCKS * BLOCK_TOKENS
    const { tokens } = await generate(driver, again, ANSWER + 1, { computed, tables: needed })
    t.deepEqual(tokens, [...expected, (await next).rows[0]?.token as number])
  })

  test('a sequence that begins where the view of another has come to is an ordinary one', async (t, driver) => {
    const spec = await addLong(driver)
    const hidden = hiddenBlocks(VIEW, spec.tokens.length - 1)
    const kept = Uint32Array.from([
      ...spec.tokens.subarray(0, hidden.from * BLOCK_TOKENS),
      ...spec.tokens.subarray(hidden.to * BLOCK_TOKENS),
    ])
    const answers = []
    for (const view of [VIEW, null]) {
      const cold = driver.add(kept, { view })
      const tables = tablesOf(cold.sequence, slotsFrom(0, lengthOf(cold)))
      answers.push((await generate(driver, cold, ANSWER, { tables })).tokens)
    }
    t.deepEqual(answers[0], answers[1])
  })
}
