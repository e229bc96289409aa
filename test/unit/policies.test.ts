// Policies: each on a trace worked out by hand, then against a naive search.

import test from 'ava'
import fc from 'fast-check'
import { AdaptivePolicy } from '../../ts/placement/adaptive/adaptive.js'
import { AGE_BINS, binEnd, binWidth } from '../../ts/placement/adaptive/ages.js'
import { CLASSES, classOf, familiesOf, RHYTHM_FAMILIES, TWIN_FAMILIES } from '../../ts/placement/adaptive/classes.js'
import { Cohort } from '../../ts/placement/adaptive/cohorts.js'
import { Contest } from '../../ts/placement/adaptive/contest.js'
import { gittinsIndex, LifeTable } from '../../ts/placement/adaptive/life-table.js'
import { Trust } from '../../ts/placement/adaptive/trust.js'
import { belady } from '../../ts/placement/belady.js'
import { fifo } from '../../ts/placement/fifo.js'
import { lru } from '../../ts/placement/lru.js'
import { schedulerAware } from '../../ts/placement/scheduler-aware.js'
import type { PlacementPolicy, Resident, TurnUse } from '../../ts/placement/types.js'

interface Named extends Resident {
  readonly name: string
  readonly nextUse: number
}

function resident(name: string, fields: Partial<Named>): Named {
  return { name, lastUse: 0, index: 0, firstWanted: Infinity, born: 0, nextUse: Infinity, ...fields }
}

// Three turns: A (blocks 0, 1) at 10, B (0, 1) at 20, and at 30 one that continues A with block 2. The queue's request 1
// wants A, its request 4 wants B; after those, nobody comes but one more for A's head alone, as request 7.
const trace = [
  resident('A0', { lastUse: 30, index: 0, born: 1, firstWanted: 1, nextUse: 1 }),
  resident('A1', { lastUse: 30, index: 1, born: 2, firstWanted: 1, nextUse: 1 }),
  resident('B0', { lastUse: 20, index: 0, born: 3, firstWanted: 4, nextUse: 4 }),
  resident('B1', { lastUse: 20, index: 1, born: 4, nextUse: Infinity }),
  resident('A2', { lastUse: 30, index: 2, born: 5, nextUse: Infinity }),
  resident('C0', { lastUse: 5, index: 0, born: 6, nextUse: 7 }),
]

const order = (policy: PlacementPolicy<Named>) => policy.victims(trace, 6).map(({ name }) => name)

test('fifo gives up what came first', t => {
  t.deepEqual(order(fifo), ['A0', 'A1', 'B0', 'B1', 'A2', 'C0'])
})

test('lru gives up the oldest turn, tail first, whatever the queue wants', t => {
  t.deepEqual(order(lru), ['C0', 'B1', 'B0', 'A2', 'A1', 'A0'])
})

test('scheduler-aware gives up the unwanted first, the oldest of them before the rest, then from the tail of the queue', t => {
  t.deepEqual(order(schedulerAware), ['C0', 'B1', 'A2', 'B0', 'A1', 'A0'])
})

test('belady gives up what is used again last, and tails before heads', t => {
  t.deepEqual(order(belady), ['A2', 'B1', 'C0', 'B0', 'A1', 'A0'])
})

/** Sorts by keys, the smallest first: what each policy means, written down once more. */
const keysOf: ReadonlyArray<readonly [PlacementPolicy<Named>, (block: Named) => number[]]> = [
  [fifo, ({ born }) => [born]],
  [lru, ({ lastUse, index }) => [lastUse, -index]],
  [schedulerAware, ({ firstWanted, lastUse, index }) => [-firstWanted, lastUse, -index]],
  [belady, ({ nextUse, index }) => [-nextUse, -index]],
]

function compareKeys(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1
}

const anyResident = fc.record({
  name: fc.constant(''),
  lastUse: fc.nat(4),
  index: fc.nat(4),
  born: fc.nat(50),
  firstWanted: fc.constantFrom(1, 2, Infinity),
  nextUse: fc.constantFrom(1, 2, 3, Infinity),
})

for (const [policy, key] of keysOf) {
  test(`${policy.name} agrees with a full sort, whatever is resident`, t => {
    fc.assert(
      fc.property(fc.array(anyResident, { maxLength: 30 }), fc.nat(35), (residents, count) => {
        const sorted = residents.map(key).toSorted(compareKeys).slice(0, count)
        t.deepEqual(policy.victims(residents, count).map(key), sorted)
      }),
    )
  })

  test(`${policy.name} is a strict order`, t => {
    fc.assert(
      fc.property(anyResident, anyResident, (a, b) => {
        t.false(policy.goesBefore(a, a))
        t.false(policy.goesBefore(a, b) && policy.goesBefore(b, a))
      }),
    )
  })
}

