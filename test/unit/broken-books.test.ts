// Alone in its file: the directory of every service is broken meanwhile.

import test from 'ava'
import { Directory } from '../../ts/directory/directory.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { createInferenceService } from '../../ts/service/service.js'

test('books of blocks and slots that do not add up end the service', async t => {
  const wrong = new Error('used + free ≠ total')
  Directory.prototype.checks = () => {
    throw wrong
  }
  const clock = new VirtualClock()
  const service = createInferenceService(new SimulatedEngine({ clock }), { clock })
  await clock.advance(60_000)
  const failure = await service.failed
  t.is(failure.context['engine_code'], 'internal')
  t.is(failure.cause, wrong)
})
