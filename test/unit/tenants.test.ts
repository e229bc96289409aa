// Two tenants on one server: nothing that one sees depends on the other.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { appendKey } from '../../ts/auth/key-file.js'
import { keyHash, newKey } from '../../ts/auth/keyring.js'
import { startServer } from '../../ts/index.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'
import type { ChatResponse, ConversationPage, EraseReceipt, Usage } from '../../ts/protocol/index.js'

const WORDS = 'a secret plan, marked xyzzy, that both of them have. '.repeat(20)

async function locked(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-tenants-'))
  const [apiKeys, adminKeyFile] = [join(folder, 'keys.jsonl'), join(folder, 'admin.jsonl')]
  const add = (path: string, tenant: string): string => {
    const key = newKey()
    appendKey(path, { id: tenant, name: tenant, tenant, sha256: keyHash(key).toString('hex'), created: '2026-03-01T00:00:00Z' })
    return key
  }
  const keys = { acme: add(apiKeys, 'acme'), rival: add(apiKeys, 'rival'), ops: add(adminKeyFile, 'ops') }
  const sizes = { hbmBytes: '64MiB', dramBytes: '128MiB', ssdBytes: '256MiB' }
  const dataDir = join(folder, 'data')
  const server = await startServer({ device: 'simulated', port: 0, ...sizes, dataDir, logLevel: 'silent', apiKeys, adminKeyFile })
  t.teardown(async () => {
    await server.close(0)
    rmSync(folder, { recursive: true, force: true })
  })
  const send = (who: keyof typeof keys, method: string, path: string, body?: unknown) =>
    fetch(server.url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keys[who]}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const ask = async (who: keyof typeof keys, conversation: string, messages: readonly unknown[]) => {
    const response = await send(who, 'POST', '/v1/chat/completions', { messages, conversation, max_tokens: 12, temperature: 0, ignore_eos: true })
    const { choices, usage } = (await response.json()) as ChatResponse
    return { text: choices[0]?.message.content ?? '', usage }
  }
  const list = async (query = ''): Promise<ConversationPage> => (await send('ops', 'GET', `/admin/conversations${query}`)).json() as Promise<ConversationPage>
  return { server, dataDir, send, ask, list }
}

const question = [{ role: 'user', content: WORDS }]
const reused = ({ attentionstore: { reused_tokens: tokens } }: Usage) => tokens.hbm + tokens.dram + tokens.ssd

test('the same words of another tenant are computed as words that were never sent, and no tier shares a block', async (t) => {
  const { server, ask, list } = await locked(t)
  const first = await ask('acme', 'plan', question)
  const alone = (await list()).conversations[0]?.tiers
  const second = await ask('rival', 'plan', question)
  t.is(second.text, first.text)
  t.is(second.usage.attentionstore.computed_tokens, first.usage.attentionstore.computed_tokens)
  t.deepEqual(second.usage.attentionstore.miss, first.usage.attentionstore.miss)
  t.is(reused(second.usage), 0)
  t.deepEqual((await list()).conversations.map(({ tenant, id, tiers }) => ({ tenant, id, tiers })), [
    { tenant: 'rival', id: 'plan', tiers: alone },
    { tenant: 'acme', id: 'plan', tiers: alone },
  ] as unknown[])
  const own = await ask('acme', 'plan', question)
  t.true(reused(own.usage) > 0)
  await server.service.demote('ssd')
  for (const { name, blocks } of server.service.cacheStatus().tiers) t.is(blocks.total, name === 'ssd' ? 2 * (alone?.hbm.blocks ?? 0) : 0, name)
})

test('a tenant cannot tell another’s conversation from one that never was', async (t) => {
  const { ask, list } = await locked(t)
  const answer = await ask('acme', 'plan', question)
  const history = [...question, { role: 'assistant', content: answer.text }, { role: 'user', content: 'and then?' }]
  const known = await ask('rival', 'plan', history)
  const unknown = await ask('rival', 'never-was', history)
  t.is(known.usage.attentionstore.conversation, 'plan')
  t.is(reused(known.usage), 0)
  // The second one is the rival's own repetition.
  t.true(reused(unknown.usage) > 0)
  const rows = (await list('?q=plan')).conversations
  t.deepEqual(rows.map(({ tenant, turns, forked_from: from }) => [tenant, turns, from]), [
    ['rival', 1, null],
    ['acme', 1, null],
  ])
})

