// The form and the messages: neither covers the other, and the list moves under no reader.

import type { Page } from 'playwright-core'
import { openPlayground, openScripted, say, sayAndWait, textAnswer } from './playground-page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

const LONG = Array.from({ length: 60 }, (_, line) => `Paragraph ${line} of an answer that is higher than any window.`).join('\n\n')
/** The element that a click on the middle of the last answer's last button meets. */
const HIT = `(() => {
  const button = [...document.querySelectorAll('.assistant .actions button')].at(-1)
  const { left, top, width, height } = button.getBoundingClientRect()
  return document.elementFromPoint(left + width / 2, top + height / 2) === button
})()`
const scrolled = (page: Page) => page.evaluate<number>(`document.querySelector('.messages').scrollTop`)
/** From the end of what is shown to the end of the list. */
const FROM_END = `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(document.querySelector('.messages'))`

/** Asked through the debugger, frame by frame: the content policy keeps the page from evaluating it by itself. */
async function until(page: Page, condition: string): Promise<void> {
  while (!(await page.evaluate<boolean>(condition))) await page.evaluate('new Promise((drawn) => requestAnimationFrame(drawn))')
}

browserTest('the form never covers the buttons of the last answer, wide and narrow, also while a long question is written', async (t) => {
  for (const width of [1280, 390]) {
    const { page } = await openScripted(stage, [textAnswer(LONG)], { width })
    await sayAndWait(page, 'Go.')
    await until(page, `${FROM_END} < 2`)
    t.true(await page.evaluate(HIT), `${width}`)
    const form = page.getByLabel('Your message')
    const before = (await form.boundingBox())?.height ?? 0
    await form.fill('one')
    for (let line = 0; line < 8; line += 1) await form.press('Shift+Enter')
    const after = (await form.boundingBox())?.height ?? 0
    t.true(after > before + 60, `${width}: ${before} to ${after}`)
    t.is(await page.locator('.user').count(), 1)
    await until(page, `${FROM_END} < 2`)
    t.true(await page.evaluate(HIT), `${width}, long question`)
    t.is(await page.evaluate<number>('document.documentElement.scrollHeight - document.documentElement.clientHeight'), 0)
    await form.press('Enter')
    await page.locator('.user').nth(1).waitFor()
    t.is((await form.boundingBox())?.height, before)
    await page.close()
  }
})

browserTest('the list follows an answer while its end is in sight, stays under a reader, and jumps back when asked to', async (t) => {
  const page = await openPlayground(stage, 6000)
  await say(page, 'A long story, please. '.repeat(60))
  const text = page.locator('.assistant .markdown')
  await until(page, `document.querySelector('.messages').scrollTop > 300`)
  await page.locator('.messages').evaluate((list: { scrollTop: number }) => void (list.scrollTop = 0))
  await page.getByRole('button', { name: 'Jump to the latest' }).waitFor()
  const before = (await text.innerText()).length
  await until(page, `document.querySelector('.assistant .markdown').innerText.length > ${before + 200}`)
  t.is(await scrolled(page), 0)
  await page.getByRole('button', { name: 'Jump to the latest' }).click()
  await until(page, `document.querySelector('.messages').scrollTop > 300`)
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped before its end.').waitFor()
  t.is(await page.getByRole('button', { name: 'Jump to the latest' }).count(), 0)
  await page.close()
})

browserTest('on a phone the chats and the settings take the place of the messages, and give it back', async (t) => {
  const { page } = await openScripted(stage, [textAnswer('Yes.')], { width: 390 })
  await sayAndWait(page, 'First chat')
  await page.getByRole('button', { name: 'Chats', exact: true }).click()
  t.false(await page.getByLabel('Your message').isVisible())
  await page.getByRole('button', { name: 'Rename' }).waitFor()
  await page.getByRole('button', { name: 'New chat', exact: true }).click()
  t.true(await page.getByLabel('Your message').isVisible())
  await page.getByRole('button', { name: 'Settings' }).click()
  t.false(await page.getByLabel('Your message').isVisible())
  await page.getByRole('button', { name: 'Close' }).click()
  t.true(await page.getByLabel('Your message').isVisible())
  t.is(await page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0)
  await page.close()
})
