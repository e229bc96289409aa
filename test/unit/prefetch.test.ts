// Fetching before a request's turn, who overtakes whom, and what is never given up for it.

import test from 'ava'
import fc from 'fast-check'
import type { Block } from '../../ts/directory/block.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { Admission, MOST_OVERTAKEN_MS, MOST_OVERTAKES } from '../../ts/scheduler/loop/admission.js'
import { createCore, type Core } from '../../ts/scheduler/core/core.js'
import { LookAhead } from '../../ts/scheduler/costs/look-ahead.js'
import { serviceOptions, type ServiceOptions } from '../../ts/scheduler/core/options.js'
import { WaitingQueue } from '../../ts/scheduler/loop/queue.js'
import { readBufferBytes } from '../../ts/scheduler/costs/hidden-loads.js'
import { Room } from '../../ts/scheduler/moves/room.js'
import { Sequence } from '../../ts/scheduler/sequence/sequence.js'
import { TurnOutput } from '../../ts/service/turn.js'
import type { TurnMessage } from '../../ts/service/types.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, reusedTokens, simulatedService, type Answer, type SimulatedService } from '../support/simulated-service.js'

const user = (content: string): TurnMessage => ({ role: 'user', content })
/** A disk that takes as long for a history as the engine does for a question. */
const slowDisk = { ...cpu2, readRate: 0.1e6 }
const tight = { slots: { hbm: 20, dram: 200, ssd: 400 }, profile: slowDisk }

/** Conversations of one turn each, which all lie on ssd alone. */
async function storedConversations(served: SimulatedService, count: number): Promise<TurnMessage[][]> {
  const conversations: TurnMessage[][] = []
  for (let i = 0; i < count; i++) {
    const messages = [user(`conversation ${i} `.repeat(48))]
    const { text } = await ask(served.service, chat(messages, { ignoreEos: true }))
    conversations.push([...messages, { role: 'assistant', content: text }])
  }
  await served.service.demote('ssd')
  return conversations
}

function comeBack(served: SimulatedService, conversations: readonly TurnMessage[][], maxTokens = 4): Promise<Answer[]> {
  const rest = { maxTokens, ignoreEos: true }
  return Promise.all(conversations.map(messages => ask(served.service, chat([...messages, user('and then? '.repeat(4))], rest))))
}

async function burst(options: Partial<ServiceOptions>): Promise<{ answers: Answer[]; served: SimulatedService }> {
  const served = simulatedService(tight, options)
  const answers = await comeBack(served, await storedConversations(served, 8))
  return { answers, served }
}

const worstTtft = (answers: readonly Answer[]) => Math.max(...answers.map(({ usage }) => usage.ttftMs))

test('what waiting requests need is read while others compute, and they get the same answers sooner', async t => {
  const on = await burst({})
  const off = await burst({ prefetch: false })
  t.deepEqual(on.answers.map(({ text }) => text), off.answers.map(({ text }) => text))
  t.true(worstTtft(on.answers) < 0.7 * worstTtft(off.answers), `${worstTtft(on.answers)} ms instead of ${worstTtft(off.answers)} ms`)
  const counters = on.served.service.counters()
  t.true(counters.prefetchedBlocks > 0)
  t.is(counters.prefetchHits, counters.prefetchedBlocks)
  t.is(counters.wastedPrefetches, 0)
  t.is(off.served.service.counters().prefetchedBlocks, 0)
  await on.served.close()
  await off.served.close()
})

test('usage names the tier in which a block lay when its request was queued, prefetched or not', async t => {
  const { answers, served } = await burst({})
  for (const { usage } of answers) t.is(usage.reusedTokens.ssd, reusedTokens(usage))
  await served.close()
})

