// Constrained answers on the native engine, through the service: what is asked for is what comes.

import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { Engine, TokenLogprob } from '../../ts/engine/types.js'
import type { ApiError } from '../../ts/protocol/errors.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { Constraint, InferenceService, TurnRequest } from '../../ts/service/types.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, type Answer } from '../support/simulated-service.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
/** Of the fixture: two layers of one head of 16, in bf16. */
const BLOCK_BYTES = 8 * 1024
const SEEDS = 100

const person: Constraint = {
  kind: 'json_schema',
  schema: {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 12 },
      age: { type: 'integer', minimum: 0, maximum: 150 },
      tags: { type: 'array', items: { enum: ['red', 'green'] }, maxItems: 2 },
    },
    required: ['name', 'age', 'tags'],
    additionalProperties: false,
  },
}

function isPerson(text: string): boolean {
  const { name, age, tags, ...more } = JSON.parse(text) as Record<string, unknown>
  const isTag = (tag: unknown): boolean => tag === 'red' || tag === 'green'
  return (
    typeof name === 'string' && [...name].length <= 12 && Number.isInteger(age) && (age as number) >= 0 && (age as number) <= 150 &&
    Array.isArray(tags) && tags.length <= 2 && tags.every(isTag) && Object.keys(more).length === 0
  )
}

interface Served {
  readonly engine: Engine
  readonly service: InferenceService
}

async function serve(t: ExecutionContext, hbmBlocks = 512, options: Partial<ServiceOptions> = {}): Promise<Served> {
  const sizes = { hbmBytes: hbmBlocks * BLOCK_BYTES, dramBytes: 512 * BLOCK_BYTES, ssdBytes: 0 }
  const engine = await createNativeEngine({ modelPath: MODEL, device: 'cpu', kernelCacheDir: '', threads: 2, maxBatchTokens: 32, kvDtype: 'bf16', ...sizes })
  const service = createInferenceService(engine, { maxContext: 512, ...options })
  t.teardown(async () => {
    service.checkIntegrity()
    await service.close(0)
    await engine.close()
  })
  return { engine, service }
}

const request = (seed: number, constraint: Constraint | null, rest: Partial<TurnRequest> = {}): TurnRequest =>
  chat([{ role: 'user', content: `Tell me of a person, ${seed}. ${'Please. '.repeat(seed % 7)}` }], {
    sampling: { ...greedy, temperature: 1.5, seed: BigInt(seed) },
    maxTokens: 350,
    ...(constraint === null ? {} : { constraint }),
    ...rest,
  })

/** Of white space: a model this small writes little else between the tokens of JSON. */
const SPARING = -100

async function spaceBias(engine: Engine): Promise<Array<readonly [number, number]>> {
  const bias: Array<readonly [number, number]> = []
  for (let token = 0; token < engine.info.vocabSize; token++) {
    const text = Buffer.from(engine.text.tokenBytes(token)).toString()
    if (text !== '' && text.trim() === '') bias.push([token, SPARING])
  }
  return bias
}

/** Answers to as many seeds, some at a time. */
async function answersTo({ engine, service }: Served, constraint: Constraint): Promise<Answer[]> {
  const logitBias = await spaceBias(engine)
  const answers: Answer[] = []
  for (let seed = 0; seed < SEEDS; seed += 10) {
    const some = Array.from({ length: 10 }, (_, i) => ask(service, request(seed + i, constraint, { sampling: { ...greedy, temperature: 1.5, seed: BigInt(seed + i), logitBias } })))
    answers.push(...(await Promise.all(some)))
  }
  return answers
}

