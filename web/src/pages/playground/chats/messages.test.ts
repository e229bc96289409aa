import test from 'ava'
import { NEW_ANSWER, type Entry } from './chat.js'
import { messagesOf } from './messages.js'

const question: Entry = { id: 0, parent: null, role: 'user', text: 'q' }
const answer = { ...NEW_ANSWER, id: 1, parent: 0, state: 'ended' as const }

test('a branch is sent whole, after the system prompt if there is one', (t) => {
  t.deepEqual(messagesOf([question, { ...answer, text: 'a' }], ' Be kind. '), [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'a' },
  ])
  t.deepEqual(messagesOf([question], '  '), [{ role: 'user', content: 'q' }])
})

test('reasoning and calls go back with their answer, and results with the id of their call', (t) => {
  const calls = [{ id: 'c1', name: 'f', arguments: '{"a":1}' }]
  const result: Entry = { id: 2, parent: 1, role: 'tool', callId: 'c1', name: 'f', text: '2' }
  t.deepEqual(messagesOf([question, { ...answer, reasoning: 'hm', calls }, result], ''), [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: '', reasoning_content: 'hm', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] },
    { role: 'tool', content: '2', tool_call_id: 'c1' },
  ])
})

test('an answer that did not begin is left out, and so is a call that broke off', (t) => {
  const calls = [{ id: 'c1', name: 'f', arguments: '{"a' }]
  t.deepEqual(messagesOf([question, { ...answer, state: 'failed' }], ''), [{ role: 'user', content: 'q' }])
  t.deepEqual(messagesOf([question, { ...answer, state: 'stopped', calls }], ''), [{ role: 'user', content: 'q' }])
  t.deepEqual(messagesOf([{ ...answer, state: 'stopped', text: 'half', calls }], ''), [{ role: 'assistant', content: 'half' }])
})
