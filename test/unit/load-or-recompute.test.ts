// History on ssd: read, computed again, or computed from the front while the back is read.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { chooseHistory, frontBlocks, NO_COMPANY, type HistoryQuestion } from '../../ts/scheduler/costs/load-or-recompute.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { Throughput } from '../../ts/scheduler/costs/throughput.js'
import type { TurnMessage } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService, type Answer, type SimulatedService } from '../support/simulated-service.js'

const user = (content: string): TurnMessage => ({ role: 'user', content })

const questions: fc.Arbitrary<HistoryQuestion> = fc.record({
  blocks: fc.integer({ min: 1, max: 200 }),
  readMs: fc.double({ min: 0.01, max: 1000, noNaN: true }),
  queueMs: fc.double({ min: 0, max: 5000, noNaN: true }),
  computeMs: fc.double({ min: 0.01, max: 1000, noNaN: true }),
  company: fc.record({ others: fc.integer({ min: 0, max: 20 }), arrivalsPerMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.1, noNaN: true })) }),
})

test('what is chosen is as fast as the better of reading and computing, up to a twentieth, for whoever is alone', t => {
  fc.assert(
    fc.property(questions, question => {
      const { blocks, readMs, queueMs, computeMs } = question
      const { ms } = chooseHistory({ ...question, company: NO_COMPANY })
      return ms <= Math.min(queueMs + blocks * readMs, blocks * computeMs) / 0.95
    }),
  )
  t.pass()
})

test('where reading and computing balance, doing both takes at most two thirds of the time', t => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.double({ min: 0.01, max: 1000, noNaN: true }), (blocks, each) => {
      const { choice, ms } = chooseHistory({ blocks, readMs: each, queueMs: 0, computeMs: each, company: NO_COMPANY })
      return choice === 'split' && ms <= (blocks * each) / 1.5 + 1e-9
    }),
  )
  t.pass()
})

test('a plan is never predicted to be slower than it is: front and back are counted whole', t => {
  fc.assert(
    fc.property(questions, question => {
      const { choice, front, ms } = chooseHistory(question)
      const { blocks, readMs, queueMs, computeMs } = question
      const back = front === blocks ? 0 : queueMs + (blocks - front) * readMs
      const isNamed = choice === (front === 0 ? 'load' : front === blocks ? 'recompute' : 'split')
      return isNamed && Math.abs(ms - Math.max(front * computeMs, back)) < 1e-6
    }),
  )
  t.pass()
})

test('when others wait, computing must save more than it costs them', t => {
  const question = { blocks: 40, readMs: 10, queueMs: 0, computeMs: 10, company: NO_COMPANY }
  t.is(chooseHistory(question).choice, 'split')
  t.is(chooseHistory({ ...question, company: { ...NO_COMPANY, others: 2 } }).choice, 'load')
  t.is(chooseHistory({ ...question, readMs: 1000, company: { ...NO_COMPANY, others: 2 } }).choice, 'recompute')
})

test('where others keep coming, no more is computed than is worth their waiting, and nothing if it is not worth it', t => {
  const question = { blocks: 60, readMs: 10, queueMs: 0, computeMs: 40, company: NO_COMPANY }
  t.is(chooseHistory(question).front, 12)
  t.is(chooseHistory({ ...question, company: { others: 0, arrivalsPerMs: 0.001 } }).front, 6)
  t.is(chooseHistory({ ...question, company: { others: 0, arrivalsPerMs: 0.004 } }).choice, 'load')
  t.is(chooseHistory({ ...question, readMs: 200, company: { others: 0, arrivalsPerMs: 0.001 } }).choice, 'split')
})

test('a front stops while somebody is there to whom it costs more than it gains', t => {
  const question = { left: 20, readMs: 10, computeMs: 40, busyMs: 0, company: NO_COMPANY }
  t.is(frontBlocks(question), 4)
  t.is(frontBlocks({ ...question, company: { others: 1, arrivalsPerMs: 0 } }), 0)
  t.is(frontBlocks({ ...question, readMs: 100, company: { others: 1, arrivalsPerMs: 0 } }), 14)
  t.is(frontBlocks({ ...question, company: { others: 0, arrivalsPerMs: 0.004 } }), 1)
})

test('the front takes what it can compute before the back gets there', t => {
  t.is(frontBlocks({ left: 10, readMs: 10, computeMs: 10, busyMs: 0, company: NO_COMPANY }), 5)
  t.is(frontBlocks({ left: 10, readMs: 10, computeMs: 10, busyMs: 40, company: NO_COMPANY }), 3)
  t.is(frontBlocks({ left: 1, readMs: 10, computeMs: 10, busyMs: 0, company: NO_COMPANY }), 0)
  t.is(frontBlocks({ left: 3, readMs: 1000, computeMs: 1, busyMs: 0, company: NO_COMPANY }), 3)
  t.is(frontBlocks({ left: 3, readMs: 1, computeMs: 1000, busyMs: 0, company: NO_COMPANY }), 0)
})

