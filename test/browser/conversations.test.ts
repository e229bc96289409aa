import type { Page } from 'playwright-core'
import type { ConversationPage } from '../../ts/protocol/index.js'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'
import { traffic } from './traffic.js'

const stage = setStage({ prepare: ({ server }) => traffic(server, { clients: 3, turns: 2 }) })

async function openConversation(id: string): Promise<Page> {
  const { page } = await openLive(stage.browser, stage.server.url, { path: '/conversations' })
  await page.getByRole('button', { name: id, exact: true }).click()
  await page.getByRole('heading', { level: 2, name: id, exact: true }).waitFor()
  return page
}

/** The row of a conversation, as the server itself has it. */
async function told(id: string) {
  const { conversations } = (await (await stage.server.get(`/admin/conversations?q=${id}`)).json()) as ConversationPage
  return conversations.find((row) => row.id === id)
}

const notice = (page: Page) => page.locator('.notice')

browserTest('a search shows the conversations whose id contains it, and says so where there is none', async (t) => {
  const { page } = await openLive(stage.browser, stage.server.url, { path: '/conversations' })
  await page.getByText('3 conversations').waitFor()
  await page.getByLabel('Search by id').fill('client-1')
  await page.getByText('1 conversation', { exact: true }).waitFor()
  t.deepEqual(await page.locator('.conversation .open').allInnerTexts(), ['client-1'])
  await page.getByLabel('Search by id').fill('nobody')
  await page.getByText('No conversation has this in its id').waitFor()
  await page.close()
})

browserTest('demoting moves a conversation’s blocks down, warming brings them up again', async (t) => {
  const page = await openConversation('client-0')
  const warm = await told('client-0')
  await page.getByRole('button', { name: 'Demote to ssd' }).click()
  await notice(page).filter({ hasText: /moved down to ssd/ }).waitFor()
  const cold = await told('client-0')
  // The blocks of the shared beginning stay: other conversations use them.
  t.true((cold?.tiers.hbm.blocks ?? 0) < (warm?.tiers.hbm.blocks ?? 0))
  t.true((cold?.tiers.ssd.blocks ?? 0) > 0)
  t.regex((await page.locator('.panel .strip').getAttribute('aria-label')) ?? '', /in ssd/)
  await page.getByRole('button', { name: 'Warm: bring up' }).click()
  await notice(page).filter({ hasText: /read from ssd/ }).waitFor()
  t.true(((await told('client-0'))?.tiers.hbm.blocks ?? 0) > (cold?.tiers.hbm.blocks ?? 0))
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('a fork is a conversation of its own that shares every block', async (t) => {
  const page = await openConversation('client-1')
  await page.getByRole('button', { name: 'Fork', exact: true }).click()
  await notice(page).filter({ hasText: /^Forked as/ }).waitFor()
  await page.getByText('4 conversations').waitFor()
  const { conversations } = (await (await stage.server.get('/admin/conversations')).json()) as ConversationPage
  t.true(conversations.some((row) => row.forked_from === 'client-1'))
  await page.close()
})

browserTest('erasing asks first, leaves all as it is when refused, and shows a receipt when done', async (t) => {
  const page = await openConversation('client-2')
  await page.getByRole('button', { name: 'Erase…' }).click()
  const dialog = page.getByRole('alertdialog')
  t.regex(await dialog.innerText(), /client-2/)
  t.deepEqual(await violationsOf(page), [])
  await dialog.getByRole('button', { name: 'Keep it' }).click()
  await dialog.waitFor({ state: 'detached' })
  t.not(await told('client-2'), undefined)
  await page.getByRole('button', { name: 'Erase…' }).click()
  await dialog.getByRole('button', { name: 'Erase', exact: true }).click()
  await notice(page).filter({ hasText: /^Receipt. client-2 is erased.*blocks? erased/s }).waitFor()
  t.is(await told('client-2'), undefined)
  t.is(await page.getByRole('button', { name: 'client-2', exact: true }).count(), 0)
  await page.close()
})
