// What ends while its last step is computed has ended once: one count, one record.

import test from 'ava'
import { ask, chat, simulatedService, type SimulatedService } from '../support/simulated-service.js'

/** The only step of the turn is under way when this returns. */
async function lastStep(served: SimulatedService) {
  return served.service.start(chat([{ role: 'user', content: 'one word' }], { requestId: 'last', maxTokens: 1, ignoreEos: true }))
}

function ended(served: SimulatedService) {
  const { ok, cancelled, failed } = served.service.counters().requestsTotal
  const { records } = served.service.records.page(undefined, 10)
  return { ok, cancelled, failed, statuses: records.map(({ status }) => status) }
}

test('a turn that is cancelled while its last step runs is counted once, as cancelled', async t => {
  const served = simulatedService()
  const turn = await lastStep(served)
  turn.cancel()
  await served.clock.advance(10_000)
  t.deepEqual(ended(served), { ok: 0, cancelled: 1, failed: 0, statuses: ['cancelled'] })
  served.service.checkIntegrity()
  await served.close()
})

test('a turn that is cut off while its last step runs is counted once, as failed', async t => {
  const served = simulatedService()
  await lastStep(served)
  await served.service.close(0)
  t.deepEqual(ended(served), { ok: 0, cancelled: 0, failed: 1, statuses: ['failed'] })
})

test('what a cancelled turn had computed in its last step is reused', async t => {
  const served = simulatedService()
  const request = chat([{ role: 'user', content: 'long enough to fill a block. '.repeat(8) }], { maxTokens: 1, ignoreEos: true })
  const turn = await served.service.start(request)
  turn.cancel()
  await served.clock.advance(10_000)
  const { usage } = await ask(served.service, request)
  t.true(usage.reusedTokens.hbm >= 64)
  await served.close()
})
