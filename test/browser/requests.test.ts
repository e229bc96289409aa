// The list of requests: search, filters, order, keyboard and height, on a scripted server with a thousand records; and the
// way from a reason to What if.

import test from 'ava'
import type { Page } from 'playwright-core'
import type { RequestRecord } from '../../ts/protocol/index.js'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { ScriptedServer } from './scripted-server.js'
import { browserTest, setStage } from './stage.js'
import { randomOf, recordOf, snapshotAt, whatIf } from './synthetic.js'

const SEED = 20_261_130
const COUNT = 1000
const random = randomOf(SEED)
const RECORDS: readonly RequestRecord[] = Array.from({ length: COUNT }, (_, seq) => recordOf(seq, random)).toReversed()

let server: ScriptedServer
const stage = setStage({
  hasServer: false,
  prepare: async () => {
    server = await ScriptedServer.start(
      () => snapshotAt(900),
      (path) => {
        if (path === '/admin/session') return { login_required: false, session: null }
        return path === '/admin/requests' ? { requests: RECORDS, next_cursor: null } : undefined
      },
    )
  },
  finish: () => server.stop(),
})

test.before((t) => t.log(`seed ${SEED}`))

async function openRequests(query = '', width?: number): Promise<Page> {
  const { page } = await openLive(stage.browser, server.url, { path: `/requests${query}`, ...(width === undefined ? {} : { width }) })
  await page.locator('.filters').waitFor()
  return page
}

const counted = (page: Page, count: number) => page.getByText(`${count.toLocaleString('en')} of 1,000`, { exact: true }).waitFor()
const first = (page: Page) => page.locator('[aria-rowindex="2"]')
const of = (test: (record: RequestRecord) => boolean) => RECORDS.filter(test)

browserTest('status, tenant and reason leave out the rest, and the address keeps them over a reload', async (t) => {
  const page = await openRequests()
  await counted(page, COUNT)
  await page.getByRole('radio', { name: 'Cancelled' }).click()
  const cancelled = of(({ status }) => status === 'cancelled')
  t.true(cancelled.length > 3)
  await counted(page, cancelled.length)
  await page.getByLabel('Tenant').selectOption({ label: 'red' })
  const red = cancelled.filter(({ tenant }) => tenant === 'red')
  await counted(page, red.length)
  t.true(page.url().endsWith('/requests?status=cancelled&tenant=red'), page.url())
  await page.reload()
  await counted(page, red.length)
  t.is(await page.getByRole('radio', { name: 'Cancelled' }).getAttribute('aria-checked'), 'true')
  t.is(await page.getByLabel('Tenant').inputValue(), 'name:red')
  await page.getByLabel('Tenant').selectOption({ label: 'all' })
  await page.getByRole('radio', { name: 'All' }).click()
  await page.getByLabel('Computed because').selectOption({ label: 'evicted' })
  await counted(page, of(({ miss }) => miss.evicted > 0).length)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('an order puts the slowest first', async (t) => {
  const page = await openRequests()
  await page.getByLabel('Order').selectOption({ label: 'Slowest first token' })
  const slowest = RECORDS.toSorted((a, b) => (b.ttft_ms ?? -1) - (a.ttft_ms ?? -1) || b.seq - a.seq)[0]
  await first(page).filter({ hasText: slowest?.conversation ?? '' }).waitFor()
  t.true(page.url().endsWith('?sort=ttft'))
  await page.close()
})

browserTest('/ leads to the search; what nothing matches says so and has a way back', async (t) => {
  const page = await openRequests()
  await counted(page, COUNT)
  await page.keyboard.press('/')
  await page.keyboard.type('CONV_7')
  await counted(page, of(({ conversation }) => conversation.includes('conv_7')).length)
  await page.getByLabel(/^Search/).fill('nobody at all')
  await page.getByText('No request is like this').waitFor()
  await counted(page, 0)
  t.is(await page.locator('.request').count(), 0)
  t.deepEqual(await violationsOf(page), [])
  await page.getByRole('button', { name: 'Show all' }).click()
  await counted(page, COUNT)
  t.is(await page.getByLabel(/^Search/).inputValue(), '')
  await page.close()
})

browserTest('arrow keys go from request to request, Escape closes', async (t) => {
  const page = await openRequests()
  const table = page.getByRole('table', { name: 'Requests' })
  await table.focus()
  const pressed = page.locator('.request.chosen')
  await page.keyboard.press('ArrowDown')
  t.is(await pressed.getAttribute('aria-rowindex'), '2')
  await page.keyboard.press('ArrowDown')
  await page.locator('.request.chosen[aria-rowindex="3"]').waitFor()
  await page.getByRole('heading', { name: 'Phases and their times' }).waitFor()
  await page.keyboard.press('End')
  await page.locator(`.request.chosen[aria-rowindex="${COUNT + 1}"]`).waitFor()
  await page.keyboard.press('Escape')
  await pressed.waitFor({ state: 'detached' })
  t.is(await page.getByRole('heading', { name: 'Phases and their times' }).count(), 0)
  await page.close()
})

browserTest('the list ends where the window ends', async (t) => {
  const page = await openRequests()
  await page.locator('.request').first().waitFor()
  for (const height of [700, 1300]) {
    await page.setViewportSize({ width: 1280, height })
    const box = await page.getByRole('table', { name: 'Requests' }).boundingBox()
    const bottom = (box?.y ?? 0) + (box?.height ?? 0)
    t.true(bottom > height - 60 && bottom <= height, `${bottom} of ${height}`)
    t.is(await page.evaluate<number>('document.documentElement.scrollHeight'), height)
  }
  await page.close()
})

browserTest('evicted tokens lead to What if with the tier and as much again chosen', async (t) => {
  const page = await openRequests('?reason=evicted')
  await page.locator('.request .open').first().click()
  const advice = page.locator('[data-cause=too-small]')
  t.regex(await advice.innerText(), /ssd is too small for what comes back.*--ssd-bytes/s)
  await advice.getByRole('link', { name: 'Try ssd in What if' }).click()
  await page.getByRole('heading', { level: 1, name: 'What if' }).waitFor()
  const own = snapshotAt(900).sample.tiers.find(({ name }) => name === 'ssd')?.capacityBytes ?? 0
  t.true(page.url().endsWith(`/what-if?tier=ssd&add=${own}`), page.url())
  server.io.emit('what-if', whatIf())
  const slider = page.getByRole('slider', { name: 'More bytes for ssd' })
  await slider.waitFor()
  const chosen = page.locator('.curve.chosen')
  t.is(await chosen.count(), 1)
  t.is(await chosen.getAttribute('data-curve'), 'ssd')
  const gib = (own / 2 ** 30).toFixed(0)
  t.true(((await slider.getAttribute('aria-valuetext')) ?? '').startsWith(`+${gib} GiB,`), (await slider.getAttribute('aria-valuetext')) ?? '')
  // A step of the slider is kept in the address too.
  await slider.focus()
  await page.keyboard.press('Home')
  await page.waitForURL(/tier=ssd&add=0$/)
  t.regex(await chosen.locator('.answer').innerText(), /^\+0 B would bring no gain/)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('the overview tells each cause with its advice', async (t) => {
  const { page } = await openLive(stage.browser, server.url)
  const panel = page.locator('section', { hasText: 'Why tokens were not reused' })
  t.deepEqual(await panel.locator('[data-cause]').evaluateAll((all) => all.map((one) => one.getAttribute('data-cause'))), [
    'too-small',
    'window',
    'forgotten',
    'disk-slow',
    'preempted',
    'prefetched-in-vain',
    'queued',
  ])
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})
