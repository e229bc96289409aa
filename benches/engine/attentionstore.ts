// Our server without reuse, asked over HTTP: what a client sees, the server's own work included.

import { TestServer } from '../../test/support/server.js'
import { modelName } from '../../test/support/conversation.js'
import { timeAnswer } from '../support/server.js'
import type { Subject } from './subjects.js'

const ROUTE = '/v1/completions'

export async function startAttentionStore(modelPath: string, threads: number): Promise<Subject & { readonly server: TestServer }> {
  const args = ['--model', modelPath, '--threads', String(threads), '--no-reuse', '--hbm-bytes', '1GiB']
  const server = await TestServer.start({ args })
  const model = await modelName(server)
  const greedy = { model, temperature: 0, ignore_eos: true }
  return {
    name: 'AttentionStore',
    server,
    async prefill(tokens) {
      return (await timeAnswer(server, ROUTE, { ...greedy, prompt: [...tokens], max_tokens: 1 })).ttftMs
    },
    async decode(tokens, count) {
      const { restMs, usage } = await timeAnswer(server, ROUTE, { ...greedy, prompt: [...tokens], max_tokens: count })
      return restMs / (usage.completion_tokens - 1)
    },
    async close() {
      await server.stop()
    },
  }
}
