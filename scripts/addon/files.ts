// The file that the addon's types are written to, from the last build.

import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ROOT } from '../wire/description.js'
import { addonTypes } from './types.js'

/** Text by path from the root. `target`: cargo's folder, seen from the root. */
export function addonFiles(target: string): ReadonlyMap<string, string> {
  const written = resolve(ROOT, target, 'release/napi-types/attentionstore-binding')
  if (!existsSync(written)) throw new Error(`${written} is missing: it is written when crates/binding is compiled`)
  return new Map([['ts/engine/native/addon.generated.ts', addonTypes(readFileSync(written, 'utf8'))]])
}
