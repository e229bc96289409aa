import test from 'ava'
import { endOf } from './end-of-answer.js'
import { fencedJson } from './fenced-json.js'

test('an end is told where the answer did not simply come to it', (t) => {
  t.is(endOf({ state: 'ended', finish: 'stop' }), '')
  t.is(endOf({ state: 'ended', finish: 'tool_calls' }), '')
  t.regex(endOf({ state: 'ended', finish: 'length' }), /longest length/)
  t.regex(endOf({ state: 'ended', finish: 'content_filter' }), /content_filter/)
  t.regex(endOf({ state: 'stopped', finish: null }), /^Stopped/)
  t.is(endOf({ state: 'writing', finish: null }), '')
})

test('JSON is indented, half of it stays as it is, and no backtick ends the block', (t) => {
  t.is(fencedJson('{"a":[1]}'), '```json\n{\n  "a": [\n    1\n  ]\n}\n```')
  t.is(fencedJson('{"a":'), '```json\n{"a":\n```')
  t.is(fencedJson('a ```` b'), '`````json\na ```` b\n`````')
})