test('a request whose history is being read does not hold up one that is ready', async t => {
  const served = simulatedService({ ...tight, profile: { ...cpu2, readRate: 0.01e6 } })
  const [stored] = (await storedConversations(served, 1)) as [TurnMessage[]]
  const running = ask(served.service, chat([user('keep it busy')], { ignoreEos: true, maxTokens: 400 }))
  const order: string[] = []
  const slow = ask(served.service, chat([...stored, user('go on')], { maxTokens: 1 })).then(answer => (order.push('slow'), answer))
  const quick = ask(served.service, chat([user('a new one')], { maxTokens: 1 })).then(answer => (order.push('quick'), answer))
  t.is(reusedTokens((await slow).usage) > 0, true)
  await quick
  t.deepEqual(order, ['quick', 'slow'])
  await running
  await served.close()
})

test('whoever lacks a single block does not wait until a long history is read', async t => {
  const served = simulatedService({ slots: { hbm: 200, dram: 200, ssd: 400 }, profile: { ...cpu2, readRate: 0.05e6 } }, { history: 'load' })
  const stored: TurnMessage[][] = []
  for (const words of [600, 20]) {
    const messages = [user(`${words} words `.repeat(words / 4))]
    stored.push([...messages, { role: 'assistant', content: (await ask(served.service, chat(messages, { maxTokens: 1 }))).text }])
  }
  await served.service.demote('ssd')
  const [long, short] = (await Promise.all(stored.map(messages => ask(served.service, chat([...messages, user('go on')], { maxTokens: 1 }))))) as [Answer, Answer]
  t.true(reusedTokens(long.usage) > 1000 && reusedTokens(short.usage) > 0)
  t.true(short.usage.ttftMs < 0.5 * long.usage.ttftMs, `${short.usage.ttftMs} ms beside ${long.usage.ttftMs} ms`)
  await served.close()
})

test('a prefetch for a request that is cancelled costs nothing but its reads', async t => {
  const served = simulatedService(tight)
  const [stored, other] = (await storedConversations(served, 2)) as [TurnMessage[], TurnMessage[]]
  const running = ask(served.service, chat([user('keep it busy')], { ignoreEos: true, maxTokens: 200 }))
  const cancelled = await served.service.start(chat([...stored, user('never mind')]))
  cancelled.cancel()
  const { usage } = await ask(served.service, chat([...other, user('go on')], { maxTokens: 1 }))
  t.true(reusedTokens(usage) > 0)
  await running
  await served.clock.advance(5000)
  t.is(served.service.counters().preparing + served.service.counters().queued, 0)
  await served.close()
})

function waiting(ticket: number, length = 1): Sequence {
  const spec = { sequence: ticket, tokens: new Uint32Array(length), root: '', view: null, sampling: greedy, stop: [], stopTokens: [], ignoreEos: false, maxTokens: 1 }
  return new Sequence(spec, ticket, [{ leftOut: 0, tokens: spec.tokens, keys: [] }], new TurnOutput('c', () => {}, () => 'id'), null, '', 'request', 0)
}

const anyRoom = () => true
const noLeaders = { follows: () => false, forget: () => {} }

test('nobody is overtaken more often than the bound, nor long after the first time', t => {
  const clock = new VirtualClock(0)
  const queue = new WaitingQueue()
  const slow = waiting(0)
  const admission = new Admission(queue, { isReady: sequence => sequence !== slow }, noLeaders, clock)
  queue.add(slow)
  t.is(admission.next(false, anyRoom), undefined)
  t.is(admission.next(true, anyRoom), slow)
  for (let ticket = 1; ticket <= MOST_OVERTAKES; ticket++) {
    queue.add(waiting(ticket))
    const next = admission.next(false, anyRoom)
    t.is(next?.ticket, ticket)
    if (next) admission.admit(next)
  }
  queue.add(waiting(100))
  t.is(admission.next(false, anyRoom), slow)
})

test('a request that is held is passed over, also where nothing runs, but not for ever', t => {
  const clock = new VirtualClock(0)
  const queue = new WaitingQueue()
  const held = waiting(0)
  const admission = new Admission(queue, { isReady: () => true, isHeld: sequence => sequence === held }, noLeaders, clock)
  queue.add(held)
  t.is(admission.next(true, anyRoom), undefined)
  t.is(admission.preparing, 1)
  for (let ticket = 1; ticket <= MOST_OVERTAKES; ticket++) {
    queue.add(waiting(ticket))
    const next = admission.next(true, anyRoom)
    t.is(next?.ticket, ticket)
    if (next) admission.admit(next)
  }
  t.is(admission.next(false, anyRoom), held)
})

