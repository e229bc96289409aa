// The dashboard in a browser: how soon it is there, what it keeps in memory and how long it blocks, under 500 requests a
// second, and how smoothly 100,000 conversations scroll.

import type { Browser, CDPSession, Page } from 'playwright-core'
import { launchBrowser } from '../../test/browser/browser.js'
import { BusyServer } from '../../test/browser/busy-server.js'
import { TestServer } from '../../test/support/server.js'
import type { Bench, BenchContext, Report, Table } from '../support/bench.js'
import { median, quantile, show } from '../support/figures.js'

const SEED = 7
const PAGES = ['/', '/requests', '/map', '/what-if'] as const
const PAINT_BOUND_MS = 1000
const MIB = 2 ** 20
const TICKS_A_SECOND = 4
/** Pixels a frame: at 60 frames a second about 140 rows a second, as fast as a wheel that is spun. */
const SCROLL_PX = 100

/** Collects the lengths of tasks of 50 ms and more, from before the page's own script. */
const WATCH_LONG_TASKS = `window.longTasks = []
new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => window.longTasks.push(duration))).observe({ type: 'longtask' })`

/** Scrolls the list for some seconds; ends with the milliseconds from frame to frame. */
const scrolling = (seconds: number) => `new Promise((resolve) => {
  const table = document.querySelector('[role=table]')
  const frames = []
  let last = performance.now()
  const end = last + ${seconds * 1000}
  const step = (now) => {
    frames.push(now - last)
    last = now
    table.scrollTop += ${SCROLL_PX}
    if (now < end) requestAnimationFrame(step)
    else resolve(frames.slice(1))
  }
  requestAnimationFrame(step)
})`

interface PageCost {
  readonly path: string
  readonly heapBefore: number
  readonly heapAfter: number
  readonly elements: number
  readonly longTasks: readonly number[]
}

async function firstPaint(browser: Browser, url: string): Promise<number> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(url)
  await page.locator('[data-status=live]').waitFor()
  const at = await page.evaluate<number>('performance.getEntriesByName("first-contentful-paint")[0].startTime')
  await context.close()
  return at
}

/** Bytes in use after a forced collection. */
async function heapOf(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage')
  return (await session.send('Runtime.getHeapUsage')).usedSize
}

async function costOf(page: Page, server: BusyServer, path: string, seconds: number): Promise<PageCost> {
  await page.addInitScript(WATCH_LONG_TASKS)
  await page.goto(`${server.url}/#${path}`)
  await page.locator('[data-status=live]').waitFor()
  const session = await page.context().newCDPSession(page)
  await server.sendFor(3 * TICKS_A_SECOND)
  const heapBefore = await heapOf(session)
  await page.evaluate('window.longTasks.length = 0')
  await server.sendFor(seconds * TICKS_A_SECOND)
  const longTasks = await page.evaluate<number[]>('window.longTasks')
  const elements = await page.evaluate<number>('document.getElementsByTagName("*").length')
  return { path, heapBefore, heapAfter: await heapOf(session), elements, longTasks }
}

interface Smoothness {
  /** Milliseconds from frame to frame. */
  readonly frames: readonly number[]
  readonly longTasks: readonly number[]
  readonly rowsInDocument: number
}

async function measureScrolling(browser: Browser, seconds: number): Promise<Smoothness> {
  const server = new BusyServer(SEED)
  await server.start()
  const page = await browser.newPage()
  await page.addInitScript(WATCH_LONG_TASKS)
  await page.goto(`${server.url}/#/conversations`)
  await page.locator('.conversation').first().waitFor()
  await page.evaluate('window.longTasks.length = 0')
  const frames = await page.evaluate<number[]>(scrolling(seconds))
  const longTasks = await page.evaluate<number[]>('window.longTasks')
  const rowsInDocument = await page.locator('[aria-rowindex]').count()
  await page.close()
  await server.stop()
  return { frames, longTasks, rowsInDocument }
}

function smoothnessTable({ frames, longTasks, rowsInDocument }: Smoothness): Table {
  const columns = ['frames', 'median, ms', '99 % within, ms', 'longest, ms', 'long tasks', 'rows in the document']
  const row = [`${frames.length}`, show(median(frames)), show(quantile(frames, 0.99)), show(Math.max(...frames)), `${longTasks.length}`, `${rowsInDocument}`]
  return { title: `Scrolling 100,000 conversations by ${SCROLL_PX} pixels a frame`, columns, rows: [row] }
}

async function measurePaint(browser: Browser, repetitions: number): Promise<readonly number[]> {
  const server = await TestServer.start({ args: ['--device', 'simulated'] })
  const times: number[] = []
  for (let index = 0; index < repetitions; index++) times.push(await firstPaint(browser, server.url))
  await server.stop()
  return times
}

async function measurePages(browser: Browser, seconds: number, progress: BenchContext['progress']): Promise<readonly PageCost[]> {
  const server = new BusyServer(SEED)
  await server.start()
  const costs: PageCost[] = []
  for (const path of PAGES) {
    progress(`${path} for ${seconds} s`)
    const page = await browser.newPage()
    costs.push(await costOf(page, server, path, seconds))
    await page.close()
  }
  await server.stop()
  return costs
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const browser = await launchBrowser()
  const paints = await measurePaint(browser, quick ? 3 : 9)
  const smoothness = await measureScrolling(browser, quick ? 3 : 10)
  const costs = await measurePages(browser, quick ? 10 : 60, progress)
  await browser.close()
  const paint = median(paints)
  const rows = costs.map(({ path, heapBefore, heapAfter, elements, longTasks }) => {
    const longest = longTasks.length === 0 ? '–' : show(Math.max(...longTasks))
    return [path, show(heapBefore / MIB), show(heapAfter / MIB), `${elements}`, `${longTasks.length}`, longest]
  })
  const columns = ['page', 'heap before, MiB', 'heap after, MiB', 'elements', 'long tasks', 'longest, ms']
  return {
    tables: [{ title: `Dashboard, ${quick ? 10 : 60} s of 500 requests a second, heap after forced collection`, columns, rows }, smoothnessTable(smoothness)],
    notes: [`first paint on localhost ${show(paint)} ms (median of ${paints.length}); < ${PAINT_BOUND_MS} ms: ${paint < PAINT_BOUND_MS ? 'met' : 'not met'}`],
    plots: [],
    data: { first_paint_ms: paints, pages: costs, scrolling: smoothness },
  }
}

export const web: Bench = { name: 'web', about: 'the dashboard: first paint, scrolling, heap and long tasks under load', isLong: true, run }
