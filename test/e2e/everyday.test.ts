// Everyday questions to the default model, as `chat` and the playground ask them: each answer ends by itself.

import type { ModelRow } from '../../ts/protocol/index.js'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const QUESTIONS = [
  'What is the capital of France?',
  'How do I boil an egg?',
  'Write a short poem about the sea.',
  'Explain how a beehive survives the winter.',
  'What should I cook with tomatoes and rice?',
  'Give me three tips for sleeping better.',
  'What is the difference between a virus and a bacterium?',
  'Write an email asking my boss for a day off.',
  'Why is the sky blue?',
  'Recommend a hobby for rainy days and say why.',
]
const SEEDS = [1, 2, 3]
/** A longer line that comes more often than this is a loop. */
const MAX_REPEATS = 3
const LINE_LENGTH = 20

testNeeding('model')('everyday questions get answers that end by themselves and do not go in circles', async (t) => {
  const server = await TestServer.start({ args: ['--hbm-bytes', '512MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '0'] })
  const { data } = (await (await server.get('/v1/models')).json()) as { data: ModelRow[] }
  t.is(data[0]?.id, 'smollm2-135m-instruct')
  const fields = Object.fromEntries(Object.entries(data[0]?.generation_defaults.chat ?? {}).map(([name, { value }]) => [name, value]))
  t.like(fields, { temperature: 0.2, top_p: 0.9 })
  await Promise.all(
    QUESTIONS.flatMap((content) =>
      SEEDS.map(async (seed) => {
        const body = { ...fields, model: data[0]?.id ?? '', messages: [{ role: 'user' as const, content }], seed }
        const { choices } = await server.client.chat.completions.create(body)
        const text = choices[0]?.message.content ?? ''
        const where = `${content} (seed ${seed}): ${text}`
        t.is(choices[0]?.finish_reason, 'stop', where)
        t.true(text.trim().length > 5, where)
        t.true(mostRepeats(text) <= MAX_REPEATS, where)
      }),
    ),
  )
  t.is(await server.stop(), 0)
})

function mostRepeats(text: string): number {
  const counts = new Map<string, number>()
  for (const line of text.split(/\n|(?<=[.!?]) /)) {
    const sentence = line.trim()
    if (sentence.length >= LINE_LENGTH) counts.set(sentence, (counts.get(sentence) ?? 0) + 1)
  }
  return Math.max(0, ...counts.values())
}
