// The check of the tables while nothing happens: in pieces, and never over tables that change.

import test from 'ava'
import { Directory } from '../../ts/directory/directory.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { IntegrityWatch } from '../../ts/service/integrity-watch.js'

/** A check of ten pieces, of which each is counted, and a server that can be busy or changed. */
function watched() {
  const clock = new VirtualClock()
  const state = { pieces: 0, ended: 0, isIdle: true, version: 0, broken: [] as unknown[] }
  const check = function* (): Iterable<void> {
    for (let piece = 0; piece < 10; piece++) {
      state.pieces++
      yield
    }
    state.ended++
  }
  const watch = new IntegrityWatch(clock, { isIdle: () => state.isIdle, version: () => state.version, check, broken: thrown => void state.broken.push(thrown) })
  return { clock, state, watch }
}

test('a check goes on a piece at a time, and another one may begin when it has ended', async t => {
  const { clock, state, watch } = watched()
  watch.begin()
  t.is(state.pieces, 1)
  watch.begin()
  await clock.advance(0)
  t.like(state, { pieces: 10, ended: 1 })
  watch.begin()
  await clock.advance(0)
  t.like(state, { pieces: 20, ended: 2 })
})

for (const [name, happen] of [
  ['a request has come', state => (state.isIdle = false)],
  ['the tables have changed', state => state.version++],
] as ReadonlyArray<readonly [string, (state: ReturnType<typeof watched>['state']) => unknown]>) {
  test(`a check is given up when ${name}, and the next one begins anew`, async t => {
    const { clock, state, watch } = watched()
    watch.begin()
    happen(state)
    await clock.advance(0)
    t.like(state, { pieces: 1, ended: 0 })
    state.isIdle = true
    watch.begin()
    await clock.advance(0)
    t.like(state, { pieces: 11, ended: 1 })
  })
}

test('while something runs no check begins, and none goes on after the stop', async t => {
  const { clock, state, watch } = watched()
  state.isIdle = false
  watch.begin()
  t.is(state.pieces, 0)
  state.isIdle = true
  watch.begin()
  watch.stop()
  await clock.advance(0)
  t.like(state, { pieces: 1, ended: 0 })
})

test('what is wrong anywhere is found in some piece', async t => {
  const clock = new VirtualClock()
  const directory = new Directory({ hbm: 8, dram: 8, ssd: 3000 })
  for (let number = 0; number < 3000; number++) {
    const block = directory.obtain(`key ${number}`, number < 1500 ? 'root' : `key ${number - 1500}`, 0, Uint32Array.of(number, 1))
    directory.reserve('ssd')?.become(block, 'present')
  }
  const pieces = [...directory.checks()].length
  t.true(pieces > 20, `${pieces} pieces`)
  let failure: unknown = null
  const check = function* (): Iterable<void> {
    try {
      yield* directory.checks()
    } catch (error) {
      failure = error
    }
  }
  const watch = new IntegrityWatch(clock, { isIdle: () => true, version: () => directory.version, check, broken: thrown => t.fail(String(thrown)) })
  watch.begin()
  await clock.advance(0)
  t.is(failure, null)
  for (const block of directory.blocks.values()) if (block.key === 'key 2999') block.copies.ssd.children = 1
  watch.begin()
  await clock.advance(0)
  t.regex(String(failure), /ssd: 1 children are counted, there are 0/)
})

test('tables that do not add up are told of, and their check is over', async t => {
  const clock = new VirtualClock()
  const broken: unknown[] = []
  const wrong = new Error('used + free ≠ total')
  const check = function* (): Iterable<void> {
    yield
    throw wrong
  }
  const watch = new IntegrityWatch(clock, { isIdle: () => true, version: () => 0, check, broken: thrown => broken.push(thrown) })
  watch.begin()
  await clock.advance(0)
  t.deepEqual(broken, [wrong])
})
