// How long steps with prompts in them are, and who stands back.

import test from 'ava'
import fc from 'fast-check'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { MOST_STOOD_BACK, Pacer } from '../../ts/scheduler/loop/pacer.js'
import { CostModel } from '../../ts/scheduler/costs/cost-model.js'
import { Sequence } from '../../ts/scheduler/sequence/sequence.js'
import { Traffic } from '../../ts/scheduler/costs/traffic.js'
import { TurnOutput } from '../../ts/service/turn.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'

const STEP_MS = 20
const ROW_MS = 1
const ATTENDED_MS = 0.0005

/** A pacer that has measured a machine of these costs, and who is about. */
function pacerOf(clock: VirtualClock, waiting = () => 0) {
  const costs = new CostModel(clock)
  costs.stepTook({ rows: 1, attended: 1, promptRows: 0, promptAttended: 0, ms: STEP_MS + ROW_MS })
  for (const rows of [10, 20, 40, 80]) {
    for (const history of [0, 500, 2000]) {
      const attended = rows * history
      costs.stepTook({ rows, attended, promptRows: rows, promptAttended: attended, ms: STEP_MS + rows * ROW_MS + attended * ATTENDED_MS })
    }
  }
  let present = 0
  const traffic = new Traffic(clock, () => present)
  const arrives = (others: number) => {
    present = others
    traffic.arrives()
  }
  const ends = () => {
    present = 0
    traffic.ended()
  }
  return { pacer: new Pacer(traffic, costs, waiting), costs, arrives, ends }
}

function prompt(ticket: number, length: number, computed = 0): Sequence {
  const spec = { sequence: ticket, tokens: new Uint32Array(length), root: '', view: null, sampling: greedy, stop: [], stopTokens: [], ignoreEos: false, maxTokens: 1 }
  const sequence = new Sequence(spec, ticket, [{ leftOut: 0, tokens: spec.tokens, keys: [] }], new TurnOutput('c', () => {}, () => 'id'), null, '', 'request', 0)
  sequence.progress.skipTo(computed)
  return sequence
}

/** Plans one step as the planner does; rows by ticket. */
function planStep(pacer: Pacer, prompts: readonly Sequence[]): Map<number, number> {
  const pace = pacer.begin()
  const rows = new Map<number, number>()
  for (const sequence of pace.order(prompts.filter(({ plannableRows }) => plannableRows > 0))) {
    const granted = pace.rowsFor(sequence, sequence.plannableRows)
    sequence.standing.standBack(granted === 0)
    if (granted === 0) continue
    pace.planned(sequence, granted)
    sequence.progress.plan(0, granted, false)
    rows.set(sequence.ticket, granted)
  }
  return rows
}

test('a client whose turns follow each other is always alone: no step of its is ended early, however many turns there were', async t => {
  const clock = new VirtualClock(0)
  const { pacer, arrives, ends } = pacerOf(clock)
  for (let turn = 0; turn < 50; turn++) {
    arrives(0)
    await clock.advance(100)
    ends()
  }
  t.is(pacer.quantumMs, Infinity)
  t.is(planStep(pacer, [prompt(0, 500)]).get(0), 500)
  arrives(1)
  t.true(pacer.quantumMs < Infinity)
})

test('whoever is alone is computed in one go; the more requests come beside others, the shorter the steps, down to twice their own cost', async t => {
  const clock = new VirtualClock(0)
  const { pacer, arrives } = pacerOf(clock)
  t.is(pacer.quantumMs, Infinity)
  arrives(0)
  t.is(pacer.quantumMs, Infinity)
  t.is(planStep(pacer, [prompt(0, 500)]).get(0), 500)
  await clock.advance(100)
  arrives(1)
  const seldom = pacer.quantumMs
  for (let i = 0; i < 2; i++) arrives(1)
  const often = pacer.quantumMs
  for (let i = 0; i < 10_000; i++) arrives(1)
  t.true(seldom > often && often > 2 * (STEP_MS + ROW_MS), `${seldom} and ${often} ms`)
  t.is(pacer.quantumMs, 2 * (STEP_MS + ROW_MS))
  await clock.advance(60_000)
  t.is(pacer.quantumMs, Infinity)
})

test('the more requests wait for others to end, the longer the steps: their own cost delays all of them', t => {
  let waiting = 0
  const { pacer, arrives } = pacerOf(new VirtualClock(0), () => waiting)
  arrives(1)
  const nobody = pacer.quantumMs
  waiting = 3
  t.is(Math.round(pacer.quantumMs), Math.round(2 * nobody))
})