test('ages fall into bins without a gap', t => {
  const widths = Array.from({ length: AGE_BINS - 1 }, (_, bin) => binWidth(bin))
  widths.forEach((_, bin) => {
    const sum = widths.slice(0, bin + 1).reduce((a, b) => a + b, 0)
    t.true(Math.abs(sum - binEnd(bin)) < 1e-6 * binEnd(bin))
  })
  t.is(binEnd(AGE_BINS - 1), Infinity)
})

test('classes of all uses and lengths are distinct within their families, and none is out of bounds', t => {
  const first = { uses: 1, gapMs: null, newTokens: 100, isPartialTail: false }
  const class3 = classOf({ ...first, uses: 3, newTokens: 100 })
  t.is(class3, classOf({ ...first, uses: 4, newTokens: 127 }))
  t.not(class3, classOf({ ...first, uses: 5 }))
  t.not(class3, classOf({ ...first, uses: 3, gapMs: 0 }))
  t.not(classOf({ ...first, gapMs: 7_999 }), classOf({ ...first, gapMs: 8_000 }))
  t.is(classOf({ ...first, gapMs: 128_000 }), classOf({ ...first, gapMs: 1e9 }))
  t.not(classOf({ ...first, newTokens: 127 }), classOf({ ...first, newTokens: 128 }))
  const tail = classOf({ ...first, isPartialTail: true })
  t.not(classOf(first), tail)
  t.deepEqual(familiesOf(classOf(first)), familiesOf(tail))
  fc.assert(
    fc.property(fc.nat(), fc.option(fc.nat()), fc.nat(), fc.boolean(), (uses, gapMs, newTokens, isPartialTail) => {
      const found = classOf({ uses, gapMs, newTokens, isPartialTail })
      const [twins, rhythm] = familiesOf(found)
      t.true(found >= 0 && found < CLASSES && twins < TWIN_FAMILIES && rhythm < RHYTHM_FAMILIES)
    }),
  )
})

test('the worth of waiting is the best over all ends of the wait', t => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: AGE_BINS, maxLength: AGE_BINS }), fc.nat(AGE_BINS - 1), (hazards, from) => {
      let best = 0
      for (let end = from; end < AGE_BINS; end++) {
        // Simulated in shares: of those alive at the start of a bin, `hazard` are used half-way through it.
        let alive = 1
        let used = 0
        let waited = 0
        for (let bin = from; bin <= end; bin++) {
          const now = alive * (hazards[bin] ?? 0)
          waited += now * binWidth(bin) * 0.5 + (alive - now) * binWidth(bin)
          used += now
          alive -= now
        }
        best = Math.max(best, used / waited)
      }
      const index = gittinsIndex(Float64Array.from(hazards), from)
      t.true(Math.abs(index - best) <= 1e-9 * Math.max(1e-9, best))
    }),
  )
})

test('before anything is learnt, worth falls with age: the order is that of lru', t => {
  const table = new LifeTable()
  for (let bin = 1; bin < AGE_BINS; bin++) t.true(table.value(0, bin) < table.value(0, bin - 1))
})

interface Learner extends Resident {
  uses: number
  cohort: Cohort | null
  lastUse: number
}

function learner(index = 0): Learner {
  return { uses: 0, cohort: null, lastUse: 0, index, firstWanted: Infinity, born: 0 }
}

/** Two kinds of requests: of short ones every block is asked for again after `gap`, of long ones none ever is. */
function experienced(gap: number, rounds = 300): { policy: AdaptivePolicy; short: Learner; long: Learner } {
  const policy = new AdaptivePolicy()
  const use = (turn: TurnUse, block: Learner, atMs: number): void => {
    block.lastUse = atMs
    turn.used(block, false, true)
  }
  const previous: Learner[] = []
  let now = 0
  for (let round = 0; round < rounds; round++) {
    now += gap
    const turn = policy.begin({ atMs: now, newTokens: 100 })
    for (const block of previous.splice(0)) use(turn, block, now)
    for (let i = 0; i < 100; i++) {
      const block = learner(i)
      use(turn, block, now)
      previous.push(block)
    }
    const other = policy.begin({ atMs: now, newTokens: 10_000 })
    for (let i = 0; i < 100; i++) use(other, learner(i), now)
  }
  const short = learner()
  const long = learner()
  use(policy.begin({ atMs: now, newTokens: 100 }), short, now)
  use(policy.begin({ atMs: now + 500, newTokens: 10_000 }), long, now + 500)
  return { policy, short, long }
}