const forms: ReadonlyArray<readonly [name: string, constraint: Constraint, isRight: (text: string) => boolean]> = [
  ['a schema', person, isPerson],
  ['a pattern', { kind: 'regex', pattern: '^[A-Z][a-z]{2,8}-\\d{3}$' }, text => /^[A-Z][a-z]{2,8}-\d{3}$/.test(text)],
  ['a choice', { kind: 'choice', choices: ['yes', 'no', 'no way', 'é\n"q"'] }, text => ['yes', 'no', 'no way', 'é\n"q"'].includes(text)],
  ['a Lark grammar', { kind: 'grammar', grammar: 'start: sum\nsum: NUMBER ("+" NUMBER){1,3}\nNUMBER: /[1-9][0-9]{0,2}/' }, text => /^[1-9]\d{0,2}(\+[1-9]\d{0,2}){1,3}$/.test(text)],
  ['a GBNF grammar', { kind: 'grammar', grammar: 'root ::= "(" pair{0,2} ")"\npair ::= "<" ("a" | pair | [0-9]{2}) ">"' }, text => /^\((<+(a|\d\d)>+){0,2}\)$/.test(text)],
]

for (const [name, constraint, isRight] of forms) {
  test(`at temperature 1.5 every answer to ${name} is one, whatever the seed`, async t => {
    const served = await serve(t)
    const { engine } = served
    let ended = 0
    for (const [seed, { text, finish }] of (await answersTo(served, constraint)).entries()) {
      if (finish === 'length') continue
      ended++
      t.is(finish, 'stop', `seed ${seed}: ${text}`)
      t.true(isRight(text), `seed ${seed}: ${text}`)
    }
    t.true(ended >= SEEDS / 2, `${ended} answers are complete`)
    const { grammarsCompiled, grammarsCached, masks } = engine.stats()
    t.is(grammarsCompiled + grammarsCached, SEEDS)
    // Some of those that come together may be compiled beside each other.
    t.true(grammarsCompiled <= 5)
    t.true(masks >= SEEDS)
  })
}

test('what an answer says is the same alone, beside others, and after it was preempted', async t => {
  const alone = await serve(t)
  const seeds = [0, 1, 2, 3, 4, 5]
  const expected: Answer[] = []
  for (const seed of seeds) expected.push(await ask(alone.service, request(seed, seed % 3 === 2 ? null : person, { ignoreEos: seed % 3 === 2 })))
  // Room for two answers or three; the others wait, or go back to the queue.
  const crowded = await serve(t, 10)
  const given = await Promise.all(seeds.map(seed => ask(crowded.service, request(seed, seed % 3 === 2 ? null : person, { ignoreEos: seed % 3 === 2 }))))
  t.deepEqual(given.map(({ text }) => text), expected.map(({ text }) => text))
  t.true(crowded.service.counters().preemptions > 0)
})

test('log probabilities are of the raw logits: a constraint changes what is chosen, not what it is worth', async t => {
  const { service } = await serve(t)
  const first = async (constraint: Constraint | null): Promise<TokenLogprob> => {
    const asked = request(1, constraint, { sampling: { ...greedy, logprobs: 20 }, maxTokens: 1, ignoreEos: constraint === null })
    for await (const event of await service.start(asked)) {
      if (event.type === 'delta' && event.logprobs[0]) return event.logprobs[0]
    }
    throw new Error('no token came')
  }
  const [free, held] = [await first(null), await first({ kind: 'choice', choices: ['~~'] })]
  t.deepEqual(held.top, free.top)
  t.not(held.token, free.token)
  t.true(held.logprob < free.logprob)
})

test('a source that is at fault is refused with its reason and its limit', async t => {
  const { service } = await serve(t)
  for (const [constraint, param, part] of [
    [{ kind: 'json_schema', schema: { type: 'object', not: {} } }, 'response_format', 'uses not at #'],
    [{ kind: 'json_schema', schema: { type: 'array', maxItems: 1e9 } }, 'response_format', 'the limit is 4096'],
    [{ kind: 'regex', pattern: '(' }, 'structured_outputs.regex', 'The regular expression cannot be used'],
    [{ kind: 'grammar', grammar: 'root ::= nothing' }, 'structured_outputs.grammar', 'nothing is not defined'],
  ] as const) {
    const error = await t.throwsAsync<ApiError>(service.start(request(0, constraint)))
    t.is(error.code, 'invalid_value')
    t.is(error.param, param)
    t.true(error.message.startsWith(`${param}: `) && error.message.includes(part), error.message)
  }
  t.is((await ask(service, request(0, { kind: 'choice', choices: ['ok'] }))).text, 'ok')
})
