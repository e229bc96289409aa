import { violationsOf } from './axe.js'
import { answers, footers, openPlayground, say, sayAndWait } from './playground-page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

browserTest('a second turn shows that its context was loaded, and what that saved', async (t) => {
  const page = await openPlayground(stage, 16)
  await sayAndWait(page, 'A first question with some words in it. '.repeat(8))
  t.regex(await footers(page).nth(0).innerText(), /Context of [\d,]+ tokens:.*computed.*First word after.*tokens\/s/s)
  await sayAndWait(page, 'And a second one.')
  t.regex(await footers(page).nth(1).innerText(), /[1-9]\d* from (hbm|dram)/)
  // The server knows how fast it computes after a few steps, and tells the page with its next sample.
  const saved = /saved about/
  for (let turn = 2; turn < 10 && !saved.test(await footers(page).last().innerText()); turn += 1) await sayAndWait(page, 'And one more.')
  t.regex(await footers(page).last().innerText(), saved)
  t.regex((await footers(page).nth(1).getByRole('img').getAttribute('aria-label')) ?? '', /^Context of/)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('an answer is shown while it is written, and stops when told to', async (t) => {
  const page = await openPlayground(stage, 4000)
  await say(page, 'Tell me a very long story.')
  await page.locator('.assistant .markdown', { hasText: /\S/ }).waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped before its end.').waitFor()
  t.true((await answers(page).locator('.markdown').innerText()).length > 0)
  await page.getByRole('button', { name: 'Send' }).waitFor()
  await page.close()
})

browserTest('a fork begins as the chat was at that answer, loads it, and leaves the original as it is', async (t) => {
  const page = await openPlayground(stage, 12)
  await sayAndWait(page, 'The beginning that both share. '.repeat(8))
  await sayAndWait(page, 'Only the original has this.')
  await answers(page).nth(0).getByRole('button', { name: 'Fork from here' }).click()
  await page.getByRole('heading', { name: /\(fork\)$/ }).waitFor()
  t.is(await answers(page).count(), 1)
  await sayAndWait(page, 'Only the fork has this.')
  t.regex(await footers(page).nth(1).innerText(), /[1-9]\d* from (hbm|dram)/)
  await page.getByRole('button', { name: /^The beginning that both share.*… 2 turns/ }).click()
  t.is(await page.getByText('Only the fork has this.').count(), 0)
  t.is(await page.getByText('Only the original has this.').count(), 1)
  await page.close()
})

browserTest('another answer loads the history of the first, and either is shown by its number', async (t) => {
  const page = await openPlayground(stage, 12)
  await sayAndWait(page, 'A question that is answered twice. '.repeat(8))
  const first = await page.locator('.assistant .markdown').innerText()
  await page.getByRole('button', { name: 'Regenerate' }).click()
  await page.getByText('2 / 2').waitFor()
  t.regex(await footers(page).innerText(), /[1-9]\d* from (hbm|dram)/)
  await page.getByRole('button', { name: 'Version before' }).click()
  await page.getByText('1 / 2').waitFor()
  t.is(await page.locator('.assistant .markdown').innerText(), first)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('a changed question goes on from the history before it; the old one stays beside it', async (t) => {
  const page = await openPlayground(stage, 12)
  await sayAndWait(page, 'The first question.')
  await sayAndWait(page, 'The second question.')
  await page.locator('.user').nth(1).getByRole('button', { name: 'Edit' }).click()
  t.deepEqual(await violationsOf(page), [])
  await page.getByLabel('Changed question').fill('Another second question.')
  await page.keyboard.press('Enter')
  await page.getByText('2 / 2').waitFor()
  await footers(page).nth(1).waitFor()
  t.deepEqual(await page.locator('.user .text').allInnerTexts(), ['The first question.', 'Another second question.'])
  await page.getByRole('button', { name: 'Version before' }).click()
  t.deepEqual(await page.locator('.user .text').allInnerTexts(), ['The first question.', 'The second question.'])
  t.is(await answers(page).count(), 2)
  await page.close()
})

browserTest('a refusal is told in the server’s own words, and can be tried again', async (t) => {
  const page = await openPlayground(stage, 12)
  await say(page, 'word '.repeat(20_000))
  await page.getByRole('alert').waitFor()
  t.regex(await page.getByRole('alert').innerText(), /^No answer: .*tokens/)
  const again = page.waitForRequest('**/v1/chat/completions')
  await page.getByRole('button', { name: 'Try again' }).click()
  t.is((await again).postDataJSON().messages.length, 1)
  await page.getByRole('alert').waitFor()
  t.is(await answers(page).count(), 1)
  await page.close()
})
