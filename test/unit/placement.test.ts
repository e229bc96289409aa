import test from 'ava'
import fc from 'fast-check'
import { createPolicy, policyNames } from '../../ts/placement/registry.js'
import { schedulerAware } from '../../ts/placement/scheduler-aware.js'
import { selectFirst } from '../../ts/placement/select.js'
import type { Resident } from '../../ts/placement/types.js'

interface Named extends Resident {
  readonly name: string
}

function resident(name: string, lastUse: number, index: number, firstWanted = Infinity): Named {
  return { name, lastUse, index, firstWanted, born: 0 }
}

// Three turns: A (blocks 0, 1, 2) at 10, B (0, 1) at 20, and C, at 30, which continued A's first block: A0 was touched
// again. The queue's first request wants B, its fifth wants A2.
const trace = [
  resident('A0', 30, 0),
  resident('A1', 10, 1),
  resident('A2', 10, 2, 5),
  resident('B0', 20, 0, 1),
  resident('B1', 20, 1, 1),
  resident('C1', 30, 1),
]

test('scheduler-aware gives up the oldest turn tail first, and what the queue wants last, from the tail of the queue', t => {
  t.deepEqual(
    schedulerAware.victims(trace, 6).map(({ name }) => name),
    ['A1', 'C1', 'A0', 'A2', 'B1', 'B0'],
  )
})

test('scheduler-aware names no more victims than asked for, and none of nobody', t => {
  t.deepEqual(schedulerAware.victims(trace, 2).map(({ name }) => name), ['A1', 'C1'])
  t.deepEqual(schedulerAware.victims(trace, 0), [])
  t.deepEqual(schedulerAware.victims([], 3), [])
})

/** One victim at a time, by going through all of them. */
function naiveVictims(residents: readonly Resident[], count: number): Resident[] {
  const left = [...residents]
  const victims: Resident[] = []
  while (victims.length < count && left.length > 0) {
    let worst = 0
    left.forEach((candidate, i) => {
      const best = left[worst] as Resident
      const later = candidate.firstWanted - best.firstWanted
      const isWorse =
        candidate.firstWanted !== best.firstWanted
          ? later > 0
          : candidate.lastUse !== best.lastUse
            ? candidate.lastUse < best.lastUse
            : candidate.index > best.index
      if (isWorse) worst = i
    })
    victims.push(...left.splice(worst, 1))
  }
  return victims
}

const anyResident = fc.record({
  lastUse: fc.integer({ min: 0, max: 5 }),
  index: fc.integer({ min: 0, max: 5 }),
  firstWanted: fc.constantFrom(1, 2, Infinity),
  born: fc.nat(),
})

test('scheduler-aware agrees with a naive search, whatever is resident', t => {
  const key = ({ lastUse, index, firstWanted }: Resident) => `${firstWanted} ${lastUse} ${index}`
  fc.assert(
    fc.property(fc.array(anyResident, { maxLength: 40 }), fc.integer({ min: 0, max: 45 }), (residents, count) => {
      t.deepEqual(schedulerAware.victims(residents, count).map(key), naiveVictims(residents, count).map(key))
    }),
  )
})

test('the first few of many are those of a full sort', t => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.nat(20), (numbers, count) => {
      t.deepEqual(selectFirst(numbers, count, (a, b) => a < b), [...numbers].sort((a, b) => a - b).slice(0, count))
    }),
  )
})

test('every policy is found under its own name', t => {
  for (const name of policyNames) t.is(createPolicy(name).name, name)
})
