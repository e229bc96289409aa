// Random workloads: whatever happens to the cache, every answer is the one that a service without reuse gives.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { SimulatedOptions } from '../../ts/engine/simulated/options.js'
import { policyNames } from '../../ts/placement/registry.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { Random } from '../support/random.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, readTurn, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const SEEDS = 60
const ROUNDS = 14

interface Setting {
  readonly engine: Partial<SimulatedOptions>
  readonly service: Partial<ServiceOptions>
}

/** Tiers from tiny to ample, each mode on its own or with others, and sometimes faults. */
function randomSetting(random: Random, storeDir: string): Setting {
  const dataDir = random.below(3) === 0 ? storeDir : null
  const hbm = 12 + random.below(30)
  const staging = random.below(4) === 0
  const dram = staging ? 2 + random.below(6) : random.pick([0, 6, 20, 60])
  const ssd = dram === 0 ? 0 : random.pick([0, 10, 40, 200])
  const faulty = random.below(3) === 0
  const faults = new Random(random.below(2 ** 31))
  const slow = random.pick([1, 1, 30])
  const slowReads = random.pick([1, 30, 120])
  return {
    engine: {
      slots: { hbm, dram, ssd },
      dramStagingOnly: staging,
      disk: new SimulatedDisk('disk'),
      maxBatchTokens: random.pick([24, 64, 256]),
      faults: {
        fails: () => (faulty && faults.below(25) === 0 ? 'kv_damaged' : undefined),
        slowdown: kind => (kind === 'read' ? slowReads : kind === 'write' || kind === 'load' ? slow : 1),
      },
    },
    service: {
      dataDir,
      maxContext: (hbm - 1) * 64,
      overlap: random.below(4) > 0,
      preload: random.below(4) > 0,
      prefetch: random.below(4) > 0,
      history: random.pick(['auto', 'load', 'recompute', 'split', 'split']),
      preloadLayers: random.pick([null, null, 0, 15, 30]),
      syncSave: random.below(5) === 0,
      maxRunning: random.pick([2, 8, 64]),
      policy: random.pick(policyNames),
    },
  }
}

interface Client {
  messages: TurnMessage[]
  readonly salt: string
}

class Workload {
  readonly failures: unknown[] = []
  readonly #random: Random
  readonly #setting: Setting
  readonly #reference: SimulatedService
  readonly #clients: Client[]
  #tested: SimulatedService
  reused = 0
  preemptions = 0
  splits = 0
  prefetches = 0

  constructor(seed: number, dataDir: string) {
    this.#random = new Random(seed)
    this.#setting = randomSetting(this.#random, dataDir)
    this.#tested = this.#open()
    const ample = { slots: { hbm: 400, dram: 0, ssd: 0 } }
    this.#reference = simulatedService(ample, { noReuse: true, maxContext: this.#tested.service.modelContext }, this.failures)
    this.#clients = Array.from({ length: 2 + this.#random.below(6) }, (_, i) => ({
      messages: this.#random.below(2) === 0 ? [{ role: 'system', content: 'You are a system of many words. '.repeat(1 + (i % 3) * 3) }] : [],
      salt: this.#random.pick(['', '', 'salt']),
    }))
  }

  async run(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(this.#clients.map(client => this.#turn(client)))
      await this.#disturb()
    }
    this.#count()
    await this.#tested.close()
    await this.#reference.close()
  }

  #count(): void {
    const { preemptions, historyChoices, prefetchHits } = this.#tested.service.counters()
    this.preemptions += preemptions
    this.splits += historyChoices.split
    this.prefetches += prefetchHits
  }

  #open(): SimulatedService {
    return simulatedService(this.#setting.engine, this.#setting.service, this.failures)
  }

  async #turn(client: Client): Promise<void> {
    const random = this.#random
    if (random.below(4) === 0) return
    if (random.below(8) === 0) client.messages = client.messages.slice(0, random.below(client.messages.length + 1))
    client.messages.push({ role: 'user', content: `${random.below(1000)} `.repeat(1 + random.below(random.pick([3, 40]))) })
    const request = chat(client.messages, {
      cacheSalt: client.salt,
      maxTokens: 1 + random.below(90),
      ignoreEos: random.below(2) === 0,
      stop: random.pick([[], ['th'], ['er', 'on\n']]),
      sampling: random.below(2) === 0 ? greedy : { ...greedy, temperature: 1, seed: BigInt(random.below(2 ** 31)) },
    })
    if (random.below(7) === 0) return this.#brokenOff(client, request, random.below(12))
    const expected = await ask(this.#reference.service, request).catch(() => null)
    if (!expected) return void (client.messages = [])
    const answer = await ask(this.#tested.service, request)
    if (answer.text !== expected.text) throw new Error(`"${answer.text}" instead of "${expected.text}"`)
    const { usage } = answer
    const parts = reusedTokens(usage) + usage.computedTokens + usage.outsideViewTokens
    if (parts !== usage.promptTokens) throw new Error(`usage does not add up: ${JSON.stringify(usage)}`)
    this.reused += reusedTokens(usage)
    client.messages.push({ role: 'assistant', content: answer.text })
  }

  /** The client goes away after some events. */
  async #brokenOff(client: Client, request: TurnRequest, after: number): Promise<void> {
    client.messages.pop()
    const turn = await this.#tested.service.start(request).catch(() => null)
    if (!turn) return
    let left = after
    for await (const event of turn) if (left-- <= 0 || event.type === 'done') break
  }

  async #disturb(): Promise<void> {
    const { service } = this.#tested
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        return void (await service.demote(this.#random.pick(['dram', 'ssd'] as const)).catch(() => null))
      case 2:
        return void (await service.reset())
      case 3:
        // Without a store the token records would be lost, and another answer would be right too.
        if (this.#setting.service.dataDir === null) return
        this.#count()
        await this.#tested.close()
        this.#tested = this.#open()
        return
      case 4: {
        const cancelled = await service.start(chat([{ role: 'user', content: 'never mind '.repeat(40) }])).catch(() => null)
        cancelled?.cancel()
        return void (cancelled && (await readTurn(cancelled)))
      }
    }
  }
}

test('whatever is evicted, preempted, demoted, restarted, damaged or cancelled, answers are those of a service without reuse', async t => {
  let reused = 0
  let preemptions = 0
  let splits = 0
  let prefetches = 0
  const only = process.env['WORKLOAD_SEED']
  const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => 1000 + i) : only.split('-').length === 2
      ? Array.from({ length: Number(only.split('-')[1]) - Number(only.split('-')[0]) }, (_, i) => Number(only.split('-')[0]) + i)
      : [Number(only)]
  for (const seed of seeds) {
    const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
    const workload = new Workload(seed, dataDir)
    try {
      await workload.run()
      if (workload.failures.length > 0) throw workload.failures[0]
    } catch (error) {
      t.log(`WORKLOAD_SEED=${seed}`)
      throw workload.failures[0] ?? error
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
    reused += workload.reused
    preemptions += workload.preemptions
    splits += workload.splits
    prefetches += workload.prefetches
  }
  if (only !== undefined) return t.pass()
  t.true(reused > 0, 'nothing was reused: the test shows nothing')
  t.true(preemptions > 0, 'nothing was preempted')
  t.true(splits > 0, 'no history was computed and read at the same time')
  t.true(prefetches > 0, 'nothing was prefetched')
  t.log(`${SEEDS} workloads, ${reused} tokens reused, ${preemptions} preemptions, ${splits} splits, ${prefetches} blocks prefetched and used`)
})
