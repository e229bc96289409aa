import test from 'ava'
import type { ConversationPage, ConversationRow } from 'attentionstore/protocol'
import { conversationRow } from '../../testing/conversation.js'
import { ConversationList } from './conversation-list.js'

const row = (index: number, turns = 1): ConversationRow => conversationRow(`c${index}`, { turns })

/** A server with `total` conversations in pages of `size`; notes the cursors that it was asked for. */
function pages(total: number, size: number) {
  const asked: (string | null)[] = []
  const fetchPage = async (cursor: string | null): Promise<ConversationPage> => {
    asked.push(cursor)
    const from = Number(cursor ?? 0)
    const to = Math.min(total, from + size)
    const conversations = Array.from({ length: to - from }, (_, index) => row(from + index, asked.length))
    return { conversations, total, next_cursor: to < total ? String(to) : null }
  }
  return { asked, fetchPage }
}

test('pages are read as far as someone looks, each once, though asked for from many places', async (t) => {
  const { asked, fetchPage } = pages(100_000, 500)
  const list = new ConversationList(fetchPage, () => undefined)
  await Promise.all([list.ensure(0), list.ensure(1200), list.ensure(700)])
  t.is(list.length, 1500)
  t.is(list.total, 100_000)
  t.deepEqual(asked, [null, '500', '1000'])
  t.is(list.row(1499)?.id, 'c1499')
  t.is(list.row(1500), undefined)
})

test('a list that is whole asks for nothing more', async (t) => {
  const { asked, fetchPage } = pages(3, 500)
  const list = new ConversationList(fetchPage, () => undefined)
  await list.ensure(10)
  await list.ensure(10)
  t.true(list.isWhole)
  t.deepEqual(asked, [null])
})

test('a list without a conversation is whole too', async (t) => {
  const list = new ConversationList(pages(0, 500).fetchPage, () => undefined)
  t.false(list.isWhole)
  await list.ensure(0)
  t.true(list.isWhole)
})

test('the first page is read again only while nobody has read on', async (t) => {
  const { asked, fetchPage } = pages(1000, 500)
  const list = new ConversationList(fetchPage, () => undefined)
  await list.ensure(0)
  await list.refresh()
  t.is(list.row(0)?.turns, 2)
  await list.ensure(600)
  await list.refresh()
  t.deepEqual(asked, [null, null, '500'])
})

test('a failed page is told to those who asked, and can be asked for again', async (t) => {
  let isDown = true
  const { fetchPage } = pages(10, 500)
  const list = new ConversationList(async (cursor) => {
    if (isDown) throw new Error('down')
    return fetchPage(cursor)
  }, () => undefined)
  await t.throwsAsync(list.ensure(0), { message: 'down' })
  isDown = false
  await list.ensure(0)
  t.is(list.length, 10)
})

test('an erased conversation leaves the list and the total', async (t) => {
  const list = new ConversationList(pages(10, 500).fetchPage, () => undefined)
  await list.ensure(0)
  list.remove({ id: 'c3', tenant: '' })
  list.remove({ id: 'c4', tenant: 'other' })
  t.is(list.length, 9)
  t.is(list.total, 9)
  t.is(list.row(3)?.id, 'c4')
})
