// --random-weights: a server without model files, and shapes that it refuses.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { demoteAll } from '../support/cache.js'
import { comparisonOf } from '../support/comparison.js'
import { Conversation, modelName, reuseBound, reusedFrom } from '../support/conversation.js'
import { ON_GPU, serverEnvironment } from '../support/device.js'
import { ROOT, temporaryFolder } from '../support/paths.js'
import { TestServer } from '../support/server.js'

const TIERS = ['--hbm-bytes', '32MiB', '--dram-bytes', '32MiB', '--ssd-bytes', '64MiB', '--threads', '2']
const SHAPE = {
  model_type: 'llama',
  vocab_size: 512,
  hidden_size: 256,
  intermediate_size: 384,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 2048,
}
const SCRIPT = {
  system: 'You are a random model.',
  questions: ['What is seven times six?', 'And the half of it? <|end|>'],
}
const GREEDY = { temperature: 0, max_tokens: 40 }

/** A directory with nothing but a config.json. */
function shapeDirectory(changes: Readonly<Record<string, number>> = {}): string {
  const directory = join(temporaryFolder(), 'shape')
  mkdirSync(directory)
  writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...SHAPE, ...changes }))
  return directory
}

async function play(server: TestServer): Promise<Conversation> {
  const conversation = new Conversation(SCRIPT)
  for (const _ of SCRIPT.questions) {
    await conversation.next(server, GREEDY)
    await demoteAll(server, 'dram')
  }
  return conversation
}

function refusal(shape: string): string {
  const home = temporaryFolder()
  const args = [join(ROOT, 'ts/bin/attentionstore.js'), 'serve', '--port', '0', '--data-dir', join(home, 'data'), ...TIERS]
  const { status, stderr, stdout } = spawnSync(process.execPath, [...args, '--random-weights', shape], { cwd: home, env: serverEnvironment(), encoding: 'utf8' })
  return `exit ${status}: ${stdout}${stderr}`
}

test('a conversation with random weights reuses its history, and another server gives the same answers', async (t) => {
  const directory = shapeDirectory()
  const played: Conversation[] = []
  for (const extra of [[], ['--no-reuse']]) {
    const tiers = extra.length === 0 ? TIERS : ['--hbm-bytes', '32MiB', '--threads', '1']
    const server = await TestServer.start({ args: ['--random-weights', directory, ...tiers, ...extra] })
    t.is(await modelName(server), 'random-shape')
    if (extra.length === 0) played.push(await play(server))
    else {
      const conversation = new Conversation(SCRIPT)
      for (const _ of SCRIPT.questions) await conversation.next(server, GREEDY)
      played.push(conversation)
    }
    t.is(await server.stop(), 0)
  }
  const [reusing, computing] = played.map(({ answers }) => answers)
  const [first, second] = reusing ?? []
  if (!first || !second || !reusing || !computing) return t.fail('two answers were asked for')
  t.is(first.finish, 'length')
  t.is(first.usage.completion_tokens, GREEDY.max_tokens)
  t.true(reusedFrom(second, 'dram') >= reuseBound(first), JSON.stringify(second.usage))
  t.deepEqual(await comparisonOf({ randomWeights: directory }, { everyToken: true })([reusing], [computing]), [])
})

test('the shape of the default model answers', async (t) => {
  const server = await TestServer.start({ args: ['--random-weights', 'smollm2-135m', '--no-reuse', '--hbm-bytes', '32MiB'] })
  t.is(await modelName(server), 'random-smollm2-135m')
  const answer = await new Conversation(SCRIPT).next(server, { temperature: 0, max_tokens: 4 })
  t.is(answer.usage.completion_tokens, 4)
  t.true(answer.text.length > 0)
  t.is(await server.stop(), 0)
})

/** Heads that the kernels of a GPU have too, and weights for which no memory is large enough. */
const VAST = {
  hidden_size: 65_536,
  intermediate_size: 262_144,
  num_hidden_layers: 4096,
  num_attention_heads: 512,
  num_key_value_heads: 64,
}
/** A GPU is asked first. */
const NO_ROOM = ON_GPU
  ? /memory of the card: the model does not fit: [1-9]\d* MiB free, [1-9]\d{6,} MiB for weights/
  : /--random-weights: random-shape has \d+\.\d+ GiB of weights in bf16.* \d+\.\d+ GiB of memory are available/

test('a shape for which no machine has memory is refused with numbers', (t) => {
  const output = refusal(shapeDirectory(VAST))
  t.true(output.startsWith('exit 2: '), output)
  t.regex(output, NO_ROOM)
})

test('a shape that is not known is refused with those that are', (t) => {
  const output = refusal('mistral-8b')
  t.true(output.startsWith('exit 2: '), output)
  for (const name of ['mistral-7b', 'llama-13b', 'llama-70b', 'smollm2-135m']) t.true(output.includes(name), output)
  t.regex(refusal('./nowhere'), /exit 2: .*--random-weights: \/.*nowhere does not exist/)
})
