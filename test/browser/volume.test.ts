import test from 'ava'
import type { Page } from 'playwright-core'
import { BusyServer } from './busy-server.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'

const SEED = 20_261_124
const busy = new BusyServer(SEED)
const stage = setStage({ hasServer: false, prepare: () => busy.start(), finish: () => busy.stop() })

test.before((t) => t.log(`seed ${SEED}`))

const nodes = (page: Page) => page.evaluate<number>('document.getElementsByTagName("*").length')

browserTest('five seconds of 500 requests a second leave rows, elements and what is kept within their bounds', async (t) => {
  const { page, complaints } = await openLive(stage.browser, busy.url, { path: '/requests' })
  await busy.sendFor(2)
  await page.locator('.request').first().waitFor()
  const before = await nodes(page)
  await busy.sendFor(20)
  await page.locator(`[role=table][aria-rowcount="1001"]`).waitFor()
  const rows = await page.locator('.request').count()
  t.true(rows >= 7 && rows <= 40, `${rows} rows in the document`)
  const after = await nodes(page)
  t.true(after < before * 1.5 && after < 2500, `${before} elements before, ${after} after`)
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('a list that someone has scrolled stands still under load, and says how many are newer', async (t) => {
  const { page } = await openLive(stage.browser, busy.url, { path: '/requests' })
  await busy.sendFor(8)
  const table = page.getByRole('table', { name: 'Requests' })
  await table.evaluate((element) => element.scrollTo({ top: 2600 }))
  const middle = page.locator('.request').nth(9)
  await page.locator('[aria-rowindex="52"]').waitFor()
  const before = await middle.innerText()
  await busy.sendFor(4)
  await page.getByRole('button', { name: /^Show [\d,]+ newer requests$/ }).waitFor()
  t.is(await middle.innerText(), before)
  await page.getByRole('button', { name: /newer requests$/ }).click()
  await page.locator('[aria-rowindex="2"]').waitFor()
  await page.close()
})

browserTest('100,000 conversations scroll by pages: few rows in the document, the last one is reached', async (t) => {
  const { page } = await openLive(stage.browser, busy.url, { path: '/conversations' })
  await page.getByText('100,000 conversations').waitFor()
  const table = page.getByRole('table', { name: 'Conversations' })
  for (const index of [400, 2000, 9000]) {
    await table.evaluate((element, top) => element.scrollTo({ top }), index * 44)
    await page.getByRole('button', { name: `conv_${String(index + 3).padStart(6, '0')}` }).waitFor()
    const rows = await page.locator('.line').count()
    t.true(rows <= 45, `${rows} rows in the document`)
  }
  await table.evaluate((element) => element.scrollTo({ top: element.scrollHeight }))
  await page.getByRole('button', { name: 'conv_099999' }).waitFor({ timeout: 60_000 })
  await page.close()
})

browserTest('ten minutes of history and five seconds of every topic leave each page’s elements within a bound', async (t) => {
  for (const path of ['/', '/map', '/what-if']) {
    const { page, complaints } = await openLive(stage.browser, busy.url, { path })
    await busy.sendFor(8)
    await page.locator('canvas').first().waitFor()
    const before = await nodes(page)
    await busy.sendFor(12)
    const after = await nodes(page)
    t.true(after <= before + 20 && after < 1500, `${path}: ${before} elements before, ${after} after`)
    t.deepEqual(complaints, [], path)
    await page.close()
  }
})
