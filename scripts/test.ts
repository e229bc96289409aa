// Runs the named suites (default: all of `make test`), shows what was skipped and what failed, ends with the sum.

import { findModel } from '../ts/config/model.js'
import { runSuite } from './testing/run-suite.js'
import { SlowestTests } from './testing/slowest.js'
import { DEFAULT_SUITES, SUITES, SUITES_WITH_MODEL } from './testing/suites.js'
import { closingLine, sumTallies, type Tally } from './testing/tally.js'

/** The suites find the model in the cache; without it they skip by name, or fail where REQUIRE names it. */
async function fetchModel(): Promise<void> {
  try {
    await findModel(null, process.env, console.log)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
  }
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !(name in SUITES))
  if (unknown.length > 0) {
    console.error(`unknown suite ${unknown.join(', ')}; there are ${Object.keys(SUITES).join(', ')}`)
    return 2
  }
  if (names.some((name) => SUITES_WITH_MODEL.has(name))) await fetchModel()
  const tallies = new Map<string, Tally>()
  const times = new Map<string, string>()
  for (const name of names) {
    const suite = SUITES[name]
    if (!suite) continue
    console.log(`\n# suite ${name}`)
    const slowest = new SlowestTests()
    tallies.set(name, await runSuite(name, suite, slowest))
    times.set(name, `${slowest.seconds} s`)
    for (const line of slowest.lines) console.log(`slow: ${line}`)
  }
  return report(tallies, times)
}

function report(tallies: ReadonlyMap<string, Tally>, times: ReadonlyMap<string, string>): number {
  console.log()
  for (const [name, tally] of tallies) console.log(`${name.padEnd(10)} ${closingLine(tally)}, ${times.get(name)}`)
  const sum = sumTallies(tallies)
  for (const name of sum.skipped) console.log(`skipped: ${name}`)
  for (const name of sum.failed) console.log(`FAILED:  ${name}`)
  console.log(closingLine(sum))
  return sum.failed.length === 0 ? 0 : 1
}

const named = process.argv.slice(2)
process.exitCode = await main(named.length > 0 ? named : DEFAULT_SUITES)