test('an operator acts on one tenant’s conversation, and the other’s stays', async (t) => {
  const { server, send, ask, list } = await locked(t)
  for (const who of ['acme', 'rival'] as const) await ask(who, 'plan', question)
  t.is((await list('?tenant=acme')).total, 1)
  t.is((await list('?tenant=nobody')).total, 0)
  t.is((await send('ops', 'DELETE', '/admin/conversations/plan')).status, 400)
  t.is((await send('ops', 'DELETE', '/admin/conversations/plan?tenant=nobody')).status, 404)
  t.is((await send('acme', 'DELETE', '/admin/conversations/plan?tenant=rival')).status, 403)
  const receipt = (await (await send('ops', 'DELETE', '/admin/conversations/plan?tenant=rival')).json()) as EraseReceipt
  t.like(receipt, { conversation: 'plan', tenant: 'rival', kept_shared: [], records_erased: 1 })
  t.true(receipt.blocks_erased > 0)
  t.deepEqual((await list()).conversations.map(({ tenant }) => tenant), ['acme'])
  t.true(reused((await ask('acme', 'plan', question)).usage) > 0)
  t.is(reused((await ask('rival', 'plan', question)).usage), 0)
  server.service.checkIntegrity()
})

test('no word of a conversation is in the store, the metrics or what an operator sees', async (t) => {
  const { server, dataDir, send, ask } = await locked(t)
  const answer = await ask('acme', 'plan', question)
  await ask('acme', 'plan', [...question, { role: 'assistant', content: answer.text }, { role: 'user', content: 'xyzzy?' }])
  for (const path of ['/metrics', '/admin/cache', '/admin/conversations']) t.false((await (await send('ops', 'GET', path)).text()).includes('xyzzy'), path)
  await server.close(0)
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  t.true(files.length > 2)
  for (const { parentPath, name } of files) t.false(readFileSync(join(parentPath, name)).includes('xyzzy'), name)
})

test('the hit rates of other capacities count the words of another tenant as never seen', async (t) => {
  const { server, ask } = await locked(t)
  const rates = (): number[] => server.service.whatIf().tiers.flatMap(({ points, modelledHitRate }) => [modelledHitRate, ...points.map(({ hitRate }) => hitRate)])
  await ask('acme', 'plan', question)
  await ask('rival', 'plan', question)
  t.deepEqual([...new Set(rates())], [0])
  await ask('rival', 'plan', question)
  t.true(Math.max(...rates()) > 0)
})

test('no metric names a tenant, and none of its labels depends on who asks', async (t) => {
  const { send, ask } = await locked(t)
  const labels = async (): Promise<string[]> => {
    const text = await (await send('ops', 'GET', '/metrics')).text()
    // A lane has a limit as soon as enough was measured on it.
    return text.split('\n').filter((line) => !line.startsWith('#') && !line.includes('_limit_')).map((line) => line.slice(0, line.lastIndexOf(' '))).toSorted()
  }
  await ask('acme', 'plan', question)
  const before = await labels()
  await ask('rival', 'other', question)
  t.deepEqual(await labels(), before)
  t.false(before.some((name) => /acme|rival|plan/.test(name)))
})

test('the time to the first token of a prompt that another tenant has cached is that of a new prompt', async (t) => {
  const firstTokenAfter = async (others: string, tenant: string): Promise<number> => {
    const { service, close } = simulatedService()
    const asked = (content: string, who: string) => ask(service, chat([{ role: 'user', content }], { tenant: who, maxTokens: 8, ignoreEos: true }))
    await asked(others, 'acme')
    const { usage } = await asked(WORDS, tenant)
    await close()
    return usage.ttftMs
  }
  const unseen = WORDS.replaceAll('secret plan', 'public list')
  t.is(await firstTokenAfter(WORDS, 'rival'), await firstTokenAfter(unseen, 'rival'))
  // The same measure finds a hit of the tenant's own.
  t.true((await firstTokenAfter(WORDS, 'acme')) < 0.9 * (await firstTokenAfter(unseen, 'acme')))
})
