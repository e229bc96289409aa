// Several turns read as one.

import { createHook } from 'node:async_hooks'
import test from 'ava'
import type { OutputPart } from '../../../ts/engine/types.js'
import { ApiError } from '../../../ts/protocol/errors.js'
import { TurnOutput } from '../../../ts/service/turn.js'
import type { TurnEvent } from '../../../ts/service/types.js'
import { mergeTurns } from '../../../ts/surfaces/merge.js'

const DONE: TurnEvent = { type: 'done', finish: 'stop', stopReason: null, usage: {} as never }
const content = (text: string): OutputPart => ({ kind: 'content', text })

/** Turns, and the numbers of those that were cancelled before their end. */
function turnsOf(count: number): { turns: TurnOutput[]; cancelled: number[]; say: (index: number, text: string) => void } {
  const cancelled: number[] = []
  const turns = Array.from({ length: count }, (_, index) => new TurnOutput('c', () => cancelled.push(index), () => 'id'))
  return { turns, cancelled, say: (index, text) => turns[index]?.delta([content(text)], 1, undefined) }
}

const told = ([index, event]: readonly [number, TurnEvent]): string => `${index}${event.type === 'delta' ? event.text : ' done'}`
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('events come in the order in which the turns had them, and each turn’s own order holds', async (t) => {
  const { turns, say } = turnsOf(3)
  const seen: string[] = []
  const reading = (async () => {
    for await (const event of mergeTurns(turns)) seen.push(told(event))
  })()
  for (const [index, text] of [[2, 'a'], [0, 'b'], [1, 'c'], [0, 'd'], [2, 'e']] as const) {
    say(index, text)
    await settled()
  }
  turns[1]?.finish(DONE)
  await settled()
  say(0, 'f')
  for (const index of [2, 0]) turns[index]?.finish(DONE)
  await reading
  t.deepEqual(seen.slice(0, 6), ['2a', '0b', '1c', '0d', '2e', '1 done'])
  t.deepEqual(seen.filter((event) => event.startsWith('0')), ['0b', '0d', '0f', '0 done'])
  t.deepEqual(seen.slice(6).toSorted(), ['0 done', '0f', '2 done'])
})

test('a turn that always has more to say keeps no other one back', async (t) => {
  const { turns, say } = turnsOf(2)
  const seen: string[] = []
  say(0, '.')
  say(1, '.')
  for await (const event of mergeTurns(turns)) {
    if (event[0] === 0) say(0, '.')
    seen.push(told(event))
    if (seen.length === 2) break
  }
  t.deepEqual(seen, ['0.', '1.'])
})

test('the error of one turn comes behind the events before it, and cancels the others', async (t) => {
  const { turns, cancelled, say } = turnsOf(3)
  const seen: string[] = []
  const reading = t.throwsAsync(async () => {
    for await (const event of mergeTurns(turns)) seen.push(told(event))
  })
  say(0, 'a')
  say(2, 'b')
  await settled()
  turns[1]?.fail(new ApiError('engine_error', 'It broke.'))
  t.is((await reading)?.message, 'It broke.')
  t.deepEqual(seen, ['0a', '2b'])
  t.deepEqual(cancelled, [0, 2])
})

test('a reader that leaves cancels all turns, also while it waits for none of them', async (t) => {
  const { turns, cancelled, say } = turnsOf(3)
  say(1, 'a')
  for await (const event of mergeTurns(turns)) {
    t.is(told(event), '1a')
    break
  }
  t.deepEqual(cancelled, [0, 1, 2])
})

test('turns that are cancelled from outside end, and the rest is read', async (t) => {
  const { turns, say } = turnsOf(2)
  const seen: string[] = []
  turns[0]?.cancel()
  say(1, 'a')
  turns[1]?.finish(DONE)
  for await (const event of mergeTurns(turns)) seen.push(told(event))
  t.deepEqual(seen, ['1a', '1 done'])
})

test('no turns are no events', async (t) => {
  t.true((await mergeTurns([]).next()).done)
})

test('a reader that pauses has one event of each turn waiting, and the turns merge the rest', async (t) => {
  const { turns, say } = turnsOf(2)
  const events = mergeTurns(turns)
  for (const index of [0, 1]) say(index, 'a')
  t.is(told((await events.next()).value as readonly [number, TurnEvent]), '0a')
  for (const text of ['b', 'c', 'd']) {
    for (const index of [0, 1]) say(index, text)
    await settled()
  }
  for (const turn of turns) turn.finish(DONE)
  const rest: string[] = []
  for await (const event of events) rest.push(told(event))
  t.deepEqual(rest, ['1a', '0bcd', '1bcd', '0 done', '1 done'])
})

/** Promises that reading an event makes. Those of other tests would count too: the test is serial. */
async function promisesAnEvent(count: number): Promise<number> {
  const { turns, say } = turnsOf(count)
  const events = mergeTurns(turns)
  say(0, '.')
  await events.next()
  let made = 0
  const hook = createHook({ init: (_, type) => (made += type === 'PROMISE' ? 1 : 0) })
  const reads = 50
  hook.enable()
  for (let read = 0; read < reads; read++) {
    say(0, '.')
    await events.next()
  }
  hook.disable()
  await events.return(undefined)
  return made / reads
}

test.serial('an event of 128 turns takes as much work as one of a single turn', async (t) => {
  const [one, many] = [await promisesAnEvent(1), await promisesAnEvent(128)]
  t.log(`${one} promises an event of one turn, ${many} of 128`)
  t.is(many, one)
})
