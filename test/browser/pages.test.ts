import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/paths.js'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'
import { traffic } from './traffic.js'

const SHOTS = join(ROOT, 'test-output/pages')
const TIERS = ['--hbm-bytes', '64MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '256MiB']
let load: Promise<void>

const stage = setStage({
  args: TIERS,
  prepare: async ({ server }) => {
    mkdirSync(SHOTS, { recursive: true })
    await traffic(server, { clients: 2, turns: 2 })
    // Goes on while the pages are looked at; what it still asks when the server ends is refused.
    load = traffic(server, { clients: 8, turns: 40 }).catch(() => undefined)
  },
  finish: async () => {
    await stage.server.kill()
    await load
  },
})

/** Each page's path, its heading, and what is there once it has something to show. */
const PAGES = [
  { path: '/', heading: 'Overview', shows: '[data-tier=ssd] .bar' },
  { path: '/requests', heading: 'Requests', shows: '.request' },
  { path: '/conversations', heading: 'Conversations', shows: '.conversation' },
  { path: '/map', heading: 'Cache map', shows: '[data-tier=hbm] canvas' },
  { path: '/what-if', heading: 'What if', shows: '.u-over' },
  { path: '/playground', heading: 'Playground', shows: '.question' },
] as const
const LOOKS = [
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'light', width: 390 },
  { colorScheme: 'dark', width: 390 },
] as const

for (const { path, heading, shows } of PAGES) {
  browserTest(`${heading} reads well under load in both themes, wide and narrow: no violation, no complaint, nothing cut off`, async (t) => {
    for (const look of LOOKS) {
      const name = `${heading.toLowerCase().replace(' ', '-')}-${look.colorScheme}-${look.width}`
      const { page, complaints } = await openLive(stage.browser, stage.server.url, { path, ...look })
      await page.locator(shows).first().waitFor()
      t.is(await page.getByRole('heading', { level: 1 }).innerText(), heading)
      t.is(await page.locator('html').getAttribute('data-theme'), look.colorScheme)
      t.deepEqual(await violationsOf(page), [], name)
      t.deepEqual(complaints, [], name)
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')
      t.is(overflow, 0, name)
      await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true })
      await page.close()
    }
  })
}

browserTest('every page is reached by keyboard alone, says its name and begins at its top', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url)
  await page.keyboard.press('Tab')
  t.is(await page.locator(':focus').innerText(), 'Skip to the content')
  for (const { path, heading } of PAGES.slice(1)) {
    await page.getByRole('link', { name: heading, exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: heading }).waitFor()
    await page.locator('main:focus').waitFor()
    t.is(await page.title(), `${heading} · AttentionStore`)
    t.is(await page.getByRole('link', { name: heading, exact: true }).getAttribute('aria-current'), 'page')
    t.true(page.url().endsWith(`#${path}`))
  }
  await page.close()
})
