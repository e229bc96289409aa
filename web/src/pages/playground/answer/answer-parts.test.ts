import test from 'ava'
import { AnswerParts } from './answer-parts.js'

test('reasoning is timed from its first word to the first of the answer', (t) => {
  const parts = new AnswerParts(100)
  t.false(parts.add({ role: 'assistant' }, 110))
  t.true(parts.add({ reasoning_content: 'h' }, 150))
  t.is(parts.parts.reasoningMs, null)
  parts.add({ reasoning_content: 'm' }, 250)
  parts.add({ content: 'Yes' }, 400)
  parts.add({ content: '.' }, 500)
  t.deepEqual(parts.parts, { text: 'Yes.', reasoning: 'hm', reasoningMs: 250, calls: [], firstTextMs: 50 })
})

test('an answer that is reasoning alone ends it when it ends', (t) => {
  const parts = new AnswerParts(0)
  parts.add({ reasoning: 'hm' }, 10)
  parts.end(40)
  t.is(parts.parts.reasoningMs, 30)
})

test('calls are put together by their place: name once, then pieces of the arguments', (t) => {
  const parts = new AnswerParts(0)
  parts.add({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }] }, 1)
  parts.add({ tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] }, 2)
  parts.add({ tool_calls: [{ index: 1, id: 'b', function: { name: 'g', arguments: '{}' } }, { index: 0, function: { arguments: ':1}' } }] }, 3)
  t.deepEqual(parts.parts.calls, [
    { id: 'a', name: 'f', arguments: '{"x":1}' },
    { id: 'b', name: 'g', arguments: '{}' },
  ])
})

test('tokens a second are counted after the first token, and not for one alone', (t) => {
  const parts = new AnswerParts(0)
  t.is(parts.tokensPerS(5, 100), null)
  parts.add({ content: 'a' }, 1000)
  t.is(parts.tokensPerS(11, 3000), 5)
  t.is(parts.tokensPerS(1, 3000), null)
})
