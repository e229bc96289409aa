// Many blocks that continue one: what is found among them, and how few of them are looked at.

import test from 'ava'
import fc from 'fast-check'
import type { Block } from '../../ts/directory/block.js'
import { Directory } from '../../ts/directory/directory.js'
import { wholeView } from '../../ts/directory/view.js'
import { BLOCK_TOKENS, type TierName } from '../../ts/engine/types.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'

const ROOT = 'r'.repeat(32)
const SLOTS = 200
const TIER_NAMES = ['hbm', 'dram', 'ssd'] as const

/** A child's first tokens are equal for all; then come these. */
interface Child {
  readonly shared: number
  readonly tail: readonly number[]
}

type Action =
  | { readonly kind: 'add'; readonly child: Child; readonly tier: TierName; readonly isFilling: boolean }
  | { readonly kind: 'copy' | 'complete' | 'drop'; readonly which: number; readonly tier: TierName }

const child = fc.record({ shared: fc.constantFrom(0, 1, 2, 58), tail: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 6, size: 'max' }) })
const tier = fc.constantFrom(...TIER_NAMES)
const added = fc.record({ kind: fc.constant('add' as const), child, tier, isFilling: fc.boolean() })
const changed = fc.record({ kind: fc.constantFrom('copy' as const, 'complete' as const, 'drop' as const), which: fc.nat(), tier })
const actions = fc.array(fc.oneof({ weight: 2, arbitrary: added }, { weight: 3, arbitrary: changed }), { minLength: 1, maxLength: 90, size: 'max' })

const tokensOf = ({ shared, tail }: Child): Uint32Array => Uint32Array.from([...Array.from({ length: shared }, () => 7), ...tail])

function perform(directory: Directory, action: Action, serial: number): void {
  if (action.kind === 'add') {
    const block = directory.obtain(`key ${serial}`, ROOT, 0, tokensOf(action.child))
    directory.reserve(action.tier)?.become(block, action.isFilling ? 'filling' : 'present')
    return
  }
  const blocks = [...directory.blocks.values()]
  const block = blocks[action.which % Math.max(1, blocks.length)]
  if (!block) return
  const { state } = block.copies[action.tier]
  if (action.kind === 'copy' && state === 'absent') directory.reserve(action.tier)?.become(block, 'filling')
  if (action.kind === 'complete' && state === 'filling') directory.complete(block, action.tier)
  if (action.kind === 'drop') directory.removeCopy(block, action.tier)
}

function common(a: Uint32Array, b: Uint32Array): number {
  const at = a.findIndex((token, i) => token !== b[i])
  return at < 0 ? a.length : at
}

/** By order of preference, the greater the better. */
function rank(block: Block, rows: number): number[] {
  return [rows, Number(block.has('hbm')), Number(block.has('dram')), -block.valid, -block.born]
}

function isAfter(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i])
  return at >= 0 && (a[at] as number) > (b[at] as number)
}

function scan(directory: Directory, tokens: Uint32Array, isUsable: (block: Block) => boolean): { key: string; rows: number } | null {
  let best: { block: Block; rows: number } | null = null
  for (const block of directory.blocks.values()) {
    const rows = common(block.tokens, tokens)
    if (block.tier === null || rows === 0 || !isUsable(block)) continue
    if (best === null || isAfter(rank(block, rows), rank(best.block, best.rows))) best = { block, rows }
  }
  return best && { key: best.block.key, rows: best.rows }
}

/** What a prompt finds that begins with `tokens`, and ends with one more: that one is computed. */
function lookUp(directory: Directory, tokens: Uint32Array, isUsable: (block: Block) => boolean): { key: string; rows: number } | null {
  const [source] = directory.match(ROOT, [], Uint32Array.of(...tokens, 999), wholeView, isUsable).sources
  return source ? { key: source.block.key, rows: source.rows } : null
}

const keysOf = (blocks: readonly Block[]): string[] => blocks.map(({ key }) => key).toSorted()

const seed = Number(process.env['SIBLINGS_SEED'] ?? 11)

test('of any siblings, in any tiers, a look-up finds what a scan finds', t => {
  t.log(`SIBLINGS_SEED=${seed}`)
  let found = 0
  fc.assert(
    fc.property(actions, fc.array(child, { minLength: 1, maxLength: 8, size: 'max' }), fc.integer({ min: 5, max: 60 }), (taken, asked, refusedEvery) => {
      const directory = new Directory({ hbm: SLOTS, dram: SLOTS, ssd: SLOTS })
      taken.forEach((action, i) => perform(directory, action, i))
      directory.checkIntegrity()
      // At most 5 of 90 siblings are of another view.
      const isUsable = (block: Block): boolean => block.born % refusedEvery !== 0 || block.born > 5 * refusedEvery
      for (const tokens of asked.map(tokensOf)) {
        const expected = scan(directory, tokens, isUsable)
        if (expected) found++
        t.deepEqual(lookUp(directory, tokens, isUsable), expected)
      }
    }),
    { seed, numRuns: 200 },
  )
  t.true(found > 100)
})