test('adaptive learns which requests come back, and keeps their blocks though others were used later', t => {
  const { policy, short, long } = experienced(10_000)
  t.true(policy.goesBefore(long, short))
  t.false(policy.goesBefore(short, long))
  t.deepEqual(policy.victims([short, long], 1), [long])
})

test('adaptive keeps what the queue wants, whatever it has learnt', t => {
  const { policy, short, long } = experienced(10_000)
  t.deepEqual(policy.victims([short, { ...long, firstWanted: 3 }], 1), [short])
  t.like(policy.victims([{ ...short, firstWanted: 4 }, { ...long, firstWanted: 3 }], 1)[0], { firstWanted: 4 })
})

test('adaptive gives up tails before heads of equal worth', t => {
  const policy = new AdaptivePolicy()
  const blocks = [learner(0), learner(1), learner(2)]
  const turn = policy.begin({ atMs: 0, newTokens: 10 })
  for (const block of blocks) turn.used(block, false, true)
  t.deepEqual(policy.victims(blocks, 3).map(({ index }) => index), [2, 1, 0])
})

test('a turn that uses a block twice is one use', t => {
  const policy = new AdaptivePolicy()
  const block = learner()
  const first = policy.begin({ atMs: 0, newTokens: 10 })
  first.used(block, false, true)
  first.used(block, false, true)
  t.is(block.uses, 1)
  const second = policy.begin({ atMs: 1, newTokens: 10 })
  second.used(block, false, true)
  first.used(learner(), false, true)
  t.is(block.uses, 2)
})

test('turns may overlap: each keeps its own class, and time never goes back', t => {
  const policy = new AdaptivePolicy()
  const [a, b] = [learner(), learner()]
  const short = policy.begin({ atMs: 10, newTokens: 10 })
  const long = policy.begin({ atMs: 5, newTokens: 10_000 })
  short.used(a, false, true)
  long.used(b, false, true)
  t.is(a.cohort?.blockClass, classOf({ uses: 1, gapMs: null, newTokens: 10, isPartialTail: false }))
  t.is(b.cohort?.blockClass, classOf({ uses: 1, gapMs: null, newTokens: 10_000, isPartialTail: false }))
  t.is(b.cohort?.usedAt, 10)
})

/** Cautions that a trust ends with, after returns that were and were not still there. */
function caution(kept: number, lost: number, capacity = 0): number {
  const trust = new Trust(new LifeTable())
  trust.nextTurn(capacity)
  const cohort = new Cohort(0, 0)
  for (let i = 0; i < kept; i++) trust.returned(cohort, true)
  for (let i = 0; i < lost; i++) trust.returned(cohort, false)
  trust.nextTurn(capacity)
  return trust.refresh()
}

test('while nothing has to go, all differences count where returns find little, and large ones where they find nearly all', t => {
  t.is(caution(0, 0), 0)
  t.is(caution(50_000, 50_000), 0)
  t.is(caution(100, 0), 0, 'a few returns say nothing')
  const between = caution(70_000, 30_000)
  t.true(between > 0 && between < Math.LN2)
  t.is(caution(100_000, 1000), Math.LN2)
})

test('in a full tier without a proof, what was learnt rules where most is gone, and lru where nearly all is still there', t => {
  t.is(caution(2000, 2000, 1000), 0)
  t.is(caution(100_000, 1000, 1000), Infinity)
})

test('of few returns, what was learnt may be behind by a fiftieth and no more', t => {
  const after = (returns: number, behind: number): number => {
    const trust = new Trust(new LifeTable())
    trust.nextTurn(1000)
    const cohort = new Cohort(0, 0)
    // Bit 1: gone under what was learnt, in all its differences and in the large ones, and there under lru.
    for (let i = 0; i < returns; i++) {
      cohort.lostUnder = i < behind ? 0b110 : 0
      trust.returned(cohort, false)
    }
    trust.nextTurn(1000)
    return trust.refresh()
  }
  t.is(after(1000, 10), 0)
  t.is(after(1000, 20), Infinity)
  t.is(after(10_000, 90), 0)
  t.is(after(10_000, 300), Infinity)
})

