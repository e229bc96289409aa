import test from 'ava'
import { nextTick } from 'vue'
import { FakeHttp, settled } from '../../testing/http.js'
import { fakeLive, infoOf } from '../../testing/live.js'
import { requestRecord } from '../../testing/request.js'
import { inScope } from '../../testing/scope.js'
import { useRequests } from './use-requests.js'

const batch = (...seqs: number[]) => ({ records: seqs.map((seq) => requestRecord(seq)), skipped: 0 })

test('what the server remembers and what it tells meanwhile become one list', async (t) => {
  const [live, http] = [fakeLive(), new FakeHttp()]
  const { shown, isLoading } = inScope(t, () => useRequests(live, http)).result
  live.status.value = 'live'
  await nextTick()
  const asked = await http.next()
  t.regex(asked.path, /^\/admin\/requests\?limit=1000$/)
  live.bring('requests', batch(7))
  t.true(isLoading.value)
  await asked.answer({ requests: [requestRecord(6), requestRecord(5)], next_cursor: null })
  t.deepEqual(shown.value.map(({ seq }) => seq), [7, 6, 5])
  t.false(isLoading.value)
})

test('a list that is held stands still and counts what is newer, until it is let go', (t) => {
  const live = fakeLive()
  const { shown, unseen, hold } = inScope(t, () => useRequests(live, new FakeHttp())).result
  live.bring('requests', batch(1, 2))
  hold(true)
  live.bring('requests', batch(3, 4, 5))
  t.deepEqual(shown.value.map(({ seq }) => seq), [2, 1])
  t.is(unseen.value.length, 3)
  hold(false)
  t.deepEqual(shown.value.map(({ seq }) => seq), [5, 4, 3, 2, 1])
  t.is(unseen.value.length, 0)
})

test('a server that started anew counts anew; one that merely came back does not', async (t) => {
  const [live, http] = [fakeLive(), new FakeHttp()]
  const { shown } = inScope(t, () => useRequests(live, http)).result
  live.info.value = infoOf(1)
  await nextTick()
  live.bring('requests', batch(900))
  live.info.value = infoOf(1)
  await nextTick()
  live.bring('requests', batch(901))
  t.is(shown.value.length, 2)
  live.info.value = infoOf(2)
  await nextTick()
  live.bring('requests', batch(0))
  t.deepEqual(shown.value.map(({ seq }) => seq), [0])
})

test('why nothing could be read is told, and forgotten when it can', async (t) => {
  const [live, http] = [fakeLive(), new FakeHttp()]
  const { failure } = inScope(t, () => useRequests(live, http)).result
  live.status.value = 'live'
  await nextTick()
  await (await http.next()).refuse(new Error('no way'))
  t.regex(failure.value, /no way/)
  live.status.value = 'lost'
  await nextTick()
  live.status.value = 'live'
  await nextTick()
  await (await http.next()).answer({ requests: [], next_cursor: null })
  t.is(failure.value, '')
})

test('a page that is left listens to nothing', async (t) => {
  const live = fakeLive()
  const { end } = inScope(t, () => useRequests(live, new FakeHttp()))
  t.is(live.bring('requests', batch(1)), 1)
  end()
  await settled()
  t.is(live.bring('requests', batch(2)), 0)
})
