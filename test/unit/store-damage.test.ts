// Whatever bytes lie in `store/`, a start ends in a service that serves: a damaged store is set aside, a new one is begun, and
// the log has one line. The real file behind the service; crates/store has the random damage.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { Fault } from '../../ts/protocol/fault.js'
import { simulatedService, type SimulatedService } from '../support/simulated-service.js'
import { rowOf, Talk, temporaryStore } from '../support/talk.js'

interface Served extends SimulatedService {
  readonly faults: Fault[]
}

function serve(dataDir: string, disk: SimulatedDisk): Served {
  const faults: Fault[] = []
  return { ...simulatedService({ disk, slots: { hbm: 24, dram: 24, ssd: 32 } }, { dataDir, onFault: (fault) => faults.push(fault) }), faults }
}

/** A store that a server left, with conversations, answers and blocks. */
async function left(t: { teardown(close: () => void): void }) {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const talk = new Talk('mine')
  const served = serve(dataDir, disk)
  for (let turn = 0; turn < 3; turn++) await talk.turn(served.service)
  await served.service.demote('ssd')
  await served.close()
  return { dataDir, disk, talk, file: join(dataDir, 'store/records.sqlite') }
}

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  'cut to 100 bytes': (file) => truncateSync(file, 100),
  'cut to 512 bytes': (file) => truncateSync(file, 512),
  'cut to 8,192 bytes': (file) => truncateSync(file, 8192),
  'one page short': (file) => truncateSync(file, statSync(file).size - 4096),
  'empty': (file) => truncateSync(file, 0),
  'zeroed': (file) => writeFileSync(file, Buffer.alloc(statSync(file).size)),
  'replaced by text': (file) => writeFileSync(file, 'a letter to somebody\n'.repeat(1000)),
  'a folder in its place': (file) => {
    rmSync(file)
    mkdirSync(file)
  },
  'a file in the place of its folder': (file) => {
    rmSync(join(file, '..'), { recursive: true })
    writeFileSync(join(file, '..'), 'text')
  },
}

for (const [name, damage] of Object.entries(DAMAGES)) {
  test(`a store that is damaged does not stop the start: ${name}`, async (t) => {
    const { dataDir, disk, talk, file } = await left(t)
    damage(file)
    const served = serve(dataDir, disk)
    await talk.turn(served.service)
    t.like(await served.service.demote('ssd'), { durable: true })
    t.deepEqual(served.faults.map(({ code }) => code), ['store_damaged'])
    t.is(served.faults[0]?.context['set_aside'], join(dataDir, 'store.damaged'))
    t.true(existsSync(join(dataDir, 'store.damaged')))
    await served.close()
    const again = serve(dataDir, disk)
    t.deepEqual(again.faults, [])
    t.true((rowOf(again.service, 'mine')?.tiers.ssd.blocks ?? 0) > 0, 'what was said since is there')
    await again.service.conversations.erase('mine', null)
    t.false(existsSync(join(dataDir, 'store.damaged')), 'an erasure reaches the store that was set aside')
    await again.close()
  })
}

test('a file that is overwritten in service is set aside, and the next start finds what memory had', async (t) => {
  const { dataDir, disk, talk, file } = await left(t)
  const served = serve(dataDir, disk)
  const size = statSync(file).size
  writeFileSync(file, Buffer.alloc(size, 0x5a))
  if (existsSync(`${file}-wal`)) truncateSync(`${file}-wal`, 0)
  for (let turn = 0; turn < 3; turn++) {
    await talk.turn(served.service)
    await served.service.demote('ssd')
    await served.service.conversations.fork('mine', null)
  }
  await served.close()
  const again = serve(dataDir, disk)
  t.true((rowOf(again.service, 'mine')?.tiers.ssd.blocks ?? 0) > 0)
  await again.close()
  t.true([...served.faults, ...again.faults].every(({ code }) => code === 'store_damaged' || code.startsWith('store_')))
})

test('a store whose log is cut at any page after a kill has whole commits', async (t) => {
  const { dataDir, disk } = await left(t)
  const served = serve(dataDir, disk)
  const talk = new Talk('second')
  for (let turn = 0; turn < 2; turn++) await talk.turn(served.service)
  await served.service.demote('ssd')
  const copied = temporaryStore(t)
  cpSync(dataDir, copied, { recursive: true })
  await served.close()
  const log = join(copied, 'store/records.sqlite-wal')
  const bytes = readFileSync(log)
  t.true(bytes.length > 4 * 4096)
  const step = 4096 * Math.ceil(bytes.length / 4096 / 8)
  for (let length = 0; length <= bytes.length; length += step) {
    const place = temporaryStore(t)
    cpSync(copied, place, { recursive: true })
    truncateSync(join(place, 'store/records.sqlite-wal'), length)
    const again = serve(place, new SimulatedDisk('disk'))
    t.deepEqual(again.faults, [], `${length} bytes`)
    t.not(rowOf(again.service, 'mine'), undefined, `${length} bytes`)
    again.service.checkIntegrity()
    await again.close()
  }
})