test('before anything was measured the front waits for a read, and tries one block only if the rest would take long', t => {
  t.is(frontBlocks({ left: 10, readMs: 0, computeMs: 10, busyMs: 0, company: NO_COMPANY }), 0)
  t.is(frontBlocks({ left: 10, readMs: 10, computeMs: 0, busyMs: 0, company: NO_COMPANY }), 0)
  t.is(frontBlocks({ left: 10, readMs: 100, computeMs: 0, busyMs: 0, company: NO_COMPANY }), 1)
})

test('throughput counts the time in which something was under way, and believes a transfer that takes longer', t => {
  const throughput = new Throughput()
  t.is(throughput.msEach(0), 0)
  for (let i = 0; i < 4; i++) throughput.started(100)
  t.is(throughput.msEach(103), 3)
  for (let i = 1; i <= 4; i++) throughput.ended(100 + 10 * i)
  t.is(throughput.msEach(5000), 10)
  throughput.started(5000)
  t.is(throughput.msEach(5005), 10)
  t.is(throughput.msEach(5050), 50)
})

const TURN = 'a sentence of the history. '.repeat(48)

/** Milliseconds that history is away from its returning turn on a server that has just started. */
async function firstTurnAfterStart(readMs: number): Promise<{ ttftMs: number; text: string; computed: number }> {
  const profile = { ...cpu2, diskLatencyMs: 0, readRate: (cpu2.kvBytesPerToken * 64) / readMs }
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  const disk = new SimulatedDisk('disk')
  const messages = [user(TURN)]
  const before = simulatedService({ profile, disk }, { dataDir })
  messages.push({ role: 'assistant', content: (await ask(before.service, chat(messages, { ignoreEos: true }))).text }, user('go on'))
  await before.close()
  const served = simulatedService({ profile, disk }, { dataDir })
  const { text, usage } = await ask(served.service, chat(messages))
  await served.close()
  rmSync(dataDir, { recursive: true, force: true })
  return { ttftMs: usage.ttftMs, text, computed: usage.computedTokens }
}

test('a server that has measured nothing yet finds out while it reads: a fast disk is waited for, a slow one met', async t => {
  const [fast, even, slow] = [await firstTurnAfterStart(2), await firstTurnAfterStart(205), await firstTurnAfterStart(20_000)]
  t.is(fast.text, even.text)
  t.is(fast.text, slow.text)
  t.true(fast.computed < 64 && fast.ttftMs < 150, `${fast.ttftMs} ms`)
  t.true(even.ttftMs < 4000 / 1.5, `${even.ttftMs} ms`)
  t.true(slow.ttftMs < 4000 / 0.9, `${slow.ttftMs} ms`)
})

interface Played {
  readonly answer: Answer
  readonly served: SimulatedService
}

/** A conversation of about 1,300 tokens that lies on ssd comes back; the disk reads a block in `readMs`. */
async function comeBack(history: ServiceOptions['history'], readMs: number): Promise<Played> {
  const profile = { ...cpu2, diskLatencyMs: 0, readRate: (cpu2.kvBytesPerToken * 64) / readMs }
  const served = simulatedService({ profile }, { history })
  // What a read takes is known from a conversation before.
  for (const salt of ['measured', 'asked']) {
    const messages = [user(TURN)]
    const first = await ask(served.service, chat(messages, { ignoreEos: true, cacheSalt: salt }))
    messages.push({ role: 'assistant', content: first.text }, user('go on'))
    await served.service.demote('ssd')
    const answer = await ask(served.service, chat(messages, { cacheSalt: salt }))
    if (salt === 'asked') return { answer, served }
  }
  throw new Error('unreachable')
}

for (const readMs of [2, 30, 100, 205, 400, 1000, 5000]) {
  test(`a block read in ${readMs} ms, computed in about 205: as fast as the better way, and the same answer`, async t => {
    const [load, recompute, auto] = [await comeBack('load', readMs), await comeBack('recompute', readMs), await comeBack('auto', readMs)]
    const better = Math.min(load.answer.usage.ttftMs, recompute.answer.usage.ttftMs)
    const { ttftMs } = auto.answer.usage
    t.true(ttftMs <= better / 0.95, `${ttftMs} ms instead of ${better} ms`)
    if (readMs === 205) t.true(ttftMs <= better / 1.5, `${ttftMs} ms instead of ${better} ms`)
    for (const { answer, served } of [load, recompute, auto]) {
      t.is(answer.text, load.answer.text)
      t.is(reusedTokens(answer.usage) + answer.usage.computedTokens, answer.usage.promptTokens)
      t.is(answer.usage.recomputedTokens, 0)
      await served.close()
    }
    t.true(load.answer.usage.reusedTokens.ssd > 1200)
    t.is(recompute.answer.usage.reusedTokens.ssd, 0)
    t.log(`load ${load.answer.usage.ttftMs.toFixed()} ms, recompute ${recompute.answer.usage.ttftMs.toFixed()} ms, auto ${ttftMs.toFixed()} ms with ${auto.answer.usage.computedTokens} computed`)
  })
}

