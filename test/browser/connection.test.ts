import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT, temporaryFolder } from '../support/paths.js'
import { TestServer } from '../support/server.js'
import { violationsOf } from './axe.js'
import { openLive } from './page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage({ hasServer: false })

/** A file with one admin key, made as an operator would. */
function newAdminKey(): { readonly file: string; readonly key: string } {
  const file = join(temporaryFolder(), 'admin.jsonl')
  const args = [join(ROOT, 'ts/bin/attentionstore.js'), 'keys', 'add', '--name', 'tester', '--tenant', 'ops', '--file', file]
  const printed = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const key = /^\S{32,}$/m.exec(printed)?.[0]
  if (key === undefined) throw new Error(`no key in ${printed}`)
  return { file, key }
}

browserTest('a killed server brings the overlay over the last numbers, and one that comes back takes it away', async (t) => {
  const victim = await TestServer.start({ args: ['--device', 'simulated'] })
  const { page } = await openLive(stage.browser, victim.url)
  await victim.kill()
  const overlay = page.getByRole('alert')
  await overlay.waitFor()
  t.regex(await overlay.innerText(), /connection to the server is lost/)
  t.is(await page.locator('[data-tier]').count(), 3)
  t.is(await page.locator('main').getAttribute('inert'), '')
  t.is(await page.locator(':focus').innerText(), 'Try again now')
  t.deepEqual(await violationsOf(page), [])
  const port = new URL(victim.url).port
  const heir = await TestServer.start({ args: ['--device', 'simulated', '--port', port], home: victim.home })
  await page.getByRole('button', { name: 'Try again now' }).click()
  await page.locator('[data-status=live]').waitFor()
  await overlay.waitFor({ state: 'detached' })
  t.is(await page.locator('main').getAttribute('inert'), null)
  await heir.kill()
  await overlay.waitFor()
  // No button is pressed: the page continues by itself.
  const next = await TestServer.start({ args: ['--device', 'simulated', '--port', port], home: victim.home })
  await overlay.waitFor({ state: 'detached' })
  await page.locator('[data-status=live]').waitFor()
  await page.close()
  await next.stop()
})

browserTest('a server that asks for a key shows the login, and the key opens every page', async (t) => {
  const { file, key } = newAdminKey()
  const server = await TestServer.start({ args: ['--device', 'simulated', '--admin-key-file', file] })
  const page = await stage.browser.newPage()
  await page.goto(`${server.url}/#/requests`)
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  t.is(await page.locator('nav').count(), 0)
  t.deepEqual(await violationsOf(page), [])
  await page.getByLabel('Admin key').fill('not-the-key')
  await page.keyboard.press('Enter')
  await page.locator('.failure:not(:empty)').waitFor()
  await page.getByLabel('Admin key').fill(key)
  await page.keyboard.press('Enter')
  await page.locator('[data-status=live]').waitFor()
  await page.getByRole('heading', { level: 1, name: 'Requests' }).waitFor()
  t.is(await page.evaluate<string>('document.cookie'), '')
  await page.reload()
  await page.locator('[data-status=live]').waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  await page.close()
  await server.stop()
})
