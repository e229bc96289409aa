// An erasure after a restart reaches the blocks that the killed server wrote and could not record.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ask } from '../support/conversation.js'
import { ROOT } from '../support/paths.js'
import { TestServer } from '../support/server.js'

const ARGS = ['--device', 'cpu', '--model', join(ROOT, 'test/fixtures/models/llama/hf'), '--hbm-bytes', '8MiB', '--dram-bytes', '8MiB', '--ssd-bytes', '2MiB']

/** Bytes of the ssd tier that are not zero. */
function bytesOnDisk(home: string): number {
  const folder = join(home, 'data/attentionstore/ssd')
  const files = readdirSync(folder).filter(name => name.endsWith('.kv'))
  return files.reduce((sum, name) => sum + readFileSync(join(folder, name)).filter(byte => byte !== 0).length, 0)
}

for (const flushed of [0, 1]) {
  test(`after a kill with ${flushed === 0 ? 'nothing' : 'something'} flushed, an erasure leaves no byte of the conversation on the disk`, async t => {
    const server = await TestServer.start({ args: ARGS })
    const question = 'abcdefghijklmnopqrstuvwxyz'.repeat(16)
    await ask(server, [{ role: 'user', content: question }], { max_tokens: 100, ignore_eos: true })
    // Until a block was written; with a demotion, until it is durable too.
    if (flushed > 0) await server.post('/admin/cache/demote', { to: 'ssd' })
    while (bytesOnDisk(server.home) === 0) await server.get('/metrics')
    await server.kill()
    t.true(bytesOnDisk(server.home) > 0)
    const again = await TestServer.start({ args: ARGS, home: server.home })
    const { conversations } = (await (await again.get('/admin/conversations')).json()) as { conversations: { id: string }[] }
    t.is(conversations.length, 1)
    const reply = await fetch(`${again.url}/admin/conversations/${conversations[0]?.id}`, { method: 'DELETE', headers: { 'content-type': 'application/json' } })
    const receipt = (await reply.json()) as { blocks_erased: number; remains_overwritten: number }
    t.true(receipt.blocks_erased + receipt.remains_overwritten > 0)
    t.is(bytesOnDisk(server.home), 0)
    t.is(await again.stop(), 0)
  })
}
