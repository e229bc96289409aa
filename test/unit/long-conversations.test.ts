import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { LongConversations } from '../support/long-conversations.js'

const CONVERSATIONS = Number(process.env['LONG_CONVERSATIONS'] ?? 16)

test('answers of long conversations are those of one computation in hbm alone, whatever happens to the cache', async t => {
  const seed = Number(process.env['LONG_CONVERSATIONS_SEED'] ?? 7)
  t.log(`LONG_CONVERSATIONS_SEED=${seed}`)
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const disk = new SimulatedDisk('disk')
  const clock = new VirtualClock()
  const counts = await LongConversations.hold(
    {
      tested: async () => new SimulatedEngine({ clock, disk, slots: { hbm: 10, dram: 40, ssd: 400 }, maxBatchTokens: 100 }),
      reference: async () => new SimulatedEngine({ clock: new VirtualClock(), disk, slots: { hbm: 64, dram: 0, ssd: 0 } }),
      service: { clock, dataDir },
    },
    seed,
    CONVERSATIONS,
  )
  t.log(JSON.stringify(counts))
  for (const [what, count] of Object.entries(counts)) t.true(count > 0, `${what}: nothing of it happened`)
})
