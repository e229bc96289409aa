// The reader's end of a turn: parts in order, unread ones merged, ids of calls.

import test from 'ava'
import type { OutputPart } from '../../ts/engine/types.js'
import { callIds } from '../../ts/service/call-ids.js'
import { TurnOutput } from '../../ts/service/turn.js'
import type { TurnEvent } from '../../ts/service/types.js'

const content = (text: string): OutputPart => ({ kind: 'content', text })
const reasoning = (text: string): OutputPart => ({ kind: 'reasoning', text })
const call = (name: string): OutputPart => ({ kind: 'call', name })
const args = (text: string): OutputPart => ({ kind: 'arguments', text })

function output(): TurnOutput {
  let next = 0
  return new TurnOutput('c', () => {}, name => `${name} ${next++}`)
}

/** All that a reader gets who comes when the answer is complete. */
async function read(turn: TurnOutput): Promise<TurnEvent[]> {
  turn.finish({ type: 'done', finish: 'stop', stopReason: null, usage: {} as never })
  const events: TurnEvent[] = []
  for await (const event of turn) if (event.type !== 'done') events.push(event)
  return events
}

test('events come in the order of the parts, and unread neighbours of a kind are one', async t => {
  const turn = output()
  turn.delta([reasoning('a')], 1, undefined)
  turn.delta([reasoning('b'), content('c')], 2, undefined)
  turn.delta([content('d')], 3, undefined)
  turn.delta([call('f'), args('{')], 4, undefined)
  turn.delta([args('}'), call('f')], 5, undefined)
  turn.delta([args('{}')], 6, undefined)
  t.is(turn.calls, 2)
  t.deepEqual(await read(turn), [
    { type: 'reasoning', text: 'ab' },
    { type: 'delta', text: 'cd', tokens: [1, 2, 3], logprobs: [] },
    { type: 'call', id: 'f 0', name: 'f' },
    { type: 'arguments', text: '{}' },
    { type: 'call', id: 'f 1', name: 'f' },
    { type: 'arguments', text: '{}' },
  ])
})

test('events that were read are not merged with later ones', async t => {
  const turn = output()
  const iterator = turn[Symbol.asyncIterator]()
  turn.delta([content('a')], 1, undefined)
  t.deepEqual((await iterator.next()).value, { type: 'delta', text: 'a', tokens: [1], logprobs: [] })
  turn.delta([content('b')], 2, undefined)
  t.deepEqual((await iterator.next()).value, { type: 'delta', text: 'b', tokens: [2], logprobs: [] })
})

test('a token without text is told at once in content, and with the next content elsewhere', async t => {
  const turn = output()
  turn.delta([], 1, undefined)
  turn.delta([reasoning('a')], 2, undefined)
  turn.delta([], 3, undefined)
  turn.delta([reasoning('b')], 4, undefined)
  turn.delta([content('c')], 5, undefined)
  t.deepEqual(await read(turn), [
    { type: 'delta', text: '', tokens: [1], logprobs: [] },
    { type: 'reasoning', text: 'ab' },
    { type: 'delta', text: 'c', tokens: [2, 3, 4, 5], logprobs: [] },
  ])
})

test('log probabilities of the last call are told at the end', async t => {
  const turn = output()
  const logprob = { token: 7, logprob: -1, top: [] }
  turn.delta([call('f')], 7, logprob)
  t.deepEqual((await read(turn)).at(-1), { type: 'delta', text: '', tokens: [7], logprobs: [logprob] })
})

test('ids of calls are as the templates want them back', t => {
  t.regex(callIds('hermes', 0)('f'), /^call_[A-Za-z0-9]{24}$/)
  t.regex(callIds('mistral', 0)('f'), /^[A-Za-z0-9]{9}$/)
  const kimi = callIds('kimi', 2)
  t.deepEqual([kimi('f'), kimi('g')], ['functions.f:2', 'functions.g:3'])
  const ids = new Set(Array.from({ length: 100 }, () => callIds('hermes', 0)('f')))
  t.is(ids.size, 100)
})
