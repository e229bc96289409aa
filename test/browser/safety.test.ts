// The attempts of pages from elsewhere on a server of this machine, as far as a browser lets them: another name for it, posts, sockets.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { browserTest, setStage } from './stage.js'
import { traffic } from './traffic.js'

/** Names of the attacker, who lets them lead to this machine: to his own page, or straight to the server. */
const ELSEWHERE = 'elsewhere.test'
const REBOUND = 'rebound.test'

let elsewhere: Server
const stage = setStage({
  browserArgs: [`--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1, MAP ${REBOUND} 127.0.0.1`],
  prepare: async ({ server }) => {
    elsewhere = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>Elsewhere</title><body>'))
    await new Promise<void>((listening) => elsewhere.listen(0, '127.0.0.1', listening))
    await traffic(server, { clients: 1, turns: 1 })
  },
  finish: async () => {
    elsewhere.close()
    elsewhere.closeAllConnections()
  },
})

async function openElsewhere(): Promise<Page> {
  const page = await stage.browser.newPage()
  await page.goto(`http://${ELSEWHERE}:${(elsewhere.address() as AddressInfo).port}/`)
  return page
}

/** Blocks that the server keeps. */
async function keptBlocks(): Promise<number> {
  const { tiers } = (await (await stage.server.get('/admin/cache')).json()) as { tiers: readonly { blocks: { total: number } }[] }
  return tiers.reduce((sum, { blocks }) => sum + blocks.total, 0)
}

const JSON_POST = `{ method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }`
const posting = (target: string, attempt: string) => `fetch(${JSON.stringify(target)}, ${attempt}).then(() => 'answered', () => 'refused')`

browserTest('a name that was rebound to this machine shows nothing of the server', async (t) => {
  const page = await stage.browser.newPage()
  const { port } = new URL(stage.server.url)
  for (const path of ['/', '/v1/models', '/admin/conversations', '/metrics']) {
    const response = await page.goto(`http://${REBOUND}:${port}${path}`)
    t.is(response?.status(), 421, path)
    t.notRegex((await response?.text()) ?? '', /client-0|simulated|<div id=/)
  }
  await page.close()
})

browserTest('posts of a page from elsewhere change nothing, whatever they look like', async (t) => {
  const kept = await keptBlocks()
  t.true(kept > 0)
  const target = `${stage.server.url}/admin/cache/reset`
  const page = await openElsewhere()
  const attempts = [`{ method: 'POST', mode: 'no-cors', body: '{}' }`, JSON_POST]
  for (const attempt of attempts) t.is(await page.evaluate<string>(posting(target, attempt)), 'refused', attempt)
  const form = page.waitForResponse(target)
  await page.evaluate(`document.body.innerHTML = '<form method=post action=${target}><input name=a></form>'; document.forms[0].submit()`)
  t.true([400, 403].includes((await form).status()))
  t.is(await keptBlocks(), kept)
  await page.close()
  // The same post of the server's own page is heard.
  const own = await stage.browser.newPage()
  await own.goto(stage.server.url)
  t.is(await own.evaluate<string>(posting(target, JSON_POST)), 'answered')
  t.is(await keptBlocks(), 0)
  await own.close()
})

browserTest('a socket opens for the server’s own page, and for none from elsewhere', async (t) => {
  const address = `${stage.server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
  const attempt = `new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(address)})
    socket.onopen = () => resolve('opened')
    socket.onerror = () => resolve('refused')
  })`
  const own = await stage.browser.newPage()
  await own.goto(stage.server.url)
  t.is(await own.evaluate<string>(attempt), 'opened')
  const foreign = await openElsewhere()
  t.is(await foreign.evaluate<string>(attempt), 'refused')
  await own.close()
  await foreign.close()
})
