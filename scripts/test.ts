// Runs the named suites (default: all of `make test`), shows what was skipped and what failed, ends with the sum.

import { runSuite } from './testing/run-suite.js'
import { DEFAULT_SUITES, SUITES } from './testing/suites.js'
import { closingLine, sumTallies, type Tally } from './testing/tally.js'

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !(name in SUITES))
  if (unknown.length > 0) {
    console.error(`unknown suite ${unknown.join(', ')}; there are ${Object.keys(SUITES).join(', ')}`)
    return 2
  }
  const tallies = new Map<string, Tally>()
  for (const name of names) {
    const suite = SUITES[name]
    if (!suite) continue
    console.log(`\n# suite ${name}`)
    tallies.set(name, await runSuite(name, suite))
  }
  return report(tallies)
}

function report(tallies: ReadonlyMap<string, Tally>): number {
  console.log()
  for (const [name, tally] of tallies) console.log(`${name.padEnd(10)} ${closingLine(tally)}`)
  const sum = sumTallies(tallies)
  for (const name of sum.skipped) console.log(`skipped: ${name}`)
  for (const name of sum.failed) console.log(`FAILED:  ${name}`)
  console.log(closingLine(sum))
  return sum.failed.length === 0 ? 0 : 1
}

const named = process.argv.slice(2)
process.exitCode = await main(named.length > 0 ? named : DEFAULT_SUITES)
