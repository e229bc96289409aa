import test from 'ava'
import type { Browser, Page } from 'playwright-core'
import { ask } from '../support/conversation.js'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'
import { launchBrowser } from './browser.js'

const browserTest = testNeeding('browser')
let browser: Browser
let server: TestServer

test.before(async () => {
  if (!has('browser')) return
  browser = await launchBrowser()
  server = await TestServer.start({ args: ['--device', 'simulated'] })
})

test.after.always(async () => {
  await browser?.close()
  await server?.stop()
})

/** A page on the server, with what the browser complained about. */
async function open(options: { readonly colorScheme?: 'light' | 'dark' } = {}): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(server.url)
  await page.locator('[data-status=live]').waitFor()
  return { page, complaints }
}

browserTest('the overview shows the three tiers and the server, without a complaint of the content policy', async (t) => {
  const { page, complaints } = await open()
  t.deepEqual(await page.locator('[data-tier]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-tier'))), [
    'hbm',
    'dram',
    'ssd',
  ])
  t.regex(await page.locator('.server').innerText(), /simulated engine: no model runs/)
  t.is(await page.locator('.chart canvas').count(), 4)
  t.is(await page.locator('.overlay').count(), 0)
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('a turn that the server answers shows up, and a second one shows reused tokens', async (t) => {
  const { page } = await open()
  const answered = page.locator('.figure', { hasText: /^answered/ }).locator('dd')
  const before = Number(await answered.innerText())
  const messages = [{ role: 'user' as const, content: 'A question that is long enough to fill some tokens. '.repeat(12) }]
  const first = await ask(server, messages, { max_tokens: 8 })
  const history = [...messages, { role: 'assistant' as const, content: first.text }, { role: 'user' as const, content: 'And?' }]
  const second = await ask(server, history, { max_tokens: 8 })
  t.true(second.usage.prompt_tokens_details.cached_tokens > 0)
  await page.locator('.figure', { hasText: new RegExp(`^answered\\s*${before + 2}$`) }).waitFor()
  await page.locator('.figure', { hasText: /^prompt tokens reused\s*[1-9]/ }).waitFor()
  const label = await page.locator('[data-tier=hbm] svg').getAttribute('aria-label')
  t.regex(label ?? '', /^hbm: .* blocks: \d+ running, [1-9]\d* cached$/)
  await page.close()
})

browserTest('both themes are shown as the system says, and a choice outlives a reload', async (t) => {
  const background = (page: Page) => page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
  const shown = async (colorScheme: 'light' | 'dark') => {
    const { page, complaints } = await open({ colorScheme })
    t.is(await page.locator('html').getAttribute('data-theme'), colorScheme)
    t.deepEqual(complaints, [])
    return page
  }
  const light = await shown('light')
  const dark = await shown('dark')
  t.not(await background(light), await background(dark))
  await light.getByRole('button', { name: 'theme: system' }).click()
  await light.getByRole('button', { name: 'theme: light' }).click()
  t.is(await light.locator('html').getAttribute('data-theme'), 'dark')
  await light.reload()
  t.is(await light.locator('html').getAttribute('data-theme'), 'dark')
  t.is(await background(light), await background(dark))
  await Promise.all([light.close(), dark.close()])
})

browserTest('every panel has a heading, every chart and bar a description', async (t) => {
  const { page } = await open()
  const unnamed = await page.locator('main section').evaluateAll((panels) =>
    panels.filter((panel) => !panel.querySelector('h2')?.textContent?.trim() || !panel.hasAttribute('aria-labelledby')).length,
  )
  t.is(unnamed, 0)
  const labels = await page.locator('[role=img]').evaluateAll((images) => images.map((image) => image.getAttribute('aria-label')))
  t.is(labels.length, 7)
  t.true(labels.every((label) => (label ?? '').length > 10), JSON.stringify(labels))
  await page.close()
})

browserTest('a killed server brings the overlay, and the last numbers stay', async (t) => {
  const victim = await TestServer.start({ args: ['--device', 'simulated'] })
  const page = await browser.newPage()
  await page.goto(victim.url)
  await page.locator('[data-status=live]').waitFor()
  await victim.kill()
  const overlay = page.getByRole('alert')
  await overlay.waitFor()
  t.regex(await overlay.innerText(), /connection to the server is lost/)
  t.true(await page.getByRole('button', { name: 'Try again now' }).isVisible())
  t.is(await page.locator('[data-tier]').count(), 3)
  await page.close()
})
