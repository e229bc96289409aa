// Packs the program and its addon for npm: --addon FILE --into FOLDER [--glibc 2.28], the oldest glibc that must do.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packAll } from './packing/packages.js'
import { ROOT } from './wire/description.js'

const { values } = parseArgs({ options: { addon: { type: 'string' }, into: { type: 'string' }, glibc: { type: 'string' } } })
const { addon, into, glibc = null } = values
if (addon === undefined || into === undefined) throw new Error('--addon and --into are needed')
try {
  const tarballs = packAll({ root: ROOT, addon: resolve(addon), into: resolve(into), glibc })
  for (const path of tarballs) console.log(`${path} (${(statSync(path).size / 2 ** 20).toFixed(1)} MiB)`)
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : thrown)
  process.exitCode = 1
}
