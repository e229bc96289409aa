// Memory is taken as it fills, and never more than the system has.

import test from 'ava'
import { cacheStatus } from '../support/cache.js'
import { ask } from '../support/conversation.js'
import { memoryGroup } from '../support/memory-group.js'
import { residentBytes } from '../support/process.js'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const MIB = 2 ** 20
const TIERS = ['--hbm-bytes', '1GiB', '--dram-bytes', '2GiB', '--ssd-bytes', '256MiB']
const modelTest = testNeeding('model')

/** About as many tokens as words; each its own. */
function text(words: number, seed: number): string {
  return Array.from({ length: words }, (_, i) => `item ${(i * 7919 + seed * 104_729) % 9973}`).join(', ')
}

modelTest('a server without traffic holds less than 600 MB with the default model, and its tiers keep their sizes', async (t) => {
  const server = await TestServer.start({ args: ['--device', 'cpu'] })
  // Nothing may be taken in the background either.
  for (let i = 0; i < 200; i++) await server.get('/metrics')
  t.true(residentBytes(server.pid) < 600e6, `${Math.round(residentBytes(server.pid) / 1e6)} MB`)
  for (const { name, capacity_bytes: capacity, committed_bytes: committed } of (await cacheStatus(server)).tiers) {
    if (name !== 'ssd') t.true(committed <= 72 * MIB && capacity >= 256 * MIB, `${name}: ${committed} of ${capacity}`)
  }
  t.is(await server.stop(), 0)
})

const group = memoryGroup(`attentionstore-test-${process.pid}`)
const groupTest: typeof modelTest = (title, run) => {
  if (group === null) test.serial.skip(`${title} (needs control groups that it may make)`, run)
  else modelTest(title, run)
}

groupTest('a control group with too little memory shrinks the tiers; the server says so once and goes on', async (t) => {
  const server = await TestServer.start({ args: ['--device', 'cpu', ...TIERS] })
  // Of what the server holds already nothing is counted.
  group?.hold(server.pid, 250 * MIB)
  for (let i = 0; i < 3; i++) await ask(server, [{ role: 'user', content: text(400, i) }], { max_tokens: 4 })
  const tiers = (await cacheStatus(server)).tiers.filter(({ name }) => name !== 'ssd')
  t.true(tiers.some(({ name, capacity_bytes: capacity }) => capacity < (name === 'hbm' ? 1024 : 2048) * MIB), server.output)
  for (const tier of tiers) if (/tier stays at/.test(server.output)) t.true(tier.used_bytes <= tier.committed_bytes)
  const told = server.output.split('\n').filter((line) => line.includes('tier stays at'))
  t.true(told.length >= 1 && new Set(told.map((line) => /the \w+ tier/.exec(line)?.[0])).size === told.length, told.join('\n'))
  const again = await ask(server, [{ role: 'user', content: text(400, 2) }], { max_tokens: 4 })
  t.truthy(again)
  t.is(await server.stop(), 0)
})

test.after.always(() => group?.remove())
