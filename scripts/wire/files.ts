// The files that the description is written to.

import { Random } from '../../test/support/random.js'
import type { Description } from './description.js'
import { rustHalf } from './rust.js'
import { rustCases } from './rust-cases.js'
import { typescriptHalf } from './typescript.js'

/** Of the values that the Rust half is tested with; any other does as well. */
const SEED = 20_261_129

function seeded(): () => number {
  const random = new Random(SEED)
  return () => random.next()
}

/** Text by path from the root. */
export function wireFiles(description: Description): ReadonlyMap<string, string> {
  return new Map([
    ['crates/engine/src/wire/generated.rs', rustHalf(description)],
    ['crates/engine/tests/wire/cases.rs', rustCases(description, SEED, seeded)],
    ['ts/engine/native/wire.generated.ts', typescriptHalf(description)],
  ])
}