test('of any siblings, the superseded ones are those that a scan finds', t => {
  t.log(`SIBLINGS_SEED=${seed}`)
  let found = 0
  fc.assert(
    fc.property(actions, taken => {
      const directory = new Directory({ hbm: SLOTS, dram: SLOTS, ssd: SLOTS })
      taken.forEach((action, i) => perform(directory, action, i))
      const blocks = [...directory.blocks.values()]
      blocks.filter(block => block.has('hbm')).forEach((block, i) => i % 3 === 0 && directory.ref(block))
      for (const block of blocks) {
        const expected = blocks.filter(({ valid, tokens, refs }) => valid < block.valid && common(tokens, block.tokens) === valid && refs === 0)
        found += expected.length
        t.deepEqual(keysOf(directory.superseded(block)), keysOf(expected))
      }
    }),
    { seed, numRuns: 200 },
  )
  t.log(found)
  t.true(found > 100)
})

test('a parent that comes back has as many children in each tier as there are', t => {
  const directory = new Directory({ hbm: 8, dram: 8, ssd: 8 })
  const put = (key: string, parent: string, name: TierName) => {
    const block = directory.obtain(key, parent, 1, Uint32Array.of(key.length, key.charCodeAt(0)))
    directory.reserve(name)?.become(block, 'present')
    return block
  }
  const parent = put('parent', ROOT, 'hbm')
  const [first] = [put('a', 'parent', 'ssd'), put('b', 'parent', 'ssd'), put('c', 'parent', 'dram')]
  directory.removeCopy(parent, 'hbm')
  directory.removeCopy(first, 'ssd')
  const again = put('parent', ROOT, 'hbm')
  t.deepEqual(TIER_NAMES.map(name => again.copies[name].children), [0, 1, 1])
  directory.checkIntegrity()
})

// How many are looked at

const MANY = 50_000
/** Of a balanced tree of so many, the longest way down has 22 nodes at most; a look-up takes a few such ways. */
const MOST_LOOKED_AT = 400

/** Siblings that begin with `shared` equal tokens, and answer how often one of them was looked at. */
function crowd(shared: number) {
  const directory = new Directory({ hbm: 1, dram: 1, ssd: MANY + 1 })
  const looked = { count: 0 }
  const blocks = Array.from({ length: MANY }, (_, i) => {
    const own = new Uint32Array(48).fill(1000 + ((i * 7919) % MANY))
    own.fill(7, 0, shared)
    const block = directory.obtain(`key ${i}`, ROOT, 0, own)
    directory.reserve('ssd')?.become(block, 'present')
    return block
  })
  for (const block of blocks) {
    const { tokens } = block
    Object.defineProperty(block, 'tokens', { get: () => (looked.count++, tokens) })
  }
  const counted = (work: () => void): number => {
    looked.count = 0
    work()
    return looked.count
  }
  return { directory, blocks, counted }
}

for (const shared of [0, 1, 40]) {
  test(`of ${MANY} siblings that share ${shared} tokens, a few are looked at, and one is asked whether it is usable`, t => {
    const { directory, blocks, counted } = crowd(shared)
    let asked = 0
    const match = (prompt: Uint32Array) => directory.match(ROOT, [], prompt, wholeView, () => (asked++, true))
    const isFew = (looked: number): boolean => t.true(looked <= MOST_LOOKED_AT, `${looked} are looked at`)

    const stranger = Uint32Array.from({ length: BLOCK_TOKENS }, (_, at) => (at < shared ? 7 : 5))
    isFew(counted(() => t.is(match(stranger).length, shared)))
    t.is(asked, Math.min(1, shared))
    const block = blocks[4321] as Block
    const prompt = Uint32Array.of(...block.tokens, 1, 1, 1, 1)
    isFew(counted(() => t.is(match(prompt).sources[0]?.block, block)))

    isFew(counted(() => t.deepEqual(directory.superseded(block), [])))
    isFew(counted(() => directory.reserve('dram')?.become(block, 'filling')))
    isFew(counted(() => directory.complete(block, 'dram')))
    isFew(counted(() => directory.removeCopy(block, 'dram')))
    isFew(counted(() => directory.removeCopy(block, 'ssd')))
    t.true(block.gone)
  })
}

test('where all siblings are of another view, a few are asked, and the block is computed', t => {
  const { directory } = crowd(1)
  let asked = 0
  const prompt = Uint32Array.from({ length: BLOCK_TOKENS }, () => 7)
  t.is(directory.match(ROOT, [], prompt, wholeView, () => (asked++, false)).length, 0)
  t.true(asked > 0 && asked <= 8, `${asked} are asked`)
})

test('how many conversations share a system prompt does not change how many keys a request has made', async t => {
  const served = simulatedService({ slots: { hbm: 1000, dram: 0, ssd: 0 } })
  const { text } = served.engine
  const system = Array.from({ length: 5 * BLOCK_TOKENS }, (_, i) => i % 200)
  const send = async (number: number): Promise<number> => {
    let made = 0
    const { blockKey } = text
    text.blockKey = (...given) => (made++, blockKey.apply(text, given))
    const tokens = Uint32Array.of(...system, 7, 8 + (number % 100), 8 + Math.floor(number / 100), 9, 9)
    const { usage } = await ask(served.service, chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 4 }))
    text.blockKey = blockKey
    t.true(number === 0 || reusedTokens(usage) > system.length)
    return made
  }
  const made: number[] = []
  for (let number = 0; number < 300; number++) made.push(await send(number))
  // The first one has no sibling.
  t.is(made[299], made[1])
  await served.close()
})
