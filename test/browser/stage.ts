// The stage of every browser test: one browser a file, and the server that it looks at.

import test from 'ava'
import type { Browser } from 'playwright-core'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'
import { launchBrowser } from './browser.js'

export const browserTest = testNeeding('browser')

export interface Stage {
  readonly browser: Browser
  /** The file's own server, on a simulated engine. */
  readonly server: TestServer
}

export interface StageOptions {
  /** Options of the server besides its device. @default none */
  readonly args?: readonly string[]
  /** Arguments of the browser. @default none */
  readonly browserArgs?: readonly string[]
  /** False: each test brings a server of its own. @default true */
  readonly hasServer?: boolean
  /** Prepares the server before the first test. */
  readonly prepare?: (stage: Stage) => void | Promise<void>
  /** Ends things after the last test, before browser and server end. */
  readonly finish?: () => Promise<void>
}

/** Sets the stage of a file's tests, and clears it after the last of them. */
export function setStage({ args = [], browserArgs = [], hasServer = true, prepare, finish }: StageOptions = {}): Stage {
  let browser: Browser | null = null
  let server: TestServer | null = null
  const stage: Stage = {
    get browser() {
      return there(browser, 'browser')
    },
    get server() {
      return there(server, 'server')
    },
  }
  test.before(async () => {
    if (!has('browser')) return
    browser = await launchBrowser(browserArgs)
    if (hasServer) server = await TestServer.start({ args: ['--device', 'simulated', ...args] })
    await prepare?.(stage)
  })
  test.after.always(async () => {
    if (browser !== null) await finish?.()
    await browser?.close()
    await server?.stop()
  })
  return stage
}

function there<T>(value: T | null, name: string): T {
  if (value === null) throw new Error(`the stage has no ${name}`)
  return value
}
