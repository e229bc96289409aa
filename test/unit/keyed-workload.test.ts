// Random workloads on two servers that share a key-addressed tier: whatever it answers, and whenever, every answer is the one
// that a service without reuse gives.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import { MemoryKeyedTier, MemoryPool, type PoolSetting } from '../support/memory-keyed-tier.js'
import { Random } from '../support/random.js'
import { chat, readTurn, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const SEEDS = 30
const ROUNDS = 10
const { blockBytes } = blockSizes(cpu2)

class Workload {
  readonly failures: unknown[] = []
  readonly #random: Random
  readonly #pool: MemoryPool
  readonly #servers: readonly SimulatedService[]
  readonly #reference: SimulatedService
  /** The tokens of each conversation: servers do not share the records of answers, and text alone has other tokens. */
  readonly #clients: number[][]
  fetched = 0
  late = 0
  failed = 0
  reused = 0

  constructor(seed: number) {
    const random = new Random(seed)
    this.#random = random
    this.#pool = new MemoryPool(random.pick([4, 20, 200]) * blockBytes, blockBytes)
    const hbm = 14 + random.below(20)
    const maxContext = (hbm - 1) * 64
    this.#servers = [0, 1].map(() => this.#open(hbm, maxContext, settingOf(random)))
    this.#reference = simulatedService({ slots: { hbm: 400, dram: 0, ssd: 0 } }, { noReuse: true, maxContext }, this.failures)
    this.#clients = Array.from({ length: 2 + random.below(4) }, () => [])
  }

  async run(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(this.#clients.map(tokens => this.#turn(tokens)))
      const [damaged] = this.#random.below(3) === 0 ? this.#pool.keys : []
      if (damaged !== undefined) this.#pool.damage(damaged)
      if (this.#random.below(4) === 0) await this.#random.pick(this.#servers).service.reset()
    }
    for (const { service } of this.#servers) {
      const { fetched = 0, late = 0, failed = 0 } = service.counters().keyedBlocks ?? {}
      this.fetched += fetched
      this.late += late
      this.failed += failed
    }
    await Promise.all([...this.#servers, this.#reference].map(server => server.close()))
  }

  #open(hbm: number, maxContext: number, setting: PoolSetting): SimulatedService {
    const slots = { hbm, dram: this.#random.pick([6, 12, 60]), ssd: this.#random.pick([0, 0, 20]) }
    return simulatedService(
      { slots, disk: new SimulatedDisk('shared') },
      (engine, clock) => ({ maxContext, keyedTier: new MemoryKeyedTier(this.#pool, engine, clock, setting) }),
      this.failures,
    )
  }

  async #turn(known: number[]): Promise<void> {
    const random = this.#random
    if (random.below(5) === 0) return
    if (random.below(6) === 0) known.splice(random.below(known.length + 1))
    const asked = Array.from({ length: 1 + random.below(random.pick([10, 200])) }, () => 20 + random.below(5))
    const tokens = Uint32Array.from([...known, ...asked])
    const request = chat([], { prompt: { kind: 'tokens', tokens }, maxTokens: 1 + random.below(70), ignoreEos: true })
    const { service } = random.pick(this.#servers)
    const [turn, reference] = await Promise.all([service, this.#reference.service].map(each => each.start(request).catch(() => null)))
    if (!turn || !reference) return void known.splice(0)
    const isCancelled = random.below(12) === 0
    if (isCancelled) turn.cancel()
    const [answer, expected] = await Promise.all([readTurn(turn), readTurn(reference)])
    if (!expected || isCancelled) return
    if (answer?.text !== expected.text) this.failures.push(new Error(`"${answer?.text}" is not "${expected.text}"`))
    this.reused += reusedTokens(expected.usage) + (answer ? reusedTokens(answer.usage) : 0)
    known.push(...asked, ...expected.tokens)
  }
}

/** From a tier that is at hand to one that answers late or never, and fails now and then. */
function settingOf(random: Random): PoolSetting {
  const own = new Random(random.below(2 ** 31))
  const slow = random.pick([0, 2, 60])
  const isLost = random.below(4) === 0
  const isFaulty = random.below(3) === 0
  const ms = () => own.below(1 + slow)
  const fault = () => (isFaulty && own.below(6) === 0 ? 'gone' : undefined)
  return {
    delays: { has: () => (isLost && own.below(2) === 0 ? Infinity : ms() * 3), get: ms, put: ms, delete: ms },
    faults: { has: fault, get: fault, put: fault },
  }
}

test('whatever the tier answers and whenever, answers are those of a service without reuse', async t => {
  const sums = { fetched: 0, late: 0, failed: 0, reused: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const workload = new Workload(seed)
    await workload.run()
    t.deepEqual(workload.failures, [], `seed ${seed}`)
    for (const name of Object.keys(sums) as Array<keyof typeof sums>) sums[name] += workload[name]
  }
  for (const [name, sum] of Object.entries(sums)) t.true(sum > 50, `${name}: ${sum}`)
  t.log(sums)
})
