// The addon. Its types are written by napi from crates/binding (`addon.generated.ts`). Loaded on the main thread only.

import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { ExitError } from '../../protocol/errors.js'
import type { Addon } from './addon.generated.js'

const ADDON = new URL('../../native/attentionstore.node', import.meta.url)
const ADDON_FROM_DIST = new URL('../../../native/attentionstore.node', import.meta.url)

/** Loads the addon, which lies in `native/` beside the sources and beside `dist/`. */
export function loadAddon(): Addon {
  const path = [ADDON, ADDON_FROM_DIST].map((url) => fileURLToPath(url)).find((candidate) => existsSync(candidate))
  if (path === undefined) {
    throw new ExitError(3, 'addon_missing', `the native addon is not built: ${fileURLToPath(ADDON_FROM_DIST)} (run make start)`)
  }
  return createRequire(import.meta.url)(path) as Addon
}
