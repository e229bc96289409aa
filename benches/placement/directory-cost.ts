// The cost of the policy a request in the live directory: a full tier of 100,000 blocks, requests that use and fill blocks, and
// as many that go. Beside it the same without a policy's work: keys, maps and slots have their own cost.

import { Directory } from '../../ts/directory/directory.js'
import { Evictor } from '../../ts/directory/evictor.js'
import { createPolicy } from '../../ts/placement/registry.js'
import type { PolicyName, TurnUse } from '../../ts/placement/types.js'
import { perSlotTier } from '../../ts/protocol/tiers.js'
import { seededRandom } from '../../ts/simulator/random.js'

const BLOCKS = 100_000
/** Of a request: blocks of its history, and new ones. */
const USED = 24
const FILLED = 8
/** The newest conversations, of which each request continues one at random. */
const ALIVE = 2000
const GAP_MS = 250
const TOKENS = new Uint32Array(64)

export interface DirectoryCost {
  readonly policy: PolicyName
  /** Microseconds a request: everything, and what the policy itself takes of it. */
  readonly wholeUs: number
  readonly policyUs: number
}

class Traffic {
  readonly #directory: Directory
  readonly #evictor: Evictor
  readonly #chains: number[][] = []
  #now = 0
  #blocks = 0
  readonly #random = seededRandom(1)
  #policyMs = 0

  constructor(name: PolicyName) {
    const policy = createPolicy(name)
    this.#directory = new Directory(perSlotTier(tier => (tier === 'hbm' ? BLOCKS : 0)), { policy, now: () => this.#now })
    this.#evictor = new Evictor(this.#directory, 'hbm')
  }

  get policyMs(): number {
    return this.#policyMs
  }

  request(): void {
    this.#now += GAP_MS
    const chain = this.#chainToContinue()
    const { policy, fullCapacity: capacity } = this.#directory
    const turn = this.#timed(() => policy.begin({ atMs: this.#now, newTokens: FILLED * 64, capacity }))
    const history = chain.slice(-USED).flatMap(id => this.#directory.blocks.get(`${id}`) ?? [])
    this.#timed(() => history.forEach(block => this.#directory.use(block, turn)))
    for (let i = 0; i < FILLED; i++) this.#fill(chain, turn)
  }

  /** A random one of the newest, or a new one. */
  #chainToContinue(): number[] {
    const newest = this.#chains.slice(-ALIVE)
    const chosen = this.#random() < 1 / 4 ? undefined : newest[Math.floor(this.#random() * newest.length)]
    if (chosen) return chosen
    const chain: number[] = []
    this.#chains.push(chain)
    return chain
  }

  #fill(chain: number[], turn: TurnUse): void {
    const directory = this.#directory
    let slot = directory.reserve('hbm')
    if (!slot) {
      const victim = this.#timed(() => this.#evictor.next(() => true))
      if (victim) directory.removeCopy(victim, 'hbm', 'evicted')
      slot = directory.reserve('hbm')
    }
    const id = ++this.#blocks
    const block = directory.obtain(`${id}`, chain.length === 0 ? 'root' : `${chain.at(-1)}`, chain.length, TOKENS)
    slot?.become(block, 'present')
    this.#timed(() => directory.use(block, turn))
    chain.push(id)
  }

  #timed<T>(work: () => T): T {
    const start = performance.now()
    const done = work()
    this.#policyMs += performance.now() - start
    return done
  }
}

export function directoryCost(policy: PolicyName, requests: number): DirectoryCost {
  const traffic = new Traffic(policy)
  for (let i = 0; i < (1.5 * BLOCKS) / FILLED; i++) traffic.request()
  const before = traffic.policyMs
  const start = performance.now()
  for (let i = 0; i < requests; i++) traffic.request()
  const perRequest = 1000 / requests
  return { policy, wholeUs: (performance.now() - start) * perRequest, policyUs: (traffic.policyMs - before) * perRequest }
}