test('what the front computed counts as computed, though it lay on ssd, and the choice is counted', async t => {
  const { answer, served } = await comeBack('auto', 205)
  const { computedTokens, reusedTokens: reused } = answer.usage
  t.true(computedTokens > 400 && reused.ssd > 400, JSON.stringify(answer.usage))
  t.is(served.service.counters().historyChoices.split, 2)
  t.is(served.service.counters().reusedTokens.ssd >= reused.ssd, true)
  await served.close()
})

test('blocks that are damaged at the back are computed by the front, with the same answer', async t => {
  const slow = { ...cpu2, readRate: (cpu2.kvBytesPerToken * 64) / 100 }
  let reads = 0
  const served = simulatedService({ profile: slow, faults: { fails: transfer => (transfer.kind === 'read' && reads++ % 3 === 1 ? 'kv_damaged' : undefined) } }, { history: 'split' })
  const whole = simulatedService({}, { noReuse: true })
  const messages = [user(TURN)]
  const { text } = await ask(served.service, chat(messages, { ignoreEos: true }))
  t.is((await ask(whole.service, chat(messages, { ignoreEos: true }))).text, text)
  messages.push({ role: 'assistant', content: text }, user('go on'))
  await served.service.demote('ssd')
  const [damaged, expected] = [await ask(served.service, chat(messages)), await ask(whole.service, chat(messages))]
  t.is(damaged.text, expected.text)
  t.true(reads > 3)
  t.is(reusedTokens(damaged.usage) + damaged.usage.computedTokens, damaged.usage.promptTokens)
  await served.close()
  await whole.close()
})

/** A conversation of about 1,300 tokens on a disk that reads a block in 100 ms, and its next turn. */
async function storedOnSsd(history: ServiceOptions['history']) {
  const profile = { ...cpu2, diskLatencyMs: 0, readRate: (cpu2.kvBytesPerToken * 64) / 100 }
  const served = simulatedService({ profile }, { history })
  const messages = [user(TURN)]
  messages.push({ role: 'assistant', content: (await ask(served.service, chat(messages, { ignoreEos: true }))).text }, user('go on'))
  await served.service.demote('ssd')
  return { served, messages }
}

/** Mean time to the first token of chats that keep coming while the stored conversation returns. */
async function besideReturn(history: ServiceOptions['history']): Promise<{ chatMs: number; computed: number }> {
  const { served, messages } = await storedOnSsd(history)
  const chats: Array<Promise<Answer>> = []
  let back: Promise<Answer> | null = null
  for (let i = 0; i < 24; i++) {
    chats.push(ask(served.service, chat([user(`chat ${i}`)], { maxTokens: 8, ignoreEos: true })))
    if (i === 16) back = ask(served.service, chat(messages))
    await served.clock.advance(150)
  }
  const times = (await Promise.all(chats)).slice(16).map(({ usage }) => usage.ttftMs)
  const computed = (await back)?.usage.computedTokens ?? 0
  await served.close()
  return { chatMs: times.reduce((a, b) => a + b) / times.length, computed }
}

test('where chats keep coming, a history that could be computed meanwhile is read, and they do not wait for it', async t => {
  const [load, split, auto] = [await besideReturn('load'), await besideReturn('split'), await besideReturn('auto')]
  t.is(auto.computed, load.computed)
  t.true(auto.chatMs < 1.01 * load.chatMs && split.chatMs > 1.05 * load.chatMs, JSON.stringify({ load, split, auto }))
})

/** Tokens that the stored conversation computes when it returns alone, with somebody else there 300 ms later or not. */
async function frontBeside(isBeside: boolean): Promise<number> {
  const { served, messages } = await storedOnSsd('auto')
  const back = ask(served.service, chat(messages))
  await served.clock.advance(300)
  const other = isBeside ? ask(served.service, chat([user('chat')], { maxTokens: 400, ignoreEos: true })) : null
  const { usage } = await back
  await other
  await served.close()
  return usage.computedTokens
}

test('a front that began alone pauses when somebody comes to whom it costs more than it gains', async t => {
  const [alone, beside] = [await frontBeside(false), await frontBeside(true)]
  t.true(alone > 250 && beside < alone - 64, `${alone} tokens alone, ${beside} beside`)
})
