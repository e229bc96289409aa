import test from 'ava'
import type { ConversationPage, ConversationRow } from 'attentionstore/protocol'
import { nextTick } from 'vue'
import { FakeHttp } from '../../testing/http.js'
import { fakeLive } from '../../testing/live.js'
import { emptySample } from '../../testing/sample.js'
import { inScope } from '../../testing/scope.js'
import { conversationRow } from '../../testing/conversation.js'
import { useConversations } from './use-conversations.js'

const page = (rows: readonly ConversationRow[], total = rows.length, next: string | null = null): ConversationPage => ({
  conversations: [...rows],
  total,
  next_cursor: next,
})

test('the first page is read at once, and a search reads anew', async (t) => {
  const http = new FakeHttp()
  const list = inScope(t, () => useConversations(fakeLive(), http)).result
  await (await http.next()).answer(page([conversationRow('a'), conversationRow('b')], 900, '400'))
  t.is(list.total.value, 900)
  t.is(list.row(1)?.id, 'b')
  list.query.value = ' b '
  const search = await http.next()
  t.is(new URL(search.path, 'http://local').searchParams.get('q'), 'b')
  await search.answer(page([conversationRow('b')]))
  t.deepEqual([list.total.value, list.row(0)?.id, list.row(1)], [1, 'b', undefined])
})

test('an answer to what is no longer asked changes nothing', async (t) => {
  const http = new FakeHttp()
  const list = inScope(t, () => useConversations(fakeLive(), http)).result
  const slow = await http.next()
  list.reload()
  await (await http.next()).answer(page([conversationRow('new')]))
  await slow.answer(page([conversationRow('old'), conversationRow('older')]))
  t.deepEqual([list.total.value, list.row(0)?.id], [1, 'new'])
  list.reload()
  const failing = await http.next()
  list.reload()
  await failing.refuse(new Error('late'))
  t.is(list.failure.value, '')
})

test('while only the first page was read, it is read again with every fourth sample', async (t) => {
  const [live, http] = [fakeLive(), new FakeHttp()]
  const list = inScope(t, () => useConversations(live, http)).result
  await (await http.next()).answer(page([conversationRow('a')]))
  for (let sample = 1; sample <= 3; sample++) {
    live.sample.value = emptySample(sample * 500)
    await nextTick()
  }
  t.is(http.asked.length, 0)
  live.sample.value = emptySample(2000)
  await nextTick()
  await (await http.next()).answer(page([conversationRow('b'), conversationRow('a')]))
  t.is(list.row(0)?.id, 'b')
})

test('one conversation is read again by itself, and one that is gone leaves the list', async (t) => {
  const http = new FakeHttp()
  const list = inScope(t, () => useConversations(fakeLive(), http)).result
  await (await http.next()).answer(page([conversationRow('a'), conversationRow('aa')]))
  const updated = list.update(conversationRow('a'))
  await (await http.next()).answer(page([conversationRow('aa'), conversationRow('a', { turns: 9 })]))
  await updated
  t.is(list.find(conversationRow('a'))?.turns, 9)
  list.remove(conversationRow('a'))
  t.deepEqual([list.total.value, list.row(0)?.id], [1, 'aa'])
})
