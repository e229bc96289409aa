import { createHash } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import type { Block } from '../../ts/directory/block.js'
import { Directory } from '../../ts/directory/directory.js'
import { SlotPool } from '../../ts/directory/slots.js'
import { reuseLength, wholeView, type View } from '../../ts/directory/view.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'

const ROOT = 'r'.repeat(32)

function keyOf(parent: string, tokens: Uint32Array): string {
  return createHash('sha256').update(parent, 'binary').update(tokens.join()).digest('binary')
}

/** Puts a chain over `tokens` into hbm; answers its blocks and keys. */
function store(directory: Directory, tokens: readonly number[]): { blocks: Block[]; keys: string[] } {
  const blocks: Block[] = []
  const keys: string[] = []
  for (let from = 0; from < tokens.length; from += BLOCK_TOKENS) {
    const own = Uint32Array.from(tokens.slice(from, from + BLOCK_TOKENS))
    const parent = keys.at(-1) ?? ROOT
    keys.push(keyOf(parent, own))
    const block = directory.obtain(keys.at(-1) as string, parent, from / BLOCK_TOKENS, own)
    if (!block.has('hbm')) directory.reserve('hbm')?.become(block, 'present')
    blocks.push(block)
  }
  directory.checkIntegrity()
  return { blocks, keys }
}

function fullKeys(tokens: readonly number[]): string[] {
  const keys: string[] = []
  for (let from = 0; from + BLOCK_TOKENS <= tokens.length; from += BLOCK_TOKENS) {
    keys.push(keyOf(keys.at(-1) ?? ROOT, Uint32Array.from(tokens.slice(from, from + BLOCK_TOKENS))))
  }
  return keys
}

function matched(directory: Directory, tokens: readonly number[]) {
  return directory.match(ROOT, fullKeys(tokens), Uint32Array.from(tokens), wholeView)
}

const count = (length: number, start = 0): number[] => Array.from({ length }, (_, i) => start + i)
const fresh = (): Directory => new Directory({ hbm: 32, dram: 8, ssd: 8 })

// Reuse length

test('a prompt that is there in full leaves its last token to compute', t => {
  t.is(reuseLength(128, [64, 64], wholeView), 127)
  t.is(reuseLength(129, [64, 64, 1], wholeView), 128)
  t.is(reuseLength(1, [1], wholeView), 0)
})

test('reuse ends at the first token that is missing', t => {
  t.is(reuseLength(300, [64, 64, 0, 64, 44], wholeView), 128)
  t.is(reuseLength(300, [64, 30, 64], wholeView), 94)
  t.is(reuseLength(300, [0, 64, 64], wholeView), 0)
})

/** Head of 64, window of 256, step of 96: as docs/architecture.md, "The view". */
const windowed: View = token => {
  const epoch = token < 256 ? 0 : 1 + Math.floor((token - 256) / 96)
  const from = 64 + epoch * 96
  return from > 64 ? [[0, Math.min(64, token + 1)], [from, token + 1]] : [[0, token + 1]]
}

function naiveReuse(n: number, present: readonly number[], view: View): number {
  const isPresent = (token: number) => token % 64 < (present[Math.floor(token / 64)] ?? 0)
  for (let r = n - 1; r > 0; r--) {
    let isComplete = true
    for (const [from, to] of view(r)) for (let token = from; token < Math.min(to, r); token++) isComplete &&= isPresent(token)
    if (isComplete) return r
  }
  return 0
}

test('the reuse length of any view is that of a search token by token', t => {
  const presence = fc.array(fc.constantFrom(0, 1, 30, 63, 64, 64, 64, 64), { minLength: 10, maxLength: 10 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 640 }), presence, fc.constantFrom(wholeView, windowed), (n, present, view) => {
      t.is(reuseLength(n, present, view), naiveReuse(n, present, view))
    }),
    { numRuns: 60 },
  )
})

test('blocks that no token sees need not exist', t => {
  t.is(reuseLength(400, [64, 0, 0, 64, 64, 64, 16], windowed), 399)
})

// Matching

test('a match runs over full blocks and into the next one', t => {
  const directory = fresh()
  store(directory, count(150))
  const { length, sources } = matched(directory, [...count(140), 9, 9, 9])
  t.is(length, 140)
  t.deepEqual(sources.map(({ index, rows }) => [index, rows]), [[0, 64], [1, 64], [2, 12]])
})

test('a match may end inside a full block: a fork keeps what both share', t => {
  const directory = fresh()
  const { blocks } = store(directory, count(128))
  const { length, sources } = matched(directory, [...count(100), ...count(80, 1000)])
  t.is(length, 100)
  t.is(sources[1]?.block, blocks[1])
  t.is(sources[1]?.rows, 36)
})

