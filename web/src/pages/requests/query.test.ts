import test from 'ava'
import { requestRecord } from '../../testing/request.js'
import { addressOf, chosenOf, EVERYTHING, isFiltered, queryOf, SORTS, tenantsOf, type RequestQuery } from './query.js'

const none = requestRecord(0).miss
const RECORDS = [
  requestRecord(4, { conversation: 'Trip', tenant: 'red', ttft_ms: 50, prompt_tokens: 10, computed_tokens: 9 }),
  requestRecord(3, { status: 'failed', error: 'engine_error', tenant: 'blue', ttft_ms: null, prompt_tokens: 40 }),
  requestRecord(2, { status: 'cancelled', tenant: 'red', ttft_ms: 200, prompt_tokens: 40, duration_ms: 900 }),
  requestRecord(1, { miss: { ...none, evicted: 64 }, tenant: '', ttft_ms: 100, prompt_tokens: 20 }),
]
const seqs = (query: Partial<RequestQuery>) => chosenOf(RECORDS, { ...EVERYTHING, ...query }).map(({ seq }) => seq)

test('status, tenant, reason and search each leave out what is not asked for, and together more', (t) => {
  t.deepEqual(seqs({}), [4, 3, 2, 1])
  t.deepEqual(seqs({ status: 'failed' }), [3])
  t.deepEqual(seqs({ tenant: 'red' }), [4, 2])
  t.deepEqual(seqs({ tenant: '' }), [1], 'the tenant without a name is one, not all')
  t.deepEqual(seqs({ reason: 'evicted' }), [1])
  t.deepEqual(seqs({ search: ' trip ' }), [4], 'whatever the case')
  t.deepEqual(seqs({ search: 'req_2' }), [2])
  t.deepEqual(seqs({ search: 'engine' }), [3], 'errors too')
  t.deepEqual(seqs({ search: 'red', status: 'cancelled' }), [2])
  t.deepEqual(seqs({ search: 'nobody' }), [])
})

test('an order puts the largest first, and the newest first among equals', (t) => {
  t.deepEqual(seqs({ sort: 'ttft' }), [2, 1, 4, 3], 'without a first token comes last')
  t.deepEqual(seqs({ sort: 'prompt' }), [3, 2, 1, 4])
  t.deepEqual(seqs({ sort: 'duration' })[0], 2)
  t.deepEqual(seqs({ sort: 'computed' })[0], 4)
  t.deepEqual(seqs({ sort: 'missed' })[0], 1)
})

test('the address keeps every choice, says nothing of the default, and what means nothing in it is the default', (t) => {
  const full: RequestQuery = { status: 'ok', tenant: '', reason: 'unknown', sort: 'missed', search: 'a b' }
  t.deepEqual(queryOf(addressOf(full)), full)
  for (const { value: sort } of SORTS) t.deepEqual(queryOf(addressOf({ ...EVERYTHING, sort })), { ...EVERYTHING, sort })
  t.deepEqual(addressOf(EVERYTHING), {})
  t.deepEqual(queryOf({ status: 'odd', sort: '', reason: 'x', q: ['a'], tenant: null }), EVERYTHING)
  t.false(isFiltered({ ...EVERYTHING, sort: 'ttft' }))
  t.true(isFiltered({ ...EVERYTHING, tenant: '' }))
})

test('the tenants are those of the records', (t) => t.deepEqual(tenantsOf(RECORDS), ['', 'blue', 'red']))