test('after few uses the order is that of lru, whatever they were', t => {
  const { policy, short, long } = experienced(10_000, 5)
  t.true(policy.goesBefore(short, long))
  t.false(policy.goesBefore(long, short))
})

/** Turns of three blocks each, old ones of class 0 and newer ones of class 1, of which `comeBack` returns. */
function contested(comeBack: 'old' | 'new') {
  const contest = new Contest([() => 0, ({ blockClass }) => -blockClass])
  const table = new LifeTable()
  const cohortAt = (blockClass: number, usedAt: number): Cohort => {
    const cohort = new Cohort(blockClass, usedAt)
    contest.entered(cohort)
    for (let i = 0; i < 3; i++) cohort.join(table)
    return cohort
  }
  for (let turn = 0; turn < 10; turn++) {
    const old = cohortAt(0, 10 * turn)
    const young = cohortAt(1, 10 * turn + 1)
    contest.shrinkTo(3)
    contest.nextTurn()
    const cohort = comeBack === 'old' ? old : young
    for (let i = 0; i < 3; i++) {
      contest.returned(cohort)
      cohort.use(table)
    }
    const other = comeBack === 'old' ? young : old
    for (let i = 0; i < 3; i++) other.use(table)
    contest.nextTurn()
  }
  return contest
}

test('an order leads by the returning blocks that it would have kept and lru would not, a turn being one observation', t => {
  t.deepEqual(contested('old').standing(1), { lead: 30, variance: 90 })
  t.deepEqual(contested('new').standing(1), { lead: -30, variance: 90 })
})

test('what a contest found is forgotten by and by', t => {
  const contest = contested('old')
  contest.forget(0.5)
  t.deepEqual(contest.standing(1), { lead: 15, variance: 45 })
})

test('worths that differ by less than the caution are equal', t => {
  const table = new LifeTable()
  t.not(table.value(0, 0), table.value(0, 1))
  table.refresh(Math.log(1000))
  t.is(table.value(0, 0), table.value(0, 1))
})

test('without trust, worth falls with age alone, whatever the class', t => {
  const table = new LifeTable()
  for (let i = 0; i < 1000; i++) table.count(3, 20, 1, 1)
  table.refresh(Infinity)
  for (let bin = 0; bin < AGE_BINS; bin++) t.is(table.value(3, bin), table.value(0, bin))
  for (let bin = 1; bin < AGE_BINS; bin++) t.true(table.value(0, bin) < table.value(0, bin - 1))
})

test('a cohort counts as the root of its blocks, one that grows after it was counted at the same weight', t => {
  const counted: number[] = []
  const table = new LifeTable()
  table.count = (_class, _bin, _used, atRisk) => void counted.push(atRisk)
  const cohort = new Cohort(0, 0)
  for (let i = 0; i < 16; i++) cohort.join(table)
  t.deepEqual(counted, [])
  cohort.age(table)
  cohort.join(table)
  cohort.use(table)
  t.deepEqual(counted, [4, 4, 0.25, 0])
})

test('what its sender expects to come back for is worth more for a day, and is no pin', t => {
  const policy = new AdaptivePolicy()
  const [awaited, other, fresh] = [learner(), learner(), learner()]
  policy.begin({ atMs: 0, newTokens: 100, retention: 'day' }).used(awaited, false, true)
  policy.begin({ atMs: 60_000, newTokens: 100 }).used(other, false, true)
  other.lastUse = 60_000
  policy.begin({ atMs: 90_000, newTokens: 100 })
  t.true(policy.goesBefore(other, awaited), 'three times as old, not four times')
  t.deepEqual(policy.victims([awaited], 1), [awaited])
  // An hour later the younger one is worth more than four times as much.
  policy.begin({ atMs: 3_600_000, newTokens: 100 }).used(fresh, false, true)
  t.true(policy.goesBefore(awaited, fresh))
  policy.begin({ atMs: 86_400_000, newTokens: 100 })
  t.true(policy.goesBefore(awaited, other), 'after a day it is as old as it is')
})

test('the last turn decides what is expected', t => {
  const policy = new AdaptivePolicy()
  const block = learner()
  policy.begin({ atMs: 0, newTokens: 100, retention: 'day' }).used(block, false, true)
  t.true(block.cohort?.isAwaited)
  policy.begin({ atMs: 1, newTokens: 100 }).used(block, false, true)
  t.false(block.cohort?.isAwaited)
})
