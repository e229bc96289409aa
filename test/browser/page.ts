// A page of the dashboard in the browser, with what the browser complained about.

import type { Browser, Page } from 'playwright-core'

export interface OpenOptions {
  /** As the navigation names it: `/`, `/requests`, … @default / */
  readonly path?: string
  readonly colorScheme?: 'light' | 'dark'
  /** CSS pixels. @default 1280 */
  readonly width?: number
}

export interface OpenedPage {
  readonly page: Page
  /** Warnings and errors of the console, the content policy's among them. */
  readonly complaints: readonly string[]
}

const HEIGHT = 860
/** Far beyond what a slow machine needs. */
const PATIENCE_MS = 120_000

export async function openPage(browser: Browser, url: string, options: OpenOptions = {}): Promise<OpenedPage> {
  const { path = '/', colorScheme = 'light', width = 1280 } = options
  const page = await browser.newPage({ colorScheme, viewport: { width, height: HEIGHT } })
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(`${url}/#${path}`)
  return { page, complaints }
}

/** As `openPage`, and the server's first numbers are there. */
export async function openLive(browser: Browser, url: string, options: OpenOptions = {}): Promise<OpenedPage> {
  const opened = await openPage(browser, url, options)
  await opened.page.locator('[data-status=live]').waitFor()
  return opened
}
