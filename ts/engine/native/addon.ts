// The addon. Its types are written by napi from crates/binding (`addon.generated.ts`). Loaded on the main thread only.

import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { ExitError } from '../../protocol/errors.js'
import { PACKAGE_ROOT, VERSION } from '../../version.js'
import type { Addon } from './addon.generated.js'
import { missingAddon, PREBUILT, readSystem } from './missing-addon.js'

/** In a clone, `make build` puts it here. */
const BUILT = join(PACKAGE_ROOT, 'native/attentionstore.node')

/**
 * Loads the addon: the clone's own, else that of the optional package for this platform.
 * @throws ExitError with exit code 3 that says what to do.
 */
export function loadAddon(): Addon {
  const require = createRequire(import.meta.url)
  const path = existsSync(BUILT) ? BUILT : packagedAddon(require)
  try {
    return require(path) as Addon
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const system = readSystem()
    if (system.libc === 'musl') throw missingAddon(system, null)
    throw new ExitError(3, 'addon_missing', `the native addon ${path} cannot be loaded: ${reason}`, { path }, { cause })
  }
}

/** Path of the addon in the optional package, which npm installs beside this one. */
function packagedAddon(require: NodeJS.Require): string {
  const name = PREBUILT[`${process.platform}-${process.arch}`]
  const found = name === undefined ? null : installedVersion(require, name)
  if (name === undefined || found !== VERSION) throw missingAddon(readSystem(), found)
  return require.resolve(name)
}

function installedVersion(require: NodeJS.Require, name: string): string | null {
  try {
    return (require(`${name}/package.json`) as { readonly version: string }).version
  } catch {
    return null
  }
}