test('a request that was overtaken once is next after the bound in time', async t => {
  const clock = new VirtualClock(0)
  const queue = new WaitingQueue()
  const slow = waiting(0)
  const admission = new Admission(queue, { isReady: sequence => sequence !== slow }, noLeaders, clock)
  for (const sequence of [slow, waiting(1), waiting(2)]) queue.add(sequence)
  admission.admit(admission.next(false, anyRoom) as Sequence)
  await clock.advance(MOST_OVERTAKEN_MS - 1)
  t.is(admission.next(false, anyRoom)?.ticket, 2)
  await clock.advance(1)
  t.is(admission.next(false, anyRoom), slow)
})

test('whoever finds no room is overtaken by smaller ones that do, as often as one that is being fetched', t => {
  const queue = new WaitingQueue()
  const admission = new Admission(queue, { isReady: () => true }, noLeaders, new VirtualClock(0))
  const large = waiting(0, 100)
  const asked: number[] = []
  const smallOnly = (sequence: Sequence) => {
    asked.push(sequence.ticket)
    return sequence.tokens.length < 10
  }
  queue.add(large)
  t.is(admission.next(true, smallOnly), undefined)
  for (let ticket = 1; ticket <= 2 * MOST_OVERTAKES; ticket += 2) {
    queue.add(waiting(ticket, 200))
    queue.add(waiting(ticket + 1, 5))
    asked.length = 0
    const next = admission.next(false, smallOnly)
    t.is(next?.ticket, ticket + 1)
    t.deepEqual(asked, [0, ticket + 1], 'who is larger than one without room is not asked')
    if (next) admission.admit(next)
  }
  queue.add(waiting(100, 5))
  t.is(admission.next(false, smallOnly), undefined, 'what becomes free is for the one that was overtaken so often')
  t.is(admission.next(false, anyRoom), large)
})

test('the look-ahead window is what fits over the mean of a conversation, and at least one request', t => {
  const lookAhead = new LookAhead()
  t.is(lookAhead.length(100), Infinity)
  lookAhead.queued(20)
  lookAhead.queued(0)
  t.is(lookAhead.length(100), 5)
  t.is(lookAhead.length(3), 1)
  for (let i = 0; i < 100; i++) lookAhead.queued(50)
  t.is(lookAhead.length(100), 2)
})

test('the read buffer holds what computing the new tokens does not hide', t => {
  t.is(readBufferBytes({ loadMs: 10, prefillMs: 20, bytes: 1000 }), 0)
  t.is(readBufferBytes({ loadMs: 40, prefillMs: 10, bytes: 1000 }), 750)
  t.is(readBufferBytes({ loadMs: 40, prefillMs: 0, bytes: 1000 }), 1000)
  t.is(readBufferBytes({ loadMs: Infinity, prefillMs: 0, bytes: 1000 }), 0)
})

test('where loading takes longer than computing, the next request is loaded into hbm before its turn', async t => {
  const slowLoads = { slots: { hbm: 60, dram: 200, ssd: 0 }, profile: { ...cpu2, loadRate: 0.05e6, stepPerRowMs: 0.5 } }
  const played = async (prefetch: boolean) => {
    const served = simulatedService(slowLoads, { prefetch, maxRunning: 1 })
    const conversations: TurnMessage[][] = []
    for (let i = 0; i < 3; i++) {
      const messages = [user(`conversation ${i} `.repeat(48))]
      conversations.push([...messages, { role: 'assistant', content: (await ask(served.service, chat(messages, { ignoreEos: true }))).text }])
    }
    await served.service.demote('dram')
    const answers = await comeBack(served, conversations, 60)
    const { bufferedBlocks } = served.service.counters()
    await served.close()
    return { texts: answers.map(({ text }) => text), worst: worstTtft(answers), bufferedBlocks }
  }
  const [on, off] = [await played(true), await played(false)]
  t.deepEqual(on.texts, off.texts)
  t.true(on.bufferedBlocks > 0)
  t.is(off.bufferedBlocks, 0)
  t.true(on.worst < 0.8 * off.worst, `${on.worst} ms instead of ${off.worst} ms`)
})

