// The list of conversations: order, pages, search.

import test from 'ava'
import { RecencyList } from '../../ts/conversations/recency.js'
import type { PageQuery } from '../../ts/conversations/query.js'
import { ConversationRegistry, type Conversation } from '../../ts/conversations/registry.js'
import { Random } from '../support/random.js'

const conversation = (id: string, lastUse: number, tenant = ''): Conversation => ({
  id,
  tenant,
  date: '2026-03-01',
  forkedFrom: null,
  createdAt: 0,
  lastUse,
  turns: 1,
  tokens: 10,
  leftOut: 0,
  leaf: null,
  tips: [],
})

function registry(count: number, tenantOf: (i: number) => string = () => ''): ConversationRegistry {
  const made = new ConversationRegistry(null, 1_000_000)
  for (let i = 0; i < count; i++) made.touch(conversation(`c${i}`, i, tenantOf(i)))
  return made
}

/** Ids of all pages; `between` runs after each. */
function pages(of: ConversationRegistry, query: Partial<PageQuery>, between: () => void = () => {}): string[][] {
  const found: string[][] = []
  for (let before: number | null = null; ; ) {
    const page = of.page({ tenant: null, text: null, before, limit: 10, ...query })
    found.push(page.conversations.map(({ id }) => id))
    if (page.next === null) return found
    before = page.next
    between()
  }
}

test('the last used comes first, a page at a time, and the last page says so', (t) => {
  const found = pages(registry(30), {})
  t.deepEqual(found.map(({ length }) => length), [10, 10, 10])
  t.deepEqual(found.flat(), Array.from({ length: 30 }, (_, i) => `c${29 - i}`))
  t.deepEqual(pages(registry(0), {}), [[]])
})

test('the total counts what matches, on whichever page', (t) => {
  const made = registry(100, (i) => (i % 4 === 0 ? 'acme' : 'other'))
  const total = (query: Partial<PageQuery>) => made.page({ tenant: null, text: null, before: null, limit: 3, ...query }).total
  t.is(total({}), 100)
  t.is(total({ tenant: 'acme' }), 25)
  t.is(total({ tenant: 'nobody' }), 0)
  t.is(total({ text: 'c1' }), 11)
  t.is(total({ text: 'c1', before: 50 }), 11)
  t.is(total({ text: '9', tenant: 'acme' }), 2)
  t.true(made.erase('acme', 'c96'))
  t.is(total({ tenant: 'acme' }), 24)
})

test('only what matches tenant and text is listed', (t) => {
  const made = registry(100, (i) => (i % 4 === 0 ? 'acme' : 'other'))
  t.deepEqual(pages(made, { text: '9', tenant: 'acme' }).flat(), ['c96', 'c92'])
  t.deepEqual(pages(made, { text: 'c5', limit: 4 }), [['c59', 'c58', 'c57', 'c56'], ['c55', 'c54', 'c53', 'c52'], ['c51', 'c50', 'c5']])
  t.deepEqual(pages(made, { text: 'nothing' }), [[]])
})

test('whoever pages meets nothing twice and misses nothing that stays where it is, whatever is used and erased meanwhile', (t) => {
  const random = new Random(20261124)
  const made = registry(200)
  let now = 1000
  const moved = new Set<string>()
  const found = pages(made, { limit: 7 }, () => {
    for (let i = 0; i < 5; i++) {
      const id = `c${random.below(200)}`
      const known = made.get('', id)
      if (!known) continue
      moved.add(id)
      // Several within one millisecond.
      if (random.below(3) === 0) made.erase('', id)
      else made.touch(Object.assign(known, { lastUse: now }))
    }
    now += random.below(2)
  }).flat()
  t.is(new Set(found).size, found.length)
  for (let i = 0; i < 200; i++) if (!moved.has(`c${i}`)) t.true(found.includes(`c${i}`), `c${i}`)
})

test('a conversation is found by id alone, where only one tenant has it', (t) => {
  const made = registry(3, (i) => `tenant${i}`)
  made.touch(conversation('c1', 9, 'tenant0'))
  t.deepEqual(made.tenantsOf('c1').toSorted(), ['tenant0', 'tenant1'])
  t.deepEqual(made.tenantsOf('c2'), ['tenant2'])
  t.deepEqual(made.tenantsOf('c9'), [])
})

test('a list by recency keeps to a plain model of it', (t) => {
  const random = new Random(7)
  const list = new RecencyList<number>()
  let model: Array<readonly [string, number]> = []
  for (let step = 0; step < 3000; step++) {
    const key = `k${random.below(40)}`
    const rest = model.filter(([known]) => known !== key)
    if (random.below(4) === 0) {
      t.is(list.delete(key), rest.length < model.length)
      model = rest
    } else {
      // The clock may stand still, or go back.
      list.use(key, step, random.below(5))
      model = [[key, step], ...rest]
    }
    const places = [...list.below()]
    const cut = random.below(step + 5)
    t.deepEqual([...list.below(cut)], places.filter(({ stamp }) => stamp < cut))
    t.deepEqual(places.map(({ value }) => value), model.map(([, value]) => value))
    t.true(places.every(({ stamp }, i) => i === 0 || stamp < (places[i - 1]?.stamp ?? 0)))
    t.is(list.oldest, model.at(-1)?.[1])
    t.is(list.size, model.length)
    t.is(list.get(key), model.find(([known]) => known === key)?.[1])
  }
})
