// How often somebody arrives while others are about.

import test from 'ava'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { Traffic } from '../../ts/scheduler/costs/traffic.js'
import { Random } from '../support/random.js'

interface Load {
  /** Mean milliseconds from one arrival to the next. */
  readonly gapMs: number
  /** How long each request stays. */
  readonly stayMs: number
}

/** Requests that come at random and stay for a while, for a minute; the mean of what is said of them. */
async function observed({ gapMs, stayMs }: Load, seed: number): Promise<number> {
  const random = new Random(seed)
  const clock = new VirtualClock(0)
  const leaving: number[] = []
  const traffic = new Traffic(clock, () => leaving.length)
  let [sum, count, next] = [0, 0, 0]
  while (clock.now() < 60_000) {
    next -= gapMs * Math.log(1 - random.next())
    while (leaving[0] !== undefined && leaving[0] <= next) {
      await clock.advance(leaving[0] - clock.now())
      leaving.shift()
      traffic.ended()
    }
    await clock.advance(next - clock.now())
    traffic.arrives()
    leaving.push(next + stayMs)
    if (next < 10_000) continue
    sum += traffic.arrivalsPerMs
    count++
  }
  return sum / count
}

test('independent requests give the rate at which they come, whatever share of the time somebody is about', async t => {
  const gapMs = 250
  const rates: number[] = []
  for (const stayMs of [60, 200, 1000]) {
    const seeds = [1, 2, 3, 4, 5, 6]
    const each = await Promise.all(seeds.map(async seed => observed({ gapMs, stayMs }, seed)))
    rates.push((gapMs * each.reduce((a, b) => a + b)) / seeds.length)
  }
  // A little low, since a coincidence is doubted, the more the less time there was.
  for (const rate of rates) t.true(rate > 0.4 && rate < 1.1, `${rates.join(', ')} of the true rate`)
})

test('requests of which each waits for the one before give no rate at all', async t => {
  const clock = new VirtualClock(0)
  const traffic = new Traffic(clock, () => 0)
  for (let i = 0; i < 1000; i++) {
    traffic.arrives()
    await clock.advance(40)
    traffic.ended()
    await clock.advance(i % 7)
  }
  t.is(traffic.arrivalsPerMs, 0)
})

test('two clients whose turns overlap give the rate of their turns', async t => {
  const clock = new VirtualClock(0)
  const traffic = new Traffic(clock, () => 1)
  for (let i = 0; i < 300; i++) {
    await clock.advance(100)
    traffic.ended()
    traffic.arrives()
  }
  t.true(Math.abs(traffic.arrivalsPerMs * 100 - 1) < 0.2, `${traffic.arrivalsPerMs}`)
  t.is(traffic.besideOne.others, 0)
})

test('what was long ago is forgotten', async t => {
  const clock = new VirtualClock(0)
  let present = 1
  const traffic = new Traffic(clock, () => present)
  for (let i = 0; i < 20; i++) traffic.arrives()
  t.true(traffic.arrivalsPerMs > 0)
  present = 0
  traffic.ended()
  await clock.advance(60_000)
  t.is(traffic.arrivalsPerMs, 0)
})
