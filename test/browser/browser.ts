// A headless browser with nothing that talks to the outside.

import { chromium, type Browser } from 'playwright-core'
import { browserPath } from '../support/browser-path.js'

const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
] as const

/** `args`: further arguments of the browser. */
export async function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  const executablePath = browserPath()
  if (executablePath === null) throw new Error('no browser')
  return chromium.launch({ executablePath, args: [...QUIET, ...args] })
}
