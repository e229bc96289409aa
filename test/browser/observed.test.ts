// Requests, cache map and what-if, beside a server that answers.

import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'
import { traffic } from './traffic.js'

const stage = setStage({ args: ['--hbm-bytes', '64MiB'], prepare: ({ server }) => traffic(server, { clients: 2, turns: 3 }) })

browserTest('a request that has just ended appears, and tells its times, its sources and its reasons', async (t) => {
  const { page, complaints } = await openLive(stage.browser, stage.server.url, { path: '/requests' })
  await page.locator('.request').nth(5).waitFor()
  const before = Number(await page.getByRole('table').getAttribute('aria-rowcount'))
  await traffic(stage.server, { clients: 1, turns: 1 })
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
  const { page } = await openLive(stage.browser, stage.server.url, { path: '/map' })
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
  t.true(await page.getByText('No request waits').isVisible())
  await page.close()
})

browserTest('the slider says what more bytes would bring, by mouse and by keyboard', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url, { path: '/what-if' })
  const slider = page.getByRole('slider', { name: 'More bytes for hbm' })
  await slider.waitFor()
  const answer = page.locator('.answer').first()
  t.regex(await answer.innerText(), /^\+\d[\d.]* [KMG]iB would (bring no gain: the hit rate stays at|raise the hit rate from) [\d.]+ %/)
  await slider.focus()
  await page.keyboard.press('Home')
  await answer.filter({ hasText: /^\+0 B would bring no gain: the hit rate stays at [\d.]+ %\./ }).waitFor()
  await page.keyboard.press('ArrowRight')
  await answer.filter({ hasText: /^\+[1-9][\d.]* [KM]iB would/ }).waitFor()
  t.regex((await slider.getAttribute('aria-valuetext')) ?? '', /^\+.* in all$/)
  await page.close()
})
