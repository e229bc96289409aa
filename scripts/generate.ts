// Writes the named files that are generated (`wire`, `addon`); with --check says which are not as they would be written.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addonFiles } from './addon/files.js'
import { readDescription, ROOT } from './wire/description.js'
import { wireFiles } from './wire/files.js'

/** Text by path from the root. */
const GENERATORS: Readonly<Record<string, () => ReadonlyMap<string, string>>> = {
  wire: () => wireFiles(readDescription()),
  addon: () => addonFiles(process.env['CARGO_TARGET_DIR'] ?? 'target'),
}

const [options, names] = [process.argv.slice(2), process.argv.slice(2).filter((name) => !name.startsWith('--'))]
for (const name of names) {
  const generator = GENERATORS[name]
  if (!generator) throw new Error(`${name} is none of ${Object.keys(GENERATORS).join(', ')}`)
  for (const [path, text] of generator()) {
    if (!options.includes('--check')) writeFileSync(join(ROOT, path), text)
    else if (readFileSync(join(ROOT, path), 'utf8') !== text) {
      console.error(`${path} is not as ${name} is described: run make generate`)
      process.exitCode = 1
    }
  }
}
