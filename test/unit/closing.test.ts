// What a service that closes must not lose.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { simulatedService } from '../support/simulated-service.js'
import { rowOf, Talk, temporaryStore } from '../support/talk.js'

test('a demotion that ends while the service closes does not keep later writes from being flushed', async t => {
  // The disk is so slow that the demotion ends in the middle of the writes.
  const faults = { slowdown: (kind: string) => (kind === 'write' ? 1000 : 1) }
  const engine = { disk: new SimulatedDisk('disk'), slots: { hbm: 128, dram: 128, ssd: 512 }, faults }
  const dataDir = temporaryStore(t)
  const served = simulatedService(engine, { dataDir })
  const [small, large] = [new Talk('small'), new Talk('large')]
  await small.turn(served.service)
  await large.turn(served.service, 'A long question. '.repeat(200))
  const blocks = rowOf(served.service, 'large')?.strip[0]?.blocks ?? 0
  t.true(blocks > 40)
  const demoting = served.service.conversations.demote('small', null, 'ssd')
  const closing = served.close()
  const { demotedBlocks } = await demoting
  t.true(demotedBlocks > 0)
  await closing
  const again = simulatedService(engine, { dataDir })
  t.is(rowOf(again.service, 'large')?.tiers.ssd.blocks, blocks)
  await again.close()
})
