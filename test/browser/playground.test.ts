import type { Page } from 'playwright-core'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

async function openPlayground(longest: number): Promise<Page> {
  const { page } = await openLive(stage.browser, stage.server.url, { path: '/playground' })
  // The simulated model ends its turns at random, and an answer may then be empty: here it may not.
  await page.route('**/v1/chat/completions', (route) => route.continue({ postData: { ...route.request().postDataJSON(), ignore_eos: true } }))
  await page.getByText('Settings', { exact: true }).click()
  await page.getByLabel('Longest answer').fill(String(longest))
  return page
}

async function say(page: Page, question: string): Promise<void> {
  await page.getByLabel('Your message').fill(question)
  await page.keyboard.press('Enter')
}

const answers = (page: Page) => page.locator('.assistant')
const footers = (page: Page) => page.locator('.assistant .footer')

browserTest('a second turn shows that its context was loaded, and what that saved', async (t) => {
  const page = await openPlayground(16)
  await say(page, 'A first question with some words in it. '.repeat(8))
  await footers(page).nth(0).waitFor()
  t.regex(await footers(page).nth(0).innerText(), /Context of [\d,]+ tokens:.*computed/s)
  await say(page, 'And a second one.')
  await footers(page).nth(1).waitFor()
  t.regex(await footers(page).nth(1).innerText(), /[1-9]\d* from (hbm|dram)/)
  // The server knows how fast it computes after a few steps, and tells the page with its next sample.
  const saved = /saved about/
  for (let turn = 2; turn < 10 && !saved.test(await footers(page).last().innerText()); turn += 1) {
    await say(page, 'And one more.')
    await footers(page).nth(turn).waitFor()
  }
  t.regex(await footers(page).last().innerText(), saved)
  t.regex((await footers(page).nth(1).getByRole('img').getAttribute('aria-label')) ?? '', /^Context of/)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('an answer is shown while it is written, and stops when told to', async (t) => {
  const page = await openPlayground(4000)
  await say(page, 'Tell me a very long story.')
  await page.locator('.assistant .text', { hasText: /\S/ }).waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped by you.').waitFor()
  t.true((await answers(page).locator('.text').innerText()).length > 0)
  await page.getByRole('button', { name: 'Send' }).waitFor()
  await page.close()
})

browserTest('a fork begins as the chat was at that answer, loads it, and leaves the original as it is', async (t) => {
  const page = await openPlayground(12)
  await say(page, 'The beginning that both share. '.repeat(8))
  await footers(page).nth(0).waitFor()
  await say(page, 'Only the original has this.')
  await footers(page).nth(1).waitFor()
  await footers(page).nth(0).getByRole('button', { name: 'Fork from here' }).click()
  t.is(await answers(page).count(), 1)
  await say(page, 'Only the fork has this.')
  await footers(page).nth(1).waitFor()
  t.regex(await footers(page).nth(1).innerText(), /[1-9]\d* from (hbm|dram)/)
  await page.getByRole('button', { name: /^Chat 1 2 turns/ }).click()
  t.is(await page.getByText('Only the fork has this.').count(), 0)
  t.is(await page.getByText('Only the original has this.').count(), 1)
  await page.close()
})

browserTest('a refusal is told in the server’s own words', async (t) => {
  const page = await openPlayground(12)
  await say(page, 'word '.repeat(20_000))
  await page.getByRole('alert').waitFor()
  t.regex(await page.getByRole('alert').innerText(), /^No answer: .*tokens/)
  await page.close()
})
