// A system prompt that many conversations share has as many blocks behind it: their cost for a request, on the event
// loop. Each row is one kind of siblings, by how many tokens all of them begin with.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Block } from '../../ts/directory/block.js'
import { ChildIndex } from '../../ts/directory/children.js'
import { Directory } from '../../ts/directory/directory.js'
import { wholeView } from '../../ts/directory/view.js'
import { SimulatedText } from '../../ts/engine/simulated/text.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'
import { perSlotTier } from '../../ts/protocol/tiers.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'

const COUNT = 50_000
const BOUND_MS = 0.5
/** The first block whose key may depend on a view, so that each source found is held against its key. */
const INDEX = 4
const SHARED = [0, 1, 40]
const OWN_TOKENS = 60

const text = new SimulatedText('siblings')

function tokensOf(number: number, shared: number): Uint32Array {
  return Uint32Array.from({ length: OWN_TOKENS }, (_, at) => (at < shared ? 7 : 1000 + ((number * 7919) % COUNT) * BLOCK_TOKENS + at))
}

/** A system prompt of INDEX blocks, and `COUNT` blocks behind it. */
class Crowd {
  readonly directory = new Directory(perSlotTier(tier => (tier === 'ssd' ? COUNT + INDEX : 0) + 8))
  readonly root = text.root('', '')
  readonly keys: string[] = []
  readonly system = Uint32Array.from({ length: INDEX * BLOCK_TOKENS }, (_, i) => i)
  readonly siblings: Block[]

  constructor(readonly shared: number) {
    for (let index = 0; index < INDEX; index++) {
      const tokens = this.system.slice(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS)
      this.keys.push(this.#put(this.keys.at(-1) ?? this.root, index, tokens).key)
    }
    this.siblings = Array.from({ length: COUNT }, (_, i) => this.#put(this.keys.at(-1) as string, INDEX, tokensOf(i, shared)))
  }

  /** A stranger's prompt, which begins as all of them do. */
  match(): void {
    const prompt = new Uint32Array(this.system.length + BLOCK_TOKENS)
    prompt.set(this.system)
    prompt.fill(5, this.system.length)
    prompt.fill(7, this.system.length, this.system.length + this.shared)
    const isUsable = ({ key, parent, index, tokens }: Block): boolean => text.blockKey(parent, index, tokens, null) === key
    this.directory.match(this.root, this.keys, prompt, wholeView, isUsable)
  }

  supersede(number: number): void {
    this.directory.superseded(this.siblings[number] as Block)
  }

  /** A copy of the block comes and goes. */
  move(number: number): void {
    const block = this.siblings[number] as Block
    this.directory.reserve('dram')?.become(block, 'filling')
    this.directory.complete(block, 'dram')
    this.directory.removeCopy(block, 'dram')
  }

  #put(parent: string, index: number, tokens: Uint32Array): Block {
    const block = this.directory.obtain(text.blockKey(parent, index, tokens, null), parent, index, tokens)
    this.directory.reserve('ssd')?.become(block, 'present')
    return block
  }
}

/** Milliseconds of one call, the median. */
function medianMs(repetitions: number, call: (number: number) => void): number {
  const measured = Array.from({ length: 2 * repetitions }, (_, i) => {
    const start = performance.now()
    call((i * 7919) % COUNT)
    return performance.now() - start
  })
  return measured.slice(repetitions).toSorted((a, b) => a - b)[repetitions >> 1] ?? 0
}

/** Bytes that the index takes a child, besides the block itself. */
function bytesAChild(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const blocks = Array.from({ length: COUNT }, (_, i) => new Block(`${i}`, 'parent', INDEX, tokensOf(i, 1), i))
  const index = new ChildIndex()
  collect()
  const before = process.memoryUsage().heapUsed
  for (const block of blocks) index.add(block)
  collect()
  const bytes = (process.memoryUsage().heapUsed - before) / COUNT
  // Both are in use until here, so nothing of them was collected.
  return [...index.of('parent')].length === blocks.length ? bytes : Number.NaN
}

async function run({ quick }: BenchContext): Promise<Report> {
  const repetitions = quick ? 20 : 200
  const rows = SHARED.map(shared => {
    const crowd = new Crowd(shared)
    const [matchMs, supersededMs, moveMs] = [() => crowd.match(), (i: number) => crowd.supersede(i), (i: number) => crowd.move(i)].map(call => medianMs(repetitions, call))
    return { shared, matchMs: matchMs ?? 0, supersededMs: supersededMs ?? 0, moveMs: moveMs ?? 0 }
  })
  const bytes = bytesAChild()
  const cells = rows.map(({ shared, matchMs, supersededMs, moveMs }) => [`${shared}`, ...[matchMs, supersededMs, moveMs].map(ms => ms.toFixed(4))])
  const slowest = Math.max(...rows.map(({ matchMs }) => matchMs))
  return {
    tables: [{ title: `${COUNT} siblings, milliseconds (median)`, columns: ['tokens all share', 'match', 'superseded', 'a copy comes and goes'], rows: cells }],
    plots: [],
    notes: [
      `A match takes ${slowest.toFixed(3)} ms at most (bound ${BOUND_MS}): ${slowest <= BOUND_MS ? 'met' : 'not met'}.`,
      `The index takes ${bytes.toFixed(0)} bytes a sibling.`,
    ],
    data: { rows, bytesASibling: bytes },
  }
}

export const siblings: Bench = { name: 'siblings', about: 'the cost for a request of 50,000 siblings of its blocks', isLong: true, run }
