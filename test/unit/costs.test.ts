// The worked example of docs/design/scheduler.md, "Costs", and of ts/scheduler/costs/cost-model.ts.

import test from 'ava'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { CostModel } from '../../ts/scheduler/costs/cost-model.js'
import { mayJoin, readBufferBytes } from '../../ts/scheduler/costs/hidden-loads.js'
import { chooseHistory, NO_COMPANY } from '../../ts/scheduler/costs/load-or-recompute.js'

const [S_MS, P_MS, A_MS] = [20, 1, 0.0005]
const BLOCK_BYTES = 1_500_000

/** A model that has seen steps of the example's machine, a load, and four reads that followed each other. */
async function learnt(): Promise<CostModel> {
  const clock = new VirtualClock(0)
  const costs = new CostModel(clock)
  const step = (rows: number, history: number, isPrompt: boolean): void => {
    const attended = rows * history
    const ofPrompt = isPrompt ? { promptRows: rows, promptAttended: attended } : { promptRows: 0, promptAttended: 0 }
    costs.stepTook({ rows, attended, ...ofPrompt, ms: S_MS + rows * P_MS + attended * A_MS })
  }
  step(1, 0, false)
  for (const history of [0, 1000, 4000]) for (const rows of [8, 16]) step(rows, history, true)
  step(64, 0, true)
  costs.loadTook(BLOCK_BYTES, BLOCK_BYTES / 1_000_000)
  for (let read = 0; read < 4; read++) {
    costs.readBegan()
    await clock.advance(30)
    costs.readEnded()
  }
  return costs
}

const about = (value: number, digits = 1): number => Number(value.toFixed(digits))

test('the symbols come out of the steps, loads and reads that were seen', async t => {
  const costs = await learnt()
  t.is(costs.ownMs, 21)
  t.is(costs.stepMs(64), 84)
  t.is(about(costs.promptStepMs), 20)
  t.is(about(costs.rowsMs(1, 0), 2), 1)
  t.is(costs.blockMs, 84)
  t.is(costs.readMs, 30)
  t.is(costs.loadMs(20 * BLOCK_BYTES), 30)
})

test('a step is as long as arrivals and waiting requests make it, and never shorter than twice its own cost', async t => {
  const costs = await learnt()
  const quantum = costs.quantumMs({ arrivalsPerMs: 0.004, waiting: 0 })
  t.is(about(quantum), 51.2)
  t.is(costs.rowsWithin(quantum - costs.promptStepMs, 0), 30)
  t.is(costs.rowsWithin(quantum - costs.promptStepMs, 4000), 10)
  t.is(costs.quantumMs({ arrivalsPerMs: 1, waiting: 0 }), 42)
  t.is(costs.quantumMs({ arrivalsPerMs: 0, waiting: 3 }), Infinity)
  t.is(new CostModel(new VirtualClock(0)).quantumMs({ arrivalsPerMs: 0.004, waiting: 0 }), Infinity)
})

test('twenty blocks on disk are read while five are computed, and only read where another request waits', async t => {
  const { readMs, blockMs: computeMs } = await learnt()
  const question = { blocks: 20, readMs, queueMs: 0, computeMs, company: NO_COMPANY }
  t.deepEqual(chooseHistory(question), { choice: 'split', front: 5, ms: 450 })
  t.deepEqual(chooseHistory({ ...question, company: { others: 1, arrivalsPerMs: 0 } }), { choice: 'load', front: 0, ms: 600 })
})

test('a load of 30 ms hides behind a step of 84 ms, one of 120 ms needs six blocks ahead of it', async t => {
  const costs = await learnt()
  const join = { remainingMs: costs.loadMs(20 * BLOCK_BYTES), totalMs: 30, stepMs: costs.stepMs(64), layers: 30, preloadLayers: null }
  t.true(mayJoin(join))
  t.true(mayJoin({ ...join, remainingMs: 73 }))
  t.false(mayJoin({ ...join, remainingMs: 73.1 }))
  t.is(readBufferBytes({ loadMs: 30, prefillMs: costs.prefillMs(64), bytes: 20 * BLOCK_BYTES }), 0)
  t.is(readBufferBytes({ loadMs: 120, prefillMs: costs.prefillMs(64), bytes: 20 * BLOCK_BYTES }), 6 * BLOCK_BYTES)
})
