// What `npm pack` makes: installs into an empty folder and serves, addon and page inside.

import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ask } from '../support/conversation.js'
import { ROOT, temporaryFolder } from '../support/paths.js'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const folder = temporaryFolder()
const launcher = join(folder, 'node_modules/attentionstore/bin/attentionstore.js')

/** A registry that does not answer fails the test instead of holding it. */
const NPM_MS = 300_000

function npm(args: readonly string[], cwd: string): void {
  execFileSync('npm', [...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: NPM_MS })
}

test.before('the tarball is installed into an empty folder', () => {
  npm(['pack', '-w', 'ts', '--pack-destination', folder], ROOT)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-timeout=60000', `./${tarball}`], folder)
})

test.serial('the installed package serves the page and the API without a model', async (t) => {
  const server = await TestServer.start({ launcher, args: ['--device', 'simulated'] })
  const page = await (await server.get('/')).text()
  t.regex(page, /<div id="app">/)
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(page)?.[1]
  t.is((await server.get(`/${script}`)).status, 200)
  const answer = await ask(server, [{ role: 'user', content: 'Hello' }], { max_tokens: 4, ignore_eos: true })
  t.is(answer.usage.completion_tokens, 4)
  t.is(await server.stop(), 0)
})

testNeeding('model')('the installed package runs the model with its own addon', async (t) => {
  const server = await TestServer.start({ launcher })
  const answer = await ask(server, [{ role: 'user', content: 'Say hello.' }], { temperature: 0, max_tokens: 8 })
  t.true(answer.text.length > 0)
  t.is(await server.stop(), 0)
})
