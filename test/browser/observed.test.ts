// Requests, cache map and what-if, beside a server that answers.

import test from 'ava'
import type { Browser } from 'playwright-core'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'
import { violationsOf } from './axe.js'
import { launchBrowser } from './browser.js'
import { openLive } from './page.js'
import { traffic } from './traffic.js'

const browserTest = testNeeding('browser')
let browser: Browser
let server: TestServer

test.before(async () => {
  if (!has('browser')) return
  browser = await launchBrowser()
  server = await TestServer.start({ args: ['--device', 'simulated', '--hbm-bytes', '64MiB'] })
  await traffic(server, { clients: 2, turns: 3 })
})

test.after.always(async () => {
  await browser?.close()
  await server?.stop()
})

browserTest('a request that has just ended appears, and tells its times, its sources and its reasons', async (t) => {
  const { page, complaints } = await openLive(browser, server.url, { path: '/requests' })
  await page.locator('.request').nth(5).waitFor()
  const before = Number(await page.getByRole('table').getAttribute('aria-rowcount'))
  await traffic(server, { clients: 1, turns: 1 })
  await page.locator(`[role=table][aria-rowcount="${before + 1}"]`).waitFor()
  const returning = page.locator('.request', { has: page.locator('[aria-label*=" hbm"]') }).first()
  await returning.locator('.open').click()
  const times = page.getByRole('img', { name: /^Times of the request:/ })
  t.regex((await times.getAttribute('aria-label')) ?? '', /computed [\d.]+ m?s/)
  await page.getByRole('radio', { name: 'Whole request' }).click()
  t.regex((await times.getAttribute('aria-label')) ?? '', /decoded [\d.]+ m?s/)
  t.regex(await page.locator('section', { hasText: 'Why tokens were not reused' }).innerText(), /never seen/)
  t.deepEqual(await violationsOf(page), [])
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('the map draws every tier’s slots, tells what one holds, and says the same as text', async (t) => {
  const { page } = await openLive(browser, server.url, { path: '/map' })
  await page.locator('[data-tier=hbm] canvas').waitFor()
  t.is(await page.locator('[data-tier] canvas').count(), 3)
  const colours = () => page.locator('[data-tier=hbm] canvas').evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL())
  const byUse = await colours()
  await page.locator('[data-tier=hbm] canvas').hover({ position: { x: 4, y: 4 } })
  await page.locator('[data-tier=hbm]', { hasText: /Slot 0: / }).waitFor()
  await page.getByRole('radio', { name: 'Age' }).click()
  await page.getByText('used < 3 s ago').waitFor()
  t.not(await colours(), byUse)
  t.regex((await page.locator('[data-tier=hbm] canvas').getAttribute('aria-label')) ?? '', /^hbm: \d+ slots, .*% cached/)
  t.true(await page.getByText('Nobody waits').isVisible())
  await page.close()
})

browserTest('the slider says what more bytes would bring, by mouse and by keyboard', async (t) => {
  const { page } = await openLive(browser, server.url, { path: '/what-if' })
  const slider = page.getByRole('slider', { name: 'More bytes for hbm' })
  await slider.waitFor()
  const answer = page.locator('.answer').first()
  t.regex(await answer.innerText(), /^\+\d[\d.]* [KMG]iB would raise the hit rate from [\d.]+ % to [\d.]+ % \(± [\d.]+ points\)/)
  await slider.focus()
  await page.keyboard.press('Home')
  await page.getByText('+0 B would raise the hit rate').waitFor()
  await page.keyboard.press('ArrowRight')
  await page.getByText('+0 B would raise the hit rate').waitFor({ state: 'detached' })
  t.regex((await slider.getAttribute('aria-valuetext')) ?? '', /^\+.* in all$/)
  await page.close()
})
