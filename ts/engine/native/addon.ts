// The addon. Its types are written by napi from crates/binding (`addon.generated.ts`). Loaded on the main thread only.

import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { ExitError } from '../../protocol/errors.js'
import type { Addon } from './addon.generated.js'
import { missingAddon, PREBUILT, readSystem } from './missing-addon.js'

/** The program's package, seen from the sources and from dist/. */
const PACKAGE_ROOTS = ['../..', '../../..'].map((up) => join(import.meta.dirname, up))

/**
 * Loads the addon: the clone's own, else that of the optional package for this platform.
 * @throws ExitError with exit code 3 that says what to do.
 */
export function loadAddon(): Addon {
  const require = createRequire(import.meta.url)
  const root = PACKAGE_ROOTS.find((folder) => existsSync(join(folder, 'package.json'))) ?? ''
  // In a clone, `make build` puts it here.
  const built = join(root, 'native/attentionstore.node')
  const path = existsSync(built) ? built : packagedAddon(require, root)
  try {
    return require(path) as Addon
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const system = readSystem(root)
    if (system.libc === 'musl') throw missingAddon(system, null)
    throw new ExitError(3, 'addon_missing', `the native addon ${path} cannot be loaded: ${reason}`, { path }, { cause })
  }
}

/** Path of the addon in the optional package, which npm installs beside this one. */
function packagedAddon(require: NodeJS.Require, root: string): string {
  const name = PREBUILT[`${process.platform}-${process.arch}`]
  const found = name === undefined ? null : versionOf(require, name)
  if (name === undefined || found !== versionOf(require, root)) throw missingAddon(readSystem(root), found)
  return require.resolve(name)
}

/** @param place A package's name or folder; null: it is not there. */
function versionOf(require: NodeJS.Require, place: string): string | null {
  try {
    return (require(`${place}/package.json`) as { readonly version: string }).version
  } catch {
    return null
  }
}
