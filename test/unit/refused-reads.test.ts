// Reads that the disk refuses or fails: asked again, so that a block whose bytes are whole is not given up for a moment's trouble.

import test from 'ava'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'

const question = 'a question that is long enough to fill a few blocks of tokens. '.repeat(6)
const asked = () => chat([{ role: 'user', content: question }], { maxTokens: 24, ignoreEos: true })

/** A history on ssd is asked for again, while each of its reads fails with `code` for the first `times` tries. */
async function readAgain(code: string, times: number) {
  const tries = new Map<number, number>()
  const fails = (transfer: { readonly kind: string; readonly ssdSlot?: number }): string | undefined => {
    if (transfer.kind !== 'read') return undefined
    const before = tries.get(transfer.ssdSlot ?? -1) ?? 0
    tries.set(transfer.ssdSlot ?? -1, before + 1)
    return before < times ? code : undefined
  }
  const served = simulatedService({ faults: { fails } }, { history: 'load' })
  const first = await ask(served.service, asked())
  await served.service.demote('ssd')
  const second = await ask(served.service, asked())
  const { damaged = 0 } = served.service.counters().droppedBlocks
  await served.close()
  return { isSame: second.text === first.text, reused: reusedTokens(second.usage), damaged }
}

test('a read that finds no place in the queue of the disk is asked for again, however full it is, and its block is kept', async (t) => {
  const whole = await readAgain('none', 0)
  t.true(whole.reused > 0)
  for (const times of [1, 20, 150]) t.deepEqual(await readAgain('kv_queue_full', times), { isSame: true, reused: whole.reused, damaged: 0 }, `${times} times`)
})

test('a read that fails once or twice is tried again; after that the block is a miss', async (t) => {
  const whole = await readAgain('none', 0)
  for (const times of [1, 2]) t.deepEqual(await readAgain('kv_io', times), { isSame: true, reused: whole.reused, damaged: 0 }, `${times} times`)
  const given = await readAgain('kv_io', 3)
  t.true(given.isSame && given.reused < whole.reused && given.damaged > 0)
})

test('a block that did not read back as written is not read again', async (t) => {
  const given = await readAgain('kv_damaged', 1)
  t.true(given.isSame && given.damaged > 0)
})

test('a queue that stays full for good ends in an answer all the same', async (t) => {
  t.true((await readAgain('kv_queue_full', Infinity)).isSame)
})
