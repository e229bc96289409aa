import test from 'ava'
import fc from 'fast-check'
import { viewOf } from '../../ts/directory/view.js'
import { BLOCK_TOKENS, type ViewParameters } from '../../ts/engine/types.js'
import { epochOf, hiddenBlocks, keyedView, leftOut, MIN_WINDOW, nextEdge, viewBlocks, viewParameters } from '../../ts/engine/view.js'

const blocks = (tokens: number): number => tokens * BLOCK_TOKENS

/** Any window, head and step that a server can come to. */
const views = fc
  .record({ window: fc.integer({ min: MIN_WINDOW, max: 5000 }), ratio: fc.double({ min: 0.001, max: 1, noNaN: true }), system: fc.integer({ min: 0, max: 3000 }) })
  .map(({ window, ratio, system }) => viewParameters(window, ratio, system))

const tokenIn = (view: ViewParameters) => fc.integer({ min: 0, max: 8 * view.window })
const viewAndToken = views.chain(view => fc.tuple(fc.constant(view), tokenIn(view)))

test('window, head and step are whole blocks within their bounds', t => {
  const given = fc.record({ window: fc.integer({ min: MIN_WINDOW, max: 100_000 }), ratio: fc.double({ min: 0.0001, max: 1, noNaN: true }), system: fc.nat(200_000) })
  fc.assert(
    fc.property(given, ({ window, ratio, system }) => {
      const view = viewParameters(window, ratio, system)
      for (const tokens of Object.values(view)) t.is(tokens % BLOCK_TOKENS, 0)
      t.is(view.window, window - (window % BLOCK_TOKENS))
      t.true(view.head >= Math.min(system, view.window / 4 - 63) && view.head >= BLOCK_TOKENS && view.head <= Math.max(BLOCK_TOKENS, view.window / 4))
      t.true(view.step >= BLOCK_TOKENS && view.step <= view.window - view.head)
      t.true(Math.abs(view.step - ratio * (view.window - view.head)) <= BLOCK_TOKENS)
    }),
  )
})

test('the parameters of a few windows', t => {
  t.deepEqual(viewParameters(1024, 0.5, 0), { window: 1024, head: 64, step: 448 })
  t.deepEqual(viewParameters(1087, 0.5, 65), { window: 1024, head: 128, step: 448 })
  t.deepEqual(viewParameters(256, 1, 1000), { window: 256, head: 64, step: 192 })
  t.deepEqual(viewParameters(8192, 0.0001, 5000), { window: 8192, head: 2048, step: 64 })
})

test('a token sees the head, itself and never more than the window', t => {
  fc.assert(
    fc.property(viewAndToken, ([view, token]) => {
      const epoch = token < view.window ? 0 : 1 + Math.floor((token - view.window) / view.step)
      t.is(epochOf(view, token), epoch)
      const ranges = viewOf(view)(token)
      t.deepEqual(ranges, epoch === 0 ? [[0, token + 1]] : [[0, view.head], [view.head + epoch * view.step, token + 1]])
      const seen = ranges.reduce((sum, [from, to]) => sum + to - from, 0)
      t.true(seen <= view.window)
      t.is(seen, token + 1 - leftOut(view, token))
      t.true(ranges.every(([from, to]) => from < to))
    }),
  )
})

test('between two edges nothing leaves the view, and at an edge a step of it does', t => {
  fc.assert(
    fc.property(viewAndToken, ([view, token]) => {
      const edge = nextEdge(view, token)
      t.true(edge > token)
      t.is(leftOut(view, edge - 1), leftOut(view, token))
      t.is(leftOut(view, edge), leftOut(view, token) + view.step)
      const end = Math.ceil((token + 1) / BLOCK_TOKENS)
      const { from, to } = hiddenBlocks(view, token)
      t.deepEqual(viewBlocks(view, token, end), Array.from({ length: end }, (_, i) => i).filter(i => i < from || i >= to))
      t.is(keyedView(view, Math.floor(token / BLOCK_TOKENS)), blocks(Math.floor(token / BLOCK_TOKENS)) >= view.window ? view : null)
    }),
  )
})

test('a conversation that begins without what its view leaves out sees the same from then on', t => {
  const cases = viewAndToken.chain(([view, token]) => fc.tuple(fc.constant(view), fc.constant(token), fc.nat(3 * view.window)))
  fc.assert(
    fc.property(cases, ([view, begin, further]) => {
      const dropped = leftOut(view, begin)
      const token = begin + further
      // Token i of the history is token i − dropped of the sequence that began cold; its head is the history's.
      const inHistory = (index: number): number => (index < view.head ? index : index + dropped)
      const cold = viewOf(view)(token - dropped).flatMap(([from, to]) => splitAtHead(from, to, view.head))
      const mapped = cold.map(([from, to]): [number, number] => [inHistory(from), inHistory(to - 1) + 1])
      const whole = viewOf(view)(token).flatMap(([from, to]) => splitAtHead(from, to, view.head))
      if (dropped === 0 || token - dropped >= view.head) t.deepEqual(mapped, whole)
      t.is(epochOf(view, token - dropped), epochOf(view, token) - dropped / view.step)
    }),
  )
})

function splitAtHead(from: number, to: number, head: number): Array<[number, number]> {
  return from < head && to > head ? [[from, head], [head, to]] : [[from, to]]
}
