import type { Page } from 'playwright-core'
import { ask } from '../support/conversation.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

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
