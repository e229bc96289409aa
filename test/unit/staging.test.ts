// Without a dram tier a few slots of host memory stand between hbm and ssd, and each is given back as soon as it can be.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { Talk, user } from '../support/talk.js'

test('a block that is read for two requests stays until both have it, also if the first went away meanwhile', async t => {
  const failures: unknown[] = []
  const staging = { dramStagingOnly: true, slots: { hbm: 64, dram: 4, ssd: 64 }, disk: new SimulatedDisk('disk') }
  const served = simulatedService({ ...staging, faults: { slowdown: kind => (kind === 'read' ? 100 : 1) } }, { history: 'load' }, failures)
  const [talk, other] = [new Talk('a'), new Talk('c', 'other')]
  for (const each of [talk, other]) await each.turn(served.service)
  await served.service.demote('ssd')
  for (const each of [talk, other]) each.messages.push(user('and then?'))
  const requests = [talk.request(), talk.request({ conversation: 'b' }), other.request()]
  const [first, ...rest] = await Promise.all(requests.map(request => served.service.start(request)))
  const answers = Promise.all(rest.map(turn => readTurn(turn)))
  first?.cancel()
  for (const answer of await answers) t.true(answer && reusedTokens(answer.usage) > 0)
  t.deepEqual(failures, [])
  t.is(served.service.counters().droppedBlocks['damaged'], 0)
  await served.close()
})