test('of several children the one that shares most is taken', t => {
  const directory = fresh()
  store(directory, [...count(64), 1, 2, 3])
  store(directory, [...count(64), 1, 2, 3, 4, 5])
  store(directory, [...count(64), 1, 9])
  t.is(matched(directory, [...count(64), 1, 2, 3, 4, 8, 8]).length, 68)
})

test('what is filling is not found', t => {
  const directory = fresh()
  const tokens = Uint32Array.from(count(64))
  const block = directory.obtain(keyOf(ROOT, tokens), ROOT, 0, tokens)
  directory.reserve('hbm')?.become(block, 'filling')
  t.is(matched(directory, count(70)).length, 0)
  directory.complete(block, 'hbm')
  t.is(matched(directory, count(70)).length, 64)
})

// Ownership

test('a block goes with its last copy', t => {
  const directory = fresh()
  const { blocks } = store(directory, count(64))
  const block = blocks[0] as Block
  directory.reserve('dram')?.become(block, 'present')
  directory.removeCopy(block, 'hbm')
  t.is(matched(directory, count(70)).length, 64)
  directory.removeCopy(block, 'dram')
  t.true(block.gone)
  t.is(matched(directory, count(70)).length, 0)
  directory.checkIntegrity()
  t.is(directory.pools.hbm.free, 32)
})

test('taking a block over leaves its slot with the sequence, and its other copies in place', t => {
  const directory = fresh()
  const { blocks } = store(directory, count(30))
  const block = blocks[0] as Block
  directory.reserve('dram')?.become(block, 'present')
  const { slot } = directory.takeOver(block)
  directory.checkIntegrity()
  t.true(directory.reserved.hbm.has(slot))
  t.is(block.tier, 'dram')
})

test('an orphaned block is out of sight at once, and its slot is free when the last sequence lets go', t => {
  const directory = fresh()
  const block = store(directory, count(64)).blocks[0] as Block
  directory.ref(block)
  directory.ref(block)
  directory.orphan(block)
  t.is(matched(directory, count(70)).length, 0)
  directory.checkIntegrity()
  directory.unref(block, -1)
  t.is(directory.pools.hbm.free, 31)
  directory.unref(block, -1)
  t.is(directory.pools.hbm.free, 32)
  directory.checkIntegrity()
})

test('a longer block supersedes the partly filled ones it begins with', t => {
  const directory = fresh()
  const short = store(directory, count(10)).blocks[0]
  const other = store(directory, [...count(9), 99]).blocks[0]
  const long = store(directory, count(20)).blocks[0] as Block
  t.deepEqual(directory.superseded(long), [short])
  t.false(directory.superseded(long).includes(other as Block))
})

// Integrity

test('every kind of broken table is found', t => {
  const broken: Array<(directory: Directory, block: Block) => void> = [
    (directory, block) => directory.inTier.hbm.delete(block),
    (directory, block) => void (directory.reserved.hbm.add(block.copies.hbm.slot)),
    (directory, block) => directory.pools.hbm.give(block.copies.hbm.slot),
    (directory, block) => directory.blocks.delete(block.key),
    (directory, block) => directory.children.remove(block),
    (_, block) => void (block.refs = -1),
    (_, block) => void (block.copies.hbm.state = 'absent'),
    (_, block) => void (block.durable = true),
    (directory) => void directory.pools.dram.take(),
  ]
  broken.forEach((damage, i) => {
    const directory = fresh()
    const block = store(directory, count(64)).blocks[0] as Block
    damage(directory, block)
    t.throws(() => directory.checkIntegrity(), undefined, `damage ${i}`)
  })
})

// Reservations

test('a reservation ends once: as a copy, or given back', t => {
  const directory = fresh()
  const { free } = directory.pools.hbm
  const [kept, given] = [directory.reserve('hbm'), directory.reserve('hbm')]
  kept?.become(directory.obtain('key', 'parent', 0, new Uint32Array(64)), 'present')
  kept?.dispose()
  given?.dispose()
  given?.dispose()
  directory.checkIntegrity()
  t.is(directory.pools.hbm.free, free - 1)
  t.throws(() => given?.become(directory.obtain('other', 'parent', 0, new Uint32Array(64)), 'present'), { message: /not reserved/ })
})

// Slots

test('a slot that a step or a transfer still names is not handed out', t => {
  const pool = new SlotPool(1)
  const slot = pool.take()
  pool.nameInStep(slot, 3)
  pool.pin(slot)
  pool.give(slot)
  t.is(pool.take(), -1)
  pool.answered(3)
  t.is(pool.take(), -1)
  pool.unpin(slot)
  t.is(pool.take(), slot)
})

test('giving a slot back twice, or unpinning one too often, is refused', t => {
  const pool = new SlotPool(2)
  const slot = pool.take()
  pool.give(slot)
  t.throws(() => pool.give(slot))
  t.throws(() => pool.unpin(slot))
})
