// Which browser there is.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'] as const

/** A browser's executable: CHROMIUM_PATH or the first on the path. */
export function browserPath(): string | null {
  const named = process.env['CHROMIUM_PATH']
  if (named) return existsSync(named) ? named : null
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const candidates = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name)))
  return candidates.find((path) => existsSync(path)) ?? null
}
