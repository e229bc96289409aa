import test from 'ava'
import { requestRecord } from '../../testing/request.js'
import { MAX_REQUESTS, RequestStore } from './request-store.js'

test('requests are listed newest first, however they came', (t) => {
  const store = new RequestStore()
  store.take([requestRecord(2), requestRecord(5)])
  store.take([requestRecord(3)])
  t.deepEqual(store.list().map(({ seq }) => seq), [5, 3, 2])
})

test('a record that comes again replaces the one before', (t) => {
  const store = new RequestStore()
  store.take([requestRecord(1, { status: 'ok' })])
  store.take([requestRecord(1, { status: 'failed' })])
  t.deepEqual(store.list().map(({ status }) => status), ['failed'])
})

test('under any volume the last thousand are kept, no more', (t) => {
  const store = new RequestStore()
  for (let batch = 0; batch < 50; batch++) {
    store.take(Array.from({ length: 125 }, (_, index) => requestRecord(batch * 125 + index)))
    t.true(store.size <= MAX_REQUESTS)
  }
  t.is(store.size, MAX_REQUESTS)
  t.is(store.list()[0]?.seq, 6249)
  t.is(store.list().at(-1)?.seq, 5250)
})
