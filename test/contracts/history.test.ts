// On the real engine it makes no difference to a single bit whether history is read from disk, computed again, or both.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { TokenLogprob } from '../../ts/engine/types.js'
import type { HistoryChoice } from '../../ts/scheduler/costs/load-or-recompute.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, TurnMessage, TurnUsage } from '../../ts/service/types.js'
import { greedy } from '../support/sampling.js'
import { chat } from '../support/simulated-service.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
const SLOT_BYTES = 64 * 1024
/** A block takes some milliseconds to read, and as many to compute in steps of 16 rows: front and back meet somewhere. */
const READ_LIMIT = 2_000_000

interface Answer {
  readonly text: string
  readonly logprobs: readonly TokenLogprob[]
  readonly usage: TurnUsage
}

async function answer(service: InferenceService, messages: readonly TurnMessage[]): Promise<Answer> {
  const sampling = { ...greedy, logprobs: 5 }
  const logprobs: TokenLogprob[] = []
  let text = ''
  for await (const event of await service.start(chat(messages, { sampling, ignoreEos: true, maxTokens: 12 }))) {
    if (event.type === 'done') return { text, logprobs, usage: event.usage }
    if (event.type !== 'delta') continue
    text += event.text
    logprobs.push(...event.logprobs)
  }
  throw new Error('the turn ended without an answer')
}

/** A conversation of some hundred tokens comes back from disk. */
async function comeBack(history: HistoryChoice): Promise<{ answer: Answer; choices: Readonly<Record<HistoryChoice, number>> }> {
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-history-'))
  const sizes = { hbmBytes: 60 * SLOT_BYTES, dramBytes: 60 * SLOT_BYTES, ssdBytes: 120 * SLOT_BYTES, ssdDir: join(folder, 'ssd') }
  const engine = await createNativeEngine({ modelPath: MODEL, device: 'cpu', kernelCacheDir: join(folder, 'kernels'), threads: 2, maxBatchTokens: 32, dataDir: folder, kvDtype: 'bf16', ssdReadLimit: READ_LIMIT, ...sizes })
  const service = createInferenceService(engine, { history, maxContext: 512 })
  const messages: TurnMessage[] = [{ role: 'user', content: 'The harbour was quiet when the first boats came in. '.repeat(8) }]
  messages.push({ role: 'assistant', content: (await answer(service, messages)).text })
  messages.push({ role: 'user', content: 'And then?' })
  await service.demote('ssd')
  const last = await answer(service, messages)
  const { historyChoices } = service.counters()
  service.checkIntegrity()
  await service.close(0)
  await engine.close()
  await rm(folder, { recursive: true, force: true })
  return { answer: last, choices: historyChoices }
}

test('read, computed again, or computed from the front while the back is read: the same text and the same log probabilities', async t => {
  const [load, recompute, split] = [await comeBack('load'), await comeBack('recompute'), await comeBack('split')]
  for (const { answer: { text, logprobs, usage } } of [recompute, split]) {
    t.is(text, load.answer.text)
    t.deepEqual(logprobs, load.answer.logprobs)
    t.is(usage.reusedTokens.ssd + usage.computedTokens, usage.promptTokens)
  }
  t.true(load.answer.usage.reusedTokens.ssd >= load.answer.usage.promptTokens - 64)
  t.is(recompute.answer.usage.reusedTokens.ssd, 0)
  t.is(split.choices.split, 1)
  t.log(`split: ${split.answer.usage.reusedTokens.ssd} of ${split.answer.usage.promptTokens} tokens read`)
})
