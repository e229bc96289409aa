import test from 'ava'
import { nextTick, shallowRef } from 'vue'
import { settled } from '../../../testing/http.js'
import { inScope } from '../../../testing/scope.js'
import { takenShare } from './pace.js'
import { useBlocks } from './use-blocks.js'

/** A renderer that notes what it is asked for. */
const noting = () => {
  const updates: Array<readonly [string, boolean]> = []
  const update = (text: string, isWhole: boolean) => {
    updates.push([text, isWhole])
    return [text]
  }
  return { updates, load: async () => ({ update }) }
}

test('text is drawn once the renderer is there, and again as it grows, at its end at the latest', async (t) => {
  const [text, isWhole] = [shallowRef('a'), shallowRef(false)]
  const { updates, load } = noting()
  const { result: html } = inScope(t, () => useBlocks(() => text.value, () => isWhole.value, load))
  t.is(html.value, null)
  await settled()
  t.deepEqual(html.value, ['a'])
  text.value = 'ab'
  isWhole.value = true
  await nextTick()
  t.deepEqual(updates.at(-1), ['ab', true])
})

test('a text that is gone is drawn no more', async (t) => {
  const text = shallowRef('a')
  const { updates, load } = noting()
  const { end } = inScope(t, () => useBlocks(() => text.value, () => false, load))
  end()
  await settled()
  text.value = 'b'
  await nextTick()
  t.deepEqual(updates, [])
})

test('a renderer that cannot be had leaves the text to be shown as it is', async (t) => {
  const { result: html } = inScope(t, () => useBlocks(() => 'a', () => true, () => Promise.reject(new Error('gone'))))
  await settled()
  t.is(html.value, null)
})

test('work that takes long is done less often, and its last time is not lost', (t) => {
  let [nowMs, done] = [0, 0]
  const waits: Array<readonly [number, () => void]> = []
  const clock = {
    now: () => nowMs,
    after(ms: number, then: () => void) {
      waits.push([ms, then])
      return () => void waits.splice(0)
    },
  }
  const pace = takenShare(() => {
    done += 1
    nowMs += 20
  }, clock)
  for (let call = 0; call < 50; call += 1) pace.soon()
  t.is(done, 1)
  t.deepEqual(waits.map(([ms]) => ms), [60])
  nowMs += 60
  waits[0]?.[1]()
  t.is(done, 2)
  pace.soon()
  pace.stop()
  t.is(waits.length, 0)
  nowMs += 60
  pace.soon()
  t.is(done, 3)
})
