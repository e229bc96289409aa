// The contract of a tier below dram, whichever way its copies are addressed: by slots that the directory allots, or by the
// blocks' keys alone. A test file says how to make one; blocks are computed, moved and read back by a real engine.

import type { ExecutionContext, TestFn } from 'ava'
import { BLOCK_TOKENS, type BlockKey } from '../../ts/engine/types.js'
import { generate, promptOf, slotsFrom, tablesOf, type EngineDriver } from './driver.js'

/** A full block and the dram slot that its bytes come from, or go to. */
export interface Placed {
  readonly key: BlockKey
  readonly dramSlot: number
}

/** A tier with its engine. `put` and `get` answer the error code; undefined: done. */
export interface TestedTier {
  readonly driver: EngineDriver
  /** The most blocks that it holds. */
  readonly capacity: number
  put(block: Placed): Promise<string | undefined>
  get(block: Placed): Promise<string | undefined>
  has(keys: readonly BlockKey[]): Promise<readonly boolean[]>
  delete(keys: readonly BlockKey[]): Promise<void>
  /** The bytes under this key are another block's from now on, as after a crash or on a medium that decays. */
  damage(block: Placed): Promise<void>
  close(): Promise<void>
}

export type TierFactory = () => Promise<TestedTier>

/** A block of the test: the first of a prompt of its own. */
interface Computed extends Placed {
  readonly prompt: Uint32Array
  /** The prompt's answer where everything is computed. */
  readonly answer: readonly number[]
}

const BEGINNINGS = ['One beginning: ', 'Another beginning: ', 'And a third one: ']
/** Hbm slots: of the first computation, and of what is read back. */
const COMPUTED_IN = 0
const READ_INTO = 12
/** A dram slot that no block of the test comes from. */
const FREE_DRAM = 7
const ANSWER_TOKENS = 3

/** Computes a block and saves it to dram slot `dramSlot`. */
async function computed({ driver }: TestedTier, dramSlot: number): Promise<Computed> {
  const { engine } = driver
  const prompt = await promptOf(driver, 1, BEGINNINGS[dramSlot])
  const spec = driver.add(prompt)
  const tables = tablesOf(spec.sequence, slotsFrom(COMPUTED_IN, prompt.length + ANSWER_TOKENS))
  const { tokens: answer } = await generate(driver, spec, ANSWER_TOKENS, { tables })
  engine.dropSequence(spec.sequence)
  await driver.transfer({ kind: 'save', hbmSlot: COMPUTED_IN, dramSlot, valid: BLOCK_TOKENS })
  const [key] = (await engine.text.keys(spec.root, prompt, null)) as [BlockKey]
  return { key, dramSlot, prompt, answer }
}

/** The answer to the block's prompt where the block comes from the tier; the error code if it does not. */
async function answerFrom(tier: TestedTier, { key, prompt }: Computed): Promise<readonly number[] | string> {
  const { driver } = tier
  const error = await tier.get({ key, dramSlot: FREE_DRAM })
  if (error !== undefined) return error
  await driver.transfer({ kind: 'load', dramSlot: FREE_DRAM, hbmSlot: READ_INTO })
  const spec = driver.add(prompt)
  const tables = tablesOf(spec.sequence, slotsFrom(READ_INTO, prompt.length + ANSWER_TOKENS))
  const { tokens } = await generate(driver, spec, ANSWER_TOKENS, { computed: BLOCK_TOKENS, tables })
  driver.engine.dropSequence(spec.sequence)
  return tokens
}

/** Keys of blocks that were never computed. */
function keysLike({ driver }: TestedTier, count: number): BlockKey[] {
  const { text } = driver.engine
  const root = text.root('', '')
  return Array.from({ length: count }, (_, i) => text.blockKey(root, 0, Uint32Array.from({ length: BLOCK_TOKENS }, (_, at) => (at === 0 ? i : 1)), null))
}

