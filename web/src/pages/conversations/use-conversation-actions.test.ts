import test from 'ava'
import { conversationRow } from '../../testing/conversation.js'
import { FakeHttp } from '../../testing/http.js'
import { fakeLive } from '../../testing/live.js'
import { inScope } from '../../testing/scope.js'
import { useConversationActions } from './use-conversation-actions.js'
import { useConversations } from './use-conversations.js'

const tiers = { hbm: 1, dram: 2, ssd: 3 }
const a = conversationRow('a', { tenant: 'acme' })

/** The list with one conversation, which is chosen. */
async function chosen(t: Parameters<typeof inScope>[0]) {
  const http = new FakeHttp()
  const { list, actions } = inScope(t, () => {
    const conversations = useConversations(fakeLive(), http)
    return { list: conversations, actions: useConversationActions(http, conversations) }
  }).result
  await (await http.next()).answer({ conversations: [a], total: 1, next_cursor: null })
  actions.choose(a)
  return { http, list, actions }
}

test('an action names the conversation and its tenant, tells what came of it, and reads the row again', async (t) => {
  const { http, actions } = await chosen(t)
  const warming = actions.warm()
  t.true(actions.isBusy.value)
  const asked = await http.next()
  t.is(asked.path, '/admin/conversations/a/warm?tenant=acme')
  await asked.answer({ conversation: 'a', blocks: 6, promoted_blocks: 4, loaded_blocks: 1, tiers })
  await (await http.next()).answer({ conversations: [{ ...a, turns: 5 }], total: 1, next_cursor: null })
  await warming
  t.is(actions.notice.value?.kind, 'good')
  t.regex(actions.notice.value?.text ?? '', /^4 blocks read from ssd, 1 loaded to hbm\. Now 1 in hbm, 2 in dram: .*, 3 left on ssd: dram has no room/)
  t.is(actions.chosen.value?.turns, 5)
  t.false(actions.isBusy.value)
})

test('one action at a time: what is asked for meanwhile is not done', async (t) => {
  const { http, actions } = await chosen(t)
  const demoting = actions.demote('ssd')
  await actions.fork()
  const asked = await http.next()
  t.deepEqual(asked.options.body, { to: 'ssd' })
  t.is(http.asked.length, 0)
  await asked.answer({ conversation: 'a', demoted_blocks: 2, skipped_in_use: 0, skipped_shared: 1, durable: true })
  await (await http.next()).answer({ conversations: [a], total: 1, next_cursor: null })
  await demoting
  t.regex(actions.notice.value?.text ?? '', /2 blocks moved down to ssd; left where they are: 1 shared/)
})

test('a refusal is told in the server’s words, and the conversation stays', async (t) => {
  const { http, list, actions } = await chosen(t)
  const erasing = actions.erase()
  await (await http.next()).refuse(new Error('a turn of the conversation waits or runs'))
  await erasing
  t.is(actions.notice.value?.kind, 'bad')
  t.regex(actions.notice.value?.text ?? '', /a turn of the conversation waits or runs/)
  t.is(actions.receipt.value, null)
  t.is(list.total.value, 1)
})

test('what is erased leaves the list, and its receipt stays until it is dismissed', async (t) => {
  const { http, list, actions } = await chosen(t)
  const erasing = actions.erase()
  const asked = await http.next()
  t.is(asked.options.method, 'DELETE')
  const counts = { blocks_erased: 3, bytes_erased: 4096, remains_overwritten: 2, records_erased: 1, responses_erased: 0, requests_anonymised: 4 }
  await asked.answer({ conversation: 'a', tenant: 'acme', ...counts, tiers, kept_shared: [], durable: true })
  await erasing
  t.is(actions.receipt.value?.remains_overwritten, 2)
  t.is(actions.chosen.value, null)
  t.is(list.total.value, 0)
  actions.dismiss()
  t.is(actions.receipt.value, null)
})