test('a step takes no longer than it may, and its own cost over again is never more than its work', t => {
  const { pacer, costs, arrives } = pacerOf(new VirtualClock(0))
  for (let i = 0; i < 4; i++) arrives(1)
  for (const history of [0, 1000, 4000]) {
    const rows = planStep(pacer, [prompt(0, history + 300, history)]).get(0) ?? 0
    const ms = costs.promptStepMs + costs.rowsMs(rows, history)
    t.true(rows < 300 && ms <= pacer.quantumMs && ms > 0.9 * pacer.quantumMs, `${rows} rows behind ${history} tokens take ${ms} of ${pacer.quantumMs} ms`)
  }
})

test('a prompt that a step cannot finish does not delay one that it can', t => {
  const { pacer, arrives } = pacerOf(new VirtualClock(0))
  for (let i = 0; i < 4; i++) arrives(1)
  const [long, first, second] = [prompt(0, 400), prompt(1, 15), prompt(2, 16)] as [Sequence, Sequence, Sequence]
  t.deepEqual([...planStep(pacer, [long, first, second])], [[1, 15], [2, 16]])
  t.is(long.standing.stoodBack, 1)
  t.true((planStep(pacer, [long]).get(0) ?? 0) > 0)
})

test('no prompt is left with rows that take less time than a step of their own costs', t => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 0, max: 4000 }), (length, history) => {
      const { pacer, costs, arrives } = pacerOf(new VirtualClock(0))
      for (let i = 0; i < 4; i++) arrives(1)
      const rows = planStep(pacer, [prompt(0, history + length, history)]).get(0) ?? 0
      const ms = costs.promptStepMs + costs.rowsMs(rows, history)
      const over = ms - pacer.quantumMs
      if (rows > 8 && over > STEP_MS + ROW_MS) throw new Error(`${rows} rows take ${over} ms too long`)
      const leftMs = costs.rowsMs(length - rows, history + rows)
      if (rows < length && leftMs + over <= STEP_MS) throw new Error(`${length - rows} rows of ${leftMs} ms are left after ${over} ms too much`)
    }),
  )
  t.pass()
})

test('a heavy prompt is not planned ahead, and decode rows and short prompts are', t => {
  const { pacer, arrives } = pacerOf(new VirtualClock(0))
  for (let i = 0; i < 4; i++) arrives(1)
  t.false(pacer.isHeavy([prompt(0, 500, 499), prompt(1, 15)]))
  t.true(pacer.isHeavy([prompt(0, 500, 499), prompt(1, 60)]))
})

test('nobody starves: every prompt gets rows within a bounded number of plans, whoever else comes', t => {
  const plans = fc.array(fc.array(fc.integer({ min: 2, max: 300 }), { maxLength: 3 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(plans, fc.integer({ min: 100, max: 5000 }), (arrivals, history) => {
      const { pacer, arrives } = pacerOf(new VirtualClock(0))
      for (let i = 0; i < 30; i++) arrives(1)
      const long = prompt(0, history + 500, history)
      let prompts: Sequence[] = [long]
      let mostAtOnce = 1
      let ticket = 1
      for (const lengths of arrivals) {
        prompts.push(...lengths.map(length => prompt(ticket++, length)))
        planStep(pacer, prompts)
        prompts = prompts.filter(({ plannableRows }) => plannableRows > 0)
        mostAtOnce = Math.max(mostAtOnce, prompts.length)
        for (const { standing: { stoodBack } } of prompts) {
          if (stoodBack > MOST_STOOD_BACK + mostAtOnce) throw new Error(`one of ${mostAtOnce} stood back ${stoodBack} times`)
        }
      }
    }),
  )
  t.pass()
})

test('new chats beside a long prompt wait for short steps, and all get the same answers', async t => {
  const played = async (isBeside: boolean) => {
    const served = simulatedService({ slots: { hbm: 200, dram: 400, ssd: 0 } })
    for (let i = 0; i < 4; i++) await ask(served.service, chat([{ role: 'user', content: `warm ${i} `.repeat(12) }], { maxTokens: 4 }))
    const long = isBeside ? ask(served.service, chat([{ role: 'user', content: 'a long text '.repeat(300) }], { maxTokens: 4 })) : null
    const chats = []
    for (let i = 0; i < 10; i++) {
      chats.push(ask(served.service, chat([{ role: 'user', content: `chat ${i}` }], { maxTokens: 4 })))
      await served.clock.advance(700)
    }
    const answers = await Promise.all(chats)
    const longText = (await long)?.text
    await served.close()
    return { texts: answers.map(({ text }) => text), worst: Math.max(...answers.map(({ usage }) => usage.ttftMs)), longText }
  }
  const [alone, beside] = [await played(false), await played(true)]
  t.deepEqual(beside.texts, alone.texts)
  // Without a pace they waited for up to two steps of 256 rows, 1.6 s.
  t.true(beside.worst < 600, `${beside.worst} ms beside, ${alone.worst} ms alone`)
})
