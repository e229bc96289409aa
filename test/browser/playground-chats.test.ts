// Chats outlive the page, in the browser that had them and nowhere else.

import type { Page } from 'playwright-core'
import { violationsOf } from './axe.js'
import { openPlayground, openScripted, say, sayAndWait, textAnswer } from './playground-page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

const chats = (page: Page) => page.locator('.chats li')
const title = (page: Page) => page.locator('.chat-head h2')
const reload = async (page: Page) => {
  await page.reload()
  await page.locator('[data-status=live]').waitFor()
}

browserTest('a chat outlives a reload: its messages, its branches, its settings and its place in the list', async (t) => {
  const { page, asked } = await openScripted(stage, [textAnswer('First.'), textAnswer('Again.'), textAnswer('Other.')])
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('System prompt').fill('Be brief.')
  await sayAndWait(page, 'The question that is kept')
  await page.getByRole('button', { name: 'Regenerate' }).click()
  await page.getByText('2 / 2').waitFor()
  await page.getByRole('button', { name: 'New chat', exact: true }).click()
  await sayAndWait(page, 'A later chat')
  await page.getByRole('button', { name: /^The question that is kept/ }).click()
  await reload(page)
  await page.getByText('2 / 2').waitFor()
  t.is(await title(page).innerText(), 'The question that is kept')
  t.deepEqual(await page.locator('.chats .title').allInnerTexts(), ['A later chat', 'The question that is kept'])
  t.is(await page.locator('.assistant .markdown').innerText(), 'Again.')
  t.regex(await page.locator('.chats').innerText(), /stored in this browser only/)
  await sayAndWait(page, 'And then?')
  t.deepEqual(asked.at(-1)?.messages.map((message) => (message as { content: string }).content), ['Be brief.', 'The question that is kept', 'Again.', 'And then?'])
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('an answer that is being written when the page goes keeps what came of it', async (t) => {
  const page = await openPlayground(stage, 8000)
  await say(page, 'A long story, please.')
  await page.locator('.assistant .markdown', { hasText: /(\S+\s+){20}/ }).waitFor()
  await reload(page)
  await page.getByText('Stopped before its end.').waitFor()
  t.true((await page.locator('.assistant .markdown').innerText()).length > 20)
  await page.close()
})

browserTest('a chat is renamed and deleted, all of them are deleted, and a reload brings none back', async (t) => {
  const { page } = await openScripted(stage, [textAnswer('Yes.')])
  for (const question of ['one', 'two', 'three']) {
    await page.getByRole('button', { name: 'New chat', exact: true }).click()
    await sayAndWait(page, question)
  }
  await page.getByRole('button', { name: 'Rename' }).click()
  await page.getByLabel('Name of the chat').fill('Mine')
  await page.keyboard.press('Enter')
  t.is(await title(page).innerText(), 'Mine')
  await page.getByRole('button', { name: /^two/ }).click()
  await page.getByRole('button', { name: 'Delete…', exact: true }).click()
  t.deepEqual(await violationsOf(page), [])
  await page.getByRole('button', { name: 'Keep' }).click()
  t.is(await chats(page).count(), 3)
  await page.getByRole('button', { name: 'Delete…', exact: true }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  await reload(page)
  await chats(page).nth(1).waitFor()
  t.deepEqual(await page.locator('.chats .title').allInnerTexts(), ['Mine', 'one'])
  await page.getByRole('button', { name: 'Delete all chats…' }).click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  await page.getByText('No messages yet').waitFor()
  await reload(page)
  await page.getByText('No messages yet').waitFor()
  t.deepEqual(await page.locator('.chats .title').allInnerTexts(), ['New chat'])
  await page.close()
})

const DAMAGE = `new Promise((done, failed) => {
  const opening = indexedDB.open('attentionstore.playground')
  opening.onerror = failed
  opening.onsuccess = () => {
    const change = opening.result.transaction('chats', 'readwrite')
    change.objectStore('chats').put({ id: 'x', version: 1, chat: { entries: 'none' } })
    change.oncomplete = () => done(opening.result.close())
  }
})`

browserTest('a damaged store costs the chat that is damaged, says so, and keeps the others', async (t) => {
  const { page, complaints } = await openScripted(stage, [textAnswer('Yes.')])
  await sayAndWait(page, 'The whole one')
  await page.evaluate(DAMAGE)
  await reload(page)
  await page.getByText('1 stored chat is damaged and cannot be shown.').waitFor()
  t.is(await title(page).innerText(), 'The whole one')
  await sayAndWait(page, 'It goes on.')
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('a browser that stores nothing says so, and chats all the same', async (t) => {
  const { page } = await openScripted(stage, [textAnswer('Yes.')])
  await page.addInitScript(`indexedDB.open = () => { throw new Error('nothing is stored here') }`)
  await reload(page)
  await page.getByText('This browser keeps no chats, they end with this page: nothing is stored here').waitFor()
  await sayAndWait(page, 'Still there?')
  t.is(await page.locator('.assistant .markdown').innerText(), 'Yes.')
  await page.close()
})
