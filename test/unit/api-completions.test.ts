import test from 'ava'
import { systemFingerprint } from '../../ts/surfaces/system-fingerprint.js'
import { openTestApi } from './support/api.js'
import { delta, done, usage } from './support/fake-service.js'

test('a prompt may be a text, texts, tokens, or lists of tokens', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const promptsOf = async (prompt: unknown) => {
    const before = api.service.turns.length
    await api.post('/v1/completions', { prompt })
    return api.service.turns.slice(before).map(({ request }) => request.prompt)
  }
  t.deepEqual(await promptsOf('Once'), [{ kind: 'text', text: 'Once' }])
  t.deepEqual(await promptsOf(['a', 'b']), [
    { kind: 'text', text: 'a' },
    { kind: 'text', text: 'b' },
  ])
  t.deepEqual(await promptsOf([1, 2]), [{ kind: 'tokens', tokens: Uint32Array.of(1, 2) }])
  t.deepEqual(await promptsOf([[1], [2, 3]]), [
    { kind: 'tokens', tokens: Uint32Array.of(1) },
    { kind: 'tokens', tokens: Uint32Array.of(2, 3) },
  ])
})

test('several prompts make several choices and one usage', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = ({ prompt }) => {
    const text = prompt.kind === 'text' ? prompt.text : ''
    return [delta(`${text}!`), done({ finish: 'length', usage: usage({ promptTokens: 10, queueMs: text === 'b' ? 9 : 1 }) })]
  }
  const answer = await api.client.completions.create({ model: 'fake-model', prompt: ['a', 'b'] })
  t.is(answer.object, 'text_completion')
  t.deepEqual(
    answer.choices.map(({ index, text, finish_reason }) => ({ index, text, finish_reason })),
    [
      { index: 0, text: 'a!', finish_reason: 'length' },
      { index: 1, text: 'b!', finish_reason: 'length' },
    ],
  )
  t.is(answer.usage?.prompt_tokens, 20)
  t.like(answer.usage, { attentionstore: { queue_ms: 9, reused_tokens: { hbm: 128, dram: 32, ssd: 16 } } })
})

test('several prompts stream together, each under its index', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => []
  const response = api.client.completions.create({ model: 'fake-model', prompt: ['a', 'b'], stream: true, stream_options: { include_usage: true } })
  await api.service.nextTurn()
  const stream = await response
  const [first, second] = api.service.turns
  second?.push(delta('second'))
  const seen: string[] = []
  for await (const { choices, usage } of stream) {
    const choice = choices[0]
    seen.push(choice ? `${choice.index} ${choice.text} ${choice.finish_reason}` : `usage ${usage?.completion_tokens}`)
    if (choice?.text === 'second') second?.push(done({ finish: 'length' }))
    if (choice?.finish_reason === 'length') first?.push(delta('first'))
    if (choice?.text === 'first') first?.push(done())
  }
  t.deepEqual(seen, ['1 second null', '1  length', '0 first null', '0  stop', 'usage 10'])
})

test('if one of several prompts is refused, the others are cancelled', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const { ApiError } = await import('../../ts/protocol/errors.js')
  api.service.answer = ({ prompt }) =>
    prompt.kind === 'text' && prompt.text === 'long' ? new ApiError('context_length_exceeded', 'too long', 'prompt') : []
  const response = await api.post('/v1/completions', { prompt: ['short', 'long'] })
  t.is(response.status, 400)
  t.deepEqual(
    api.service.turns.map(({ isCancelled }) => isCancelled),
    [true],
  )
})

test('log probabilities come in the format of completions, with offsets into the text', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const token = (id: number, logprob: number) => ({ token: id, logprob, top: [[id, logprob]] as const })
  api.service.answer = () => [
    delta('ab', { logprobs: [token(97, -1), token(98, -2)] }),
    delta('c', { logprobs: [token(99, -3)] }),
    done(),
  ]
  const expected = {
    tokens: ['a', 'b', 'c'],
    token_logprobs: [-1, -2, -3],
    top_logprobs: [{ a: -1 }, { b: -2 }, { c: -3 }],
    text_offset: [0, 1, 2],
  }
  const whole = await api.client.completions.create({ model: 'fake-model', prompt: 'x', logprobs: 1 })
  t.deepEqual(whole.choices[0]?.logprobs as unknown, expected)
  const offsets: number[] = []
  const stream = await api.client.completions.create({ model: 'fake-model', prompt: 'x', logprobs: 1, stream: true })
  for await (const { choices } of stream) offsets.push(...(choices[0]?.logprobs?.text_offset ?? []))
  t.deepEqual(offsets, expected.text_offset)
})

test('completions without max_tokens are short', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  await api.post('/v1/completions', { prompt: 'x' })
  t.is(api.service.lastRequest.maxTokens, 16)
})

test('the system fingerprint is that of model, text and version, in chats, completions and streams', async (t) => {
  const fingerprintOf = async (engine: { fingerprint?: string; textFingerprint?: string }) => {
    const api = await openTestApi({}, engine)
    t.teardown(() => api.close())
    const messages = [{ role: 'user', content: 'Hi' }]
    const bodies = [
      await (await api.post('/v1/completions', { prompt: 'x' })).text(),
      await (await api.post('/v1/completions', { prompt: 'x', stream: true })).text(),
      await (await api.post('/v1/chat/completions', { messages })).text(),
      await (await api.post('/v1/chat/completions', { messages, stream: true })).text(),
    ]
    const told = bodies.map((body) => new Set([...body.matchAll(/"system_fingerprint":"(fp_[0-9a-f]{12})"/g)].map(([, fingerprint]) => fingerprint)))
    t.deepEqual(told.map(({ size }) => size), [1, 1, 1, 1])
    return [...new Set(told.flatMap((one) => [...one]))].join()
  }
  const first = await fingerprintOf({})
  t.is(first.length, 15, 'one fingerprint in all bodies')
  t.is(await fingerprintOf({}), first)
  t.not(await fingerprintOf({ fingerprint: '01' }), first)
  t.not(await fingerprintOf({ textFingerprint: '01' }), first)
  t.is(systemFingerprint({ fingerprint: '00', textFingerprint: '00' }, '0.0.0'), first)
  t.not(systemFingerprint({ fingerprint: '00', textFingerprint: '00' }, '0.0.1'), first)
})
