// Random turns of several tenants, while an operator warms, demotes, forks and erases their conversations: every answer is
// the one that a service without reuse gives, and nothing is left of what was erased.

import test from 'ava'
import { ApiError } from '../../ts/protocol/errors.js'
import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { Random } from '../support/random.js'
import { ask, chat, readTurn, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const SEEDS = 8
const ROUNDS = 8
const SYSTEM: TurnMessage = { role: 'system', content: 'You are a system of many words. '.repeat(7) }

interface Talk {
  readonly id: string
  readonly tenant: string
  messages: TurnMessage[]
}

class Workload {
  readonly failures: unknown[] = []
  readonly #random: Random
  readonly #tested: SimulatedService
  readonly #reference: SimulatedService
  readonly #talks: Talk[]
  #forks = 0
  erased = 0
  kept = 0
  refused = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    const hbm = 16 + this.#random.below(40)
    const slots = { hbm, dram: this.#random.pick([8, 24, 80]), ssd: this.#random.pick([16, 60, 300]) }
    const slow = this.#random.pick([1, 1, 50])
    const faults = { slowdown: (kind: string) => (kind === 'write' || kind === 'erase' ? slow : 1) }
    const newConversationId = () => `fork${++this.#forks}`
    this.#tested = simulatedService({ slots, faults }, { newConversationId }, this.failures)
    const ample = { slots: { hbm: 400, dram: 0, ssd: 0 } }
    this.#reference = simulatedService(ample, { noReuse: true, maxContext: this.#tested.service.modelContext }, this.failures)
    this.#talks = Array.from({ length: 5 }, (_, i) => this.#talk(`c${i}`, i % 3 === 0 ? 'other' : 'acme'))
  }

  async run(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      // An operator does not wait for turns to end.
      await Promise.all([...this.#talks.map((talk) => this.#turn(talk)), this.#operate()])
      await this.#erase(this.#random.pick(this.#talks))
    }
    for (const talk of this.#talks) await this.#erase(talk)
    const { service } = this.#tested
    const { rows } = service.conversations.list({ tenant: null, text: null, before: null, limit: 1000 })
    for (const { id, tenant } of rows) await service.conversations.erase(id, tenant)
    for (const { name, blocks } of service.cacheStatus().tiers) if (blocks.total > 0) throw new Error(`${blocks.total} blocks are left in ${name}`)
    service.checkIntegrity()
    await this.#tested.close()
    await this.#reference.close()
  }

  #talk(id: string, tenant: string): Talk {
    return { id, tenant, messages: this.#random.below(2) === 0 ? [SYSTEM] : [] }
  }

  #request(talk: Talk): TurnRequest {
    const { id: conversation, tenant, messages } = talk
    return chat(messages, { conversation, tenant, maxTokens: 1 + this.#random.below(70), ignoreEos: this.#random.below(2) === 0 })
  }

  async #turn(talk: Talk): Promise<void> {
    if (this.#random.below(4) === 0) return
    talk.messages.push({ role: 'user', content: `${this.#random.below(100)} `.repeat(1 + this.#random.below(60)) })
    const request = this.#request(talk)
    if (this.#random.below(6) === 0) {
      talk.messages.pop()
      const turn = await this.#tested.service.start(request).catch(() => null)
      for await (const _ of turn ?? []) break
      return
    }
    const expected = await ask(this.#reference.service, request).catch(() => null)
    if (!expected) return void (talk.messages = [])
    const answer = await ask(this.#tested.service, request)
    if (answer.text !== expected.text) throw new Error(`"${answer.text}" instead of "${expected.text}"`)
    talk.messages.push({ role: 'assistant', content: answer.text })
  }

  async #operate(): Promise<void> {
    const { conversations } = this.#tested.service
    const { id, tenant } = this.#random.pick(this.#talks)
    const actions = [
      () => conversations.warm(id, tenant),
      () => conversations.demote(id, tenant, this.#random.pick(['dram', 'ssd'] as const)),
      () => conversations.fork(id, tenant),
      () => conversations.erase('fork1', null),
    ]
    await this.#random.pick(actions)().catch(isRefusal)
  }

  /** With its token records, so the reference forgets them too: other tokens would be right as well. */
  async #erase(talk: Talk): Promise<void> {
    const { id, tenant } = talk
    const asking = { ...talk, messages: [...talk.messages, { role: 'user', content: 'and now?' }] }
    const running = this.#random.below(3) === 0 ? await this.#tested.service.start(this.#request(asking)).catch(() => null) : null
    try {
      const receipt = await this.#tested.service.conversations.erase(id, tenant)
      this.erased += receipt.erased.blocks
      this.kept += receipt.keptShared.length
      await this.#reference.service.conversations.erase(id, tenant).catch(isRefusal)
      talk.messages = this.#talk(id, tenant).messages
    } catch (thrown) {
      this.refused++
      isRefusal(thrown)
    }
    if (running) await readTurn(running)
  }
}

/** Anything else is a failure of the test. */
function isRefusal(thrown: unknown): void {
  if (thrown instanceof ApiError && (thrown.code === 'not_found' || thrown.code === 'in_use')) return
  throw thrown
}

test('whatever an operator does to conversations, answers are right and what is erased is gone', async (t) => {
  const totals = { erased: 0, kept: 0, refused: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const workload = new Workload(seed)
    try {
      await workload.run()
      if (workload.failures.length > 0) throw workload.failures[0]
    } catch (error) {
      t.log(`seed ${seed}`)
      throw workload.failures[0] ?? error
    }
    totals.erased += workload.erased
    totals.kept += workload.kept
    totals.refused += workload.refused
  }
  t.true(totals.erased > 0 && totals.kept > 0, JSON.stringify(totals))
  t.log(JSON.stringify(totals))
})
