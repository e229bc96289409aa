// Several answers to one request on the native engine: the prompt is computed once, and each answer is the one that a
// request by itself gets, to the token.

import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, TurnRequest } from '../../ts/service/types.js'
import { askChoices, singles } from '../support/choices.js'
import { greedy } from '../support/sampling.js'
import { ask, chat } from '../support/simulated-service.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
/** Of the fixture: two layers of one head of 16, in bf16. */
const BLOCK_BYTES = 8 * 1024
const N = 4

async function serve(t: ExecutionContext, options: Partial<ServiceOptions> = {}): Promise<InferenceService> {
  const sizes = { hbmBytes: 128 * BLOCK_BYTES, dramBytes: 128 * BLOCK_BYTES, ssdBytes: 0 }
  const engine = await createNativeEngine({ modelPath: MODEL, device: 'cpu', kernelCacheDir: '', threads: 2, maxBatchTokens: 64, kvDtype: 'bf16', ...sizes })
  const service = createInferenceService(engine, { maxContext: 512, ...options })
  t.teardown(async () => {
    service.checkIntegrity()
    await service.close(0)
    await engine.close()
  })
  return service
}

/** Of 300 tokens, whatever their text is. Weights this small are sure of the next token: only heat makes answers differ. */
function request(rest: Partial<TurnRequest> = {}): TurnRequest {
  const tokens = Uint32Array.from({ length: 300 }, (_, i) => 10 + ((i * 37) % 200))
  const sampling = { ...greedy, temperature: 20, seed: 42n }
  return chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 24, sampling, ...rest })
}

test('four answers to a prompt of 300 tokens compute it once, and are those of four requests with the derived seeds', async (t) => {
  const service = await serve(t)
  const answers = await askChoices(service, request(), N)
  const { computedTokens } = service.counters()
  t.log(`${computedTokens} tokens computed`)
  t.true(computedTokens <= 1.5 * 300)
  t.is(new Set(answers.map(({ tokens }) => tokens.join())).size, N)
  const alone = await serve(t, { noReuse: true })
  for (const [choice, single] of singles(request(), N).entries()) {
    t.deepEqual(answers[choice]?.tokens, (await ask(alone, single)).tokens, `choice ${choice}`)
  }
})

test('with --no-reuse each answer computes the prompt, and they are the same', async (t) => {
  const [service, alone] = [await serve(t), await serve(t, { noReuse: true })]
  const tokensOf = async (of: InferenceService) => (await askChoices(of, request(), N)).map(({ tokens }) => tokens)
  t.deepEqual(await tokensOf(alone), await tokensOf(service))
  t.is(alone.counters().computedTokens, N * 300)
})

test('each answer is held to the constraint by itself', async (t) => {
  const service = await serve(t)
  const constraint = { kind: 'regex', pattern: '[ab]{3,8}' } as const
  const messages = [{ role: 'user', content: 'Letters, please.' }]
  const answers = await askChoices(service, { ...request({ constraint, ignoreEos: false }), prompt: { kind: 'chat', messages } }, N)
  for (const { text } of answers) t.regex(text, /^[ab]{3,8}$/)
  t.true(new Set(answers.map(({ text }) => text)).size > 1)
})
