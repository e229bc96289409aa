// The playground in the browser: a chat with the simulated model, or with one that says what a test wants it to.

import type { Page } from 'playwright-core'
import { openLive, type OpenedPage, type OpenOptions } from './page.js'
import type { Stage } from './stage.js'

/** With the longest answer set to `longest` tokens. */
export async function openPlayground(stage: Stage, longest: number, options: OpenOptions = {}): Promise<Page> {
  const { page } = await openLive(stage.browser, stage.server.url, { ...options, path: '/playground' })
  // The simulated model ends its turns at random, and an answer may then be empty: here it may not.
  await page.route('**/v1/chat/completions', (route) => route.continue({ postData: { ...route.request().postDataJSON(), ignore_eos: true } }))
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('Longest answer').fill(String(longest))
  await page.getByRole('button', { name: 'Settings' }).click()
  return page
}

/** What the scripted model streams: pieces of text, or of anything else that a delta has. */
export interface ScriptedAnswer {
  readonly deltas: readonly object[]
  /** @default stop */
  readonly finish?: string
}

export interface Scripted extends OpenedPage {
  /** Bodies of the requests, in order. */
  readonly asked: ReadonlyArray<{ readonly messages: readonly object[]; readonly [field: string]: unknown }>
}

export const textAnswer = (text: string): ScriptedAnswer => ({ deltas: [{ content: text }] })

/** `answers` in their order; what is asked beyond them gets the last one again. */
export async function openScripted(stage: Stage, answers: readonly ScriptedAnswer[], options: OpenOptions = {}): Promise<Scripted> {
  const opened = await openLive(stage.browser, stage.server.url, { ...options, path: '/playground' })
  const asked: Array<Scripted['asked'][number]> = []
  await opened.page.route('**/v1/chat/completions', async (route) => {
    const { deltas, finish = 'stop' } = answers[Math.min(asked.length, answers.length - 1)] ?? textAnswer('')
    asked.push(route.request().postDataJSON() as Scripted['asked'][number])
    const choices = [...deltas.map((delta) => ({ index: 0, delta, finish_reason: null })), { index: 0, delta: {}, finish_reason: finish }]
    const events = [...choices.map((choice) => JSON.stringify({ choices: [choice] })), '[DONE]']
    await route.fulfill({ contentType: 'text/event-stream', body: events.map((data) => `data: ${data}\n\n`).join('') })
  })
  return { ...opened, asked }
}

export async function say(page: Page, question: string): Promise<void> {
  await page.getByLabel('Your message').fill(question)
  await page.getByLabel('Your message').press('Enter')
}

export const answers = (page: Page) => page.locator('.assistant')
export const footers = (page: Page) => page.locator('.assistant .footer')

/** Says it, and waits for the end of the answer. */
export async function sayAndWait(page: Page, question: string): Promise<void> {
  const before = await footers(page).count()
  await say(page, question)
  await footers(page).nth(before).waitFor()
}
