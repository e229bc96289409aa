// Transfers that fail: the rows that needed them are computed again, the others go on, and each is counted and said.

import test from 'ava'
import type { Fault } from '../../ts/protocol/fault.js'
import type { Faults } from '../../ts/engine/simulated/options.js'
import { ask, chat, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

type Transferred = Parameters<NonNullable<Faults['fails']>>[0]

const question = 'a question that is long enough to fill a few blocks of tokens. '.repeat(6)
const asked = (content: string, maxTokens = 24) => chat([{ role: 'user', content }], { conversation: 'c', maxTokens, ignoreEos: true })

/** Fails the transfers for which `fails` says so, and keeps what the service says of them. */
function failing(fails: (transfer: Transferred) => boolean, options: Parameters<typeof simulatedService>[0] = {}) {
  const said: Fault[] = []
  const faults: Faults = { fails: transfer => (fails(transfer) ? 'io' : undefined) }
  return { said, ...simulatedService({ ...options, faults }, { onFault: fault => said.push(fault) }) }
}

function count({ service }: SimulatedService, kind: string): number {
  return service.counters().failedTransfers.find(failed => failed.kind === kind && failed.code === 'io')?.count ?? 0
}

/** The first transfer of the kind. */
function once(kind: Transferred['kind']) {
  let left = 1
  return (transfer: Transferred) => transfer.kind === kind && left-- > 0
}

const kinds: Record<string, readonly [kind: Transferred['kind'], work: (served: SimulatedService) => Promise<unknown>]> = {
  save: ['plan save', served => ask(served.service, asked(question))],
  write: ['write', served => ask(served.service, asked(question)).then(() => served.service.demote('ssd'))],
  flush: ['flush', served => ask(served.service, asked(question)).then(() => served.service.demote('ssd'))],
  erase: [
    'erase',
    async served => {
      await ask(served.service, asked(question))
      await served.service.demote('ssd')
      await served.service.conversations.erase('c', '').catch(() => {})
    },
  ],
  read: [
    'read',
    async served => {
      await ask(served.service, asked(question))
      await served.service.demote('ssd')
      await ask(served.service, asked(question))
    },
  ],
  load: [
    'load',
    async served => {
      await ask(served.service, asked(question))
      await served.service.demote('dram')
      await ask(served.service, asked(question))
    },
  ],
  copy: [
    'copy',
    async served => {
      await ask(served.service, asked(question))
      await ask(served.service, asked(`${question.slice(0, -5)}other`))
    },
  ],
}
/** Saves, writes and flushes are tried again: that one failed is a count, that they are given up a line. */
const lines: Readonly<Record<string, string>> = { load: 'a load failed', read: 'a read failed', copy: 'a copy failed', erase: 'an erasure failed' }
for (const [kind, [injected, work]] of Object.entries(kinds)) {
  test(`a transfer that fails is counted by kind and code, and said with its reason unless it is tried again: ${kind}`, async t => {
    const served = failing(once(injected))
    await work(served)
    await served.close()
    t.is(count(served, kind), 1)
    t.is(served.service.counters().failedTransfers.length, 1)
    const message = lines[kind]
    t.deepEqual(served.said, message === undefined ? [] : [{ message, code: 'io', context: { detail: 'simulated: io' } }])
  })
}

for (const [injected, message] of [['plan save', 'a block is no longer saved to dram'], ['write', 'a block is no longer written to the ssd']] as const) {
  test(`a block that is given up is said with the reason of its last failure: ${injected}`, async t => {
    const served = failing(({ kind }) => kind === injected || (injected === 'plan save' && kind === 'save'))
    await ask(served.service, asked(question))
    await served.close()
    t.true(served.said.some(fault => fault.message === message && fault.context['detail'] === 'simulated: io'), JSON.stringify(served.said))
  })
}

test('a save of rows that were not computed is no failure', async t => {
  let isFirst = true
  const served = failing(transfer => transfer.kind === 'load' && isFirst && !(isFirst = false))
  await ask(served.service, asked(question))
  await served.service.demote('dram')
  await ask(served.service, asked(`${question}and more. ${question}`))
  await served.close()
  t.deepEqual(served.service.counters().failedTransfers, [{ kind: 'load', code: 'io', count: 1 }])
})

for (const kind of ['load', 'copy'] as const) {
  test(`a ${kind} that always fails ends in the answer of a service that computes everything, and holds up nobody`, async t => {
    const served = failing(transfer => transfer.kind === kind)
    await ask(served.service, asked(question))
    if (kind === 'load') await served.service.demote('dram')
    const changed = asked(`${question.slice(0, -5)}other`)
    const other = chat([{ role: 'user', content: 'something else entirely' }], { maxTokens: 200, ignoreEos: true })
    const [answer, beside] = await Promise.all([ask(served.service, changed), ask(served.service, other)])
    const fresh = simulatedService({}, { noReuse: true })
    t.is(answer.text, (await ask(fresh.service, changed)).text)
    t.is(beside.text, (await ask(fresh.service, other)).text)
    t.is(beside.usage.recomputedTokens, 0)
    t.true(count(served, kind) > 0)
    await served.close()
    await fresh.close()
  })
}

test('what a refused copy stood in for is computed again; what lay before it is reused', async t => {
  const served = failing(once('copy'))
  await ask(served.service, asked(question))
  const { usage } = await ask(served.service, asked(`${question.slice(0, -5)}other`))
  t.is(reusedTokens(usage) % 64, 0)
  t.true(reusedTokens(usage) >= 64)
  await served.close()
})
