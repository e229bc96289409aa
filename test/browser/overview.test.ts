import { execFileSync } from 'node:child_process'
import type { Page } from 'playwright-core'
import { ask } from '../support/conversation.js'
import type { RequestList } from '../../ts/protocol/index.js'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

// Before anything is asked.
browserTest('a server that was never asked shows its base URL, curl and the chat instead of empty charts, until it is asked', async (t) => {
  const { page, complaints } = await openLive(stage.browser, stage.server.url)
  const steps = page.locator('section', { hasText: 'Ask it something' })
  t.is(await steps.getByLabel('Base URL', { exact: true }).innerText(), `${stage.server.url}/v1`)
  t.regex(await steps.getByLabel('Chat in a terminal', { exact: true }).innerText(), new RegExp(`^attentionstore chat --url ${stage.server.url}$`))
  t.is(await page.locator('.u-over').count(), 0)
  t.regex(await page.locator('.today').innerText(), /^(Today|Since the server started at \d\d:\d\d): no prompt has come yet\.$/)
  t.deepEqual(await violationsOf(page), [])
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await steps.getByRole('button', { name: 'Copy: With curl' }).click()
  await steps.getByText('Copied').waitFor()
  // The line that is copied is one that works.
  const curl = await page.evaluate<string>('navigator.clipboard.readText()')
  const answer = JSON.parse(execFileSync('sh', ['-c', `${curl} -s`], { encoding: 'utf8' })) as { choices: unknown[] }
  t.is(answer.choices.length, 1)
  await steps.waitFor({ state: 'detached' })
  await page.locator('.u-over').first().waitFor()
  t.deepEqual(complaints, [])
  await page.close()
})

const figure = (page: Page, label: string) => page.locator('.figure', { hasText: label }).locator('.value')

browserTest('the overview shows the three tiers, fastest first, and what the server is', async (t) => {
  const { page, complaints } = await openLive(stage.browser, stage.server.url)
  const tiers = await page.locator('[data-tier]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-tier')))
  t.deepEqual(tiers, ['hbm', 'dram', 'ssd'])
  t.regex(await page.locator('.server').innerText(), /Simulated engine: no model runs/)
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('a turn that the server answers is counted, and a second one shows reuse and what it saved', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url)
  const answered = figure(page, 'Requests answered')
  await answered.waitFor()
  const before = Number(await answered.innerText())
  const messages = [{ role: 'user' as const, content: 'A question that is long enough to fill some tokens. '.repeat(12) }]
  const first = await ask(stage.server, messages, { max_tokens: 8 })
  const history = [...messages, { role: 'assistant' as const, content: first.text }, { role: 'user' as const, content: 'And?' }]
  const second = await ask(stage.server, history, { max_tokens: 8 })
  t.true(second.usage.prompt_tokens_details.cached_tokens > 0)
  await page.locator('.figure', { hasText: new RegExp(`^Requests answered\\s*${before + 2}$`) }).waitFor()
  t.regex(await figure(page, 'Prompt tokens reused').innerText(), /^[1-9][\d.]* %$/)
  t.regex(await figure(page, 'Computation saved').innerText(), /^[1-9]/)
  t.regex((await page.locator('[data-tier=hbm] svg').getAttribute('aria-label')) ?? '', /^hbm: .* [1-9]\d* cached$/)
  const reasons = await page.locator('section', { hasText: 'Why tokens were not reused' }).getByRole('listitem').first().innerText()
  t.regex(reasons, /never seen.*[1-9]/s)
  await page.close()
})

browserTest('the first line says how much of today’s prompts came from the cache', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url)
  const line = page.locator('.today').filter({ hasText: /prompt tokens came from the cache/ })
  await line.waitFor()
  t.regex(await line.innerText(), /^(Today|Since the server started at \d\d:\d\d): [\d.]+ % of [\d,]+ prompt tokens came from the cache(, which saved about [\d.]+ \w+ of computing)?\.$/)
  await page.close()
})

browserTest('charts have the time of day across, and the uptime beside it in the legend', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url)
  const chart = page.locator('section', { hasText: 'Hit rate by tier' }).locator('.u-over')
  await chart.waitFor()
  const legend = page.locator('section', { hasText: 'Hit rate by tier' }).locator('.u-legend .u-series').first()
  await legend.filter({ hasText: /\d\d:\d\d:\d\d/ }).waitFor()
  t.regex(await legend.innerText(), /time.*\d\d:\d\d:\d\d, up for \d+:\d\d:\d\d/s)
  const [, hour, minute] = /(\d\d):(\d\d):\d\d, up/.exec(await legend.innerText()) ?? []
  // By the clock of the reader: some minutes at most after the request that the server had before.
  const { requests } = (await (await stage.server.get('/admin/requests?limit=1')).json()) as RequestList
  const asked = new Date(requests[0]?.accepted_at_ms ?? 0)
  const minutes = 60 * Number(hour) + Number(minute) - 60 * asked.getHours() - asked.getMinutes()
  t.true((minutes + 1440) % 1440 <= 30, `${hour}:${minute}, asked at ${asked.toString()}`)
  await page.close()
})

browserTest('on a phone the overview is three screens, one chart at a time, and the rest is a tap away', async (t) => {
  const { page, complaints } = await openLive(stage.browser, stage.server.url, { width: 390 })
  await page.locator('.u-over').waitFor()
  const height = await page.evaluate<number>('document.documentElement.scrollHeight')
  t.true(height <= 3 * 860, `${height} pixels`)
  await page.getByRole('radio', { name: 'Queue' }).click()
  await page.getByRole('heading', { name: 'Queue' }).waitFor()
  t.is(await page.locator('.u-over').count(), 1)
  t.is(await figure(page, 'Requests answered').count(), 0)
  await page.getByText('Transfers, work and trouble').click()
  await figure(page, 'Requests answered').waitFor()
  t.deepEqual(await violationsOf(page), [])
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('a choice of theme outlives a reload', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url, { colorScheme: 'light' })
  const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
  const light = await background()
  await page.getByRole('radio', { name: 'Dark' }).click()
  t.is(await page.locator('html').getAttribute('data-theme'), 'dark')
  t.not(await background(), light)
  await page.reload()
  t.is(await page.locator('html').getAttribute('data-theme'), 'dark')
  await page.keyboard.press('Tab')
  await page.getByRole('radio', { name: 'Dark' }).focus()
  await page.keyboard.down('ArrowLeft')
  await page.locator('html[data-theme=light]').waitFor()
  await page.keyboard.up('ArrowLeft')
  await page.close()
})

browserTest('every panel has a heading and a sentence, every chart and bar a description', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url)
  const unnamed = await page.locator('main .panel').evaluateAll((panels) =>
    panels.filter((panel) => !panel.querySelector('h2')?.textContent?.trim() || !panel.querySelector('.explain')?.textContent?.trim()).length,
  )
  t.is(unnamed, 0)
  const labels = await page.locator('main [role=img]').evaluateAll((images) => images.map((image) => image.getAttribute('aria-label')))
  t.true(labels.length >= 8)
  t.true(labels.every((label) => (label ?? '').length > 10), JSON.stringify(labels))
  await page.close()
})
