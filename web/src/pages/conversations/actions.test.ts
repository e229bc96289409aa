import test from 'ava'
import { receiptLines } from './actions.js'

const RECEIPT = {
  conversation: 'a',
  tenant: '',
  blocks_erased: 3,
  bytes_erased: 2 * 2 ** 20,
  tiers: { hbm: 1, dram: 0, ssd: 3 },
  remains_overwritten: 1,
  records_erased: 2,
  responses_erased: 1,
  requests_anonymised: 1,
  kept_shared: [],
  durable: true,
}

test('a receipt says what is gone, where it was, and that nothing stays', (t) => {
  t.deepEqual(receiptLines(RECEIPT), [
    '3 blocks erased, 2 MiB of copies: 1 in hbm, 0 in dram, 3 in ssd.',
    '1 free slot on ssd with older blocks of it overwritten.',
    '2 token records of answers and 1 kept response erased; 1 request record names it no longer.',
    'No block stays: no other conversation used one.',
  ])
})

test('a receipt says that the disk still has records', (t) => {
  t.regex(receiptLines({ ...RECEIPT, durable: false }).at(-1) ?? '', /disk of the store takes nothing now/)
})

test('a receipt says how many blocks others still use', (t) => {
  const one = { key: 'ab', referrers: ['b'] }
  t.is(receiptLines({ ...RECEIPT, kept_shared: [one] }).at(-1), '1 block stays, because other conversations use it.')
  t.is(receiptLines({ ...RECEIPT, kept_shared: [one, one] }).at(-1), '2 blocks stay, because other conversations use them.')
})