/** Declares the suite's tests, one after another: engines use every core. */
export function tierContract(test: TestFn, name: string, factory: TierFactory): void {
  const withTier = (title: string, run: (t: ExecutionContext, tier: TestedTier) => Promise<void>): void => {
    test.serial(`${name}: ${title}`, async t => {
      const tier = await factory()
      try {
        await run(t, tier)
      } finally {
        await tier.close()
      }
    })
  }

  withTier('a block that was put is read back under its key, and under no other', async (t, tier) => {
    const blocks = [await computed(tier, 0), await computed(tier, 1)]
    for (const block of blocks) t.is(await tier.put(block), undefined)
    for (const block of blocks) t.deepEqual(await answerFrom(tier, block), block.answer)
    const [other] = keysLike(tier, 1) as [BlockKey]
    t.is(await tier.get({ key: other, dramSlot: FREE_DRAM }), 'absent')
  })

  withTier('a key that was never put is absent, and the answers come in the order asked', async (t, tier) => {
    const block = await computed(tier, 0)
    const [before, after] = keysLike(tier, 2) as [BlockKey, BlockKey]
    t.deepEqual(await tier.has([before, block.key, after]), [false, false, false])
    t.is(await tier.get({ key: block.key, dramSlot: FREE_DRAM }), 'absent')
    await tier.put(block)
    t.deepEqual(await tier.has([before, block.key, after]), [false, true, false])
    t.deepEqual(await tier.has([]), [])
  })

  withTier('a deleted block is absent, the others stay, and it can be put again', async (t, tier) => {
    const blocks = [await computed(tier, 0), await computed(tier, 1)] as const
    for (const block of blocks) await tier.put(block)
    const [gone, stays] = blocks
    await tier.delete([gone.key])
    t.deepEqual(await tier.has([gone.key, stays.key]), [false, true])
    t.is(await tier.get({ key: gone.key, dramSlot: FREE_DRAM }), 'absent')
    t.deepEqual(await answerFrom(tier, stays), stays.answer)
    await tier.delete([gone.key])
    t.is(await tier.put(gone), undefined)
    t.deepEqual(await answerFrom(tier, gone), gone.answer)
  })

  withTier('damaged bytes are refused, and a block that is put anew is whole', async (t, tier) => {
    const [block, other] = [await computed(tier, 0), await computed(tier, 1)]
    await tier.put(block)
    await tier.damage({ key: block.key, dramSlot: other.dramSlot })
    t.is(await tier.get({ key: block.key, dramSlot: FREE_DRAM }), 'kv_damaged')
    await tier.delete([block.key])
    t.is(await tier.put(block), undefined)
    t.deepEqual(await answerFrom(tier, block), block.answer)
  })

  withTier('it holds no more blocks than its capacity, and each of those it holds is whole', async (t, tier) => {
    const block = await computed(tier, 0)
    const keys = keysLike(tier, tier.capacity + 3)
    const refused: BlockKey[] = []
    for (const key of keys) {
      const error = await tier.put({ key, dramSlot: block.dramSlot })
      t.true(error === undefined || error === 'full', error)
      if (error === 'full') refused.push(key)
    }
    const there = await tier.has(keys)
    const held = keys.filter((_, i) => there[i])
    t.is(held.length, tier.capacity)
    for (const key of refused) t.false(held.includes(key))
    for (const [i, key] of keys.entries()) t.is(await tier.get({ key, dramSlot: FREE_DRAM }), there[i] ? undefined : 'absent')
  })

  withTier('a block that is said to be there while it is put is whole, and it is there when the put has ended', async (t, tier) => {
    const block = await computed(tier, 0)
    const putting = tier.put(block)
    const [isThere] = await tier.has([block.key])
    if (isThere) t.deepEqual(await answerFrom(tier, block), block.answer)
    t.is(await putting, undefined)
    t.deepEqual(await tier.has([block.key]), [true])
    t.deepEqual(await answerFrom(tier, block), block.answer)
  })
}