/** Blocks with random copies below hbm, wanted by random requests. */
function roomWith(blocks: ReadonlyArray<{ dram: boolean; ssd: boolean; wantedBy: readonly number[] }>, slots: number): { core: Core; room: Room; placed: Block[] } {
  const engine = new SimulatedEngine({ clock: new VirtualClock(), slots: { hbm: 4, dram: slots, ssd: slots } })
  const core = createCore(engine, serviceOptions(engine.info, { policy: 'scheduler-aware' }))
  const { directory } = core
  const placed = blocks.map(({ dram, ssd, wantedBy }, i) => {
    const block = directory.obtain(`key ${i}`, `parent ${i}`, 0, new Uint32Array(64))
    if (dram) directory.reserve('dram')?.become(block, 'present')
    if (ssd || !dram) directory.reserve('ssd')?.become(block, 'present')
    block.durable = block.has('ssd')
    block.releasable = !block.has('ssd')
    block.lastUse = i
    for (const ticket of wantedBy) block.want(ticket)
    return block
  })
  return { core, room: new Room(core), placed }
}

const someBlocks = fc.array(
  fc.record({ dram: fc.boolean(), ssd: fc.boolean(), wantedBy: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }) }),
  { minLength: 1, maxLength: 24 },
)

test('what a request inside the eviction window wants is never dropped from its last tier; what nobody wants goes first', t => {
  fc.assert(
    fc.property(someBlocks, fc.constantFrom('dram' as const, 'ssd' as const), fc.integer({ min: -1, max: 10 }), (blocks, tier, windowEnd) => {
      const { core, room, placed } = roomWith(blocks, blocks.length)
      room.protectUpTo(windowEnd)
      const given: Block[] = []
      for (;;) {
        const before = new Set(core.directory.inTier[tier])
        if (!room.take(tier)) break
        given.push(...[...before].filter(block => !block.has(tier)))
        core.directory.checkIntegrity()
      }
      for (const block of placed) if (block.gone && block.firstWanted <= windowEnd) throw new Error('the last copy of a wanted block was dropped')
      const places = given.map(block => block.firstWanted)
      if (places.some((place, i) => i > 0 && place > (places[i - 1] as number))) throw new Error(`given up in the order ${places.join(', ')}`)
    }),
  )
  t.pass()
})

test('room for what a request will want is not made from what it or an older one wants', t => {
  fc.assert(
    fc.property(someBlocks, fc.integer({ min: 0, max: 9 }), (blocks, ticket) => {
      const { core, room, placed } = roomWith(blocks, blocks.length)
      const inDram = placed.filter(block => block.has('dram'))
      while (room.take('dram', { for: 'later', mayTake: block => block.firstWanted > ticket })) core.directory.checkIntegrity()
      for (const block of inDram) if (block.firstWanted <= ticket && !block.has('dram')) throw new Error('an older request lost a block')
    }),
  )
  t.pass()
})

test('a block knows the first who wants it, whoever comes and goes', t => {
  fc.assert(
    fc.property(fc.array(fc.record({ ticket: fc.integer({ min: 0, max: 5 }), isComing: fc.boolean() })), events => {
      const { placed } = roomWith([{ dram: true, ssd: false, wantedBy: [] }], 1)
      const [block] = placed as [Block]
      const wanting = new Set<number>()
      for (const { ticket, isComing } of events) {
        if (isComing === wanting.has(ticket)) continue
        if (isComing) wanting.add(ticket)
        else wanting.delete(ticket)
        if (isComing) block.want(ticket)
        else block.unwant(ticket)
        if (block.wants !== wanting.size || block.firstWanted !== Math.min(...wanting)) throw new Error('miscounted')
      }
    }),
  )
  t.pass()
})
