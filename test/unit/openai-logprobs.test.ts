// Log probabilities of completions where a character has several tokens, or a token several characters.

import test from 'ava'
import fc from 'fast-check'
import type { TokenLogprob } from '../../ts/engine/types.js'
import { CompletionTokens } from '../../ts/surfaces/openai/format/logprobs.js'
import { openTestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'

const sampled = (token: number, ...top: ReadonlyArray<readonly [token: number, logprob: number]>): TokenLogprob => ({ token, logprob: -1, top })

test('tokens of one character have its offset, and the next character comes after it', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const bytes = [...Buffer.from('é🏳.')]
  api.service.answer = () => [delta('é', { logprobs: bytes.slice(0, 3).map((byte) => sampled(byte)) }), delta('🏳.', { logprobs: bytes.slice(3).map((byte) => sampled(byte)) }), done()]
  const { choices } = await api.client.completions.create({ model: 'fake-model', prompt: 'x', logprobs: 0 })
  const [choice] = choices
  t.is(choice?.text, 'é🏳.')
  t.deepEqual(choice?.logprobs?.text_offset, [0, 0, 1, 1, 1, 1, 3])
  t.is(choice?.text.slice(choice.logprobs?.text_offset?.at(-1)), '.')
  t.deepEqual(choice?.logprobs?.tokens, ['bytes:\\xc3', 'bytes:\\xa9', 'bytes:\\xf0', 'bytes:\\x9f', 'bytes:\\x8f', 'bytes:\\xb3', '.'])
  const stream = await api.client.completions.create({ model: 'fake-model', prompt: 'x', logprobs: 0, stream: true })
  const offsets: number[] = []
  for await (const chunk of stream) offsets.push(...(chunk.choices[0]?.logprobs?.text_offset ?? []))
  t.deepEqual(offsets, choice?.logprobs?.text_offset)
})

test('alternatives that are no text by themselves, or have one text, stay apart', (t) => {
  const text = { tokenBytes: (token: number) => [Buffer.from([0xf0]), Buffer.from([0xf1]), Buffer.from('a'), Buffer.from('a'), Buffer.of(), Buffer.of()][token] ?? Buffer.of() }
  const top = [[2, -2], [0, -0.5], [1, -0.7], [3, -1], [4, -3], [5, Number.NEGATIVE_INFINITY]] as const
  const { top_logprobs: told } = new CompletionTokens(text).next([sampled(0, ...top)])
  t.deepEqual(told, [{ 'bytes:\\xf0': -0.5, 'bytes:\\xf1': -0.7, a: -1, 'token_id:2': -2, '': -3, 'token_id:5': -9999 }])
})

test('an offset is that of the character which the token begins or continues, however text, tokens and deltas are cut', (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_129)
  t.log(`seed ${seed}`)
  const cuts = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), cuts, cuts, (raw, tokenLengths, deltaLengths) => {
      const bytes = Buffer.from(raw)
      const text = bytes.toString()
      const pieces = sliced([...bytes], tokenLengths.map((length) => length + 1))
      // Byte → UTF-16 offset of its character.
      const offsetOf = [...text].flatMap((character, index, all) => Array.from({ length: Buffer.byteLength(character) }, () => all.slice(0, index).join('').length))
      let at = 0
      const expected = pieces.map((piece) => offsetOf[(at += piece.length) - piece.length])
      const told = new CompletionTokens({ tokenBytes: (token) => Uint8Array.from(pieces[token] ?? []) })
      const deltas = sliced(pieces.map((_, token) => sampled(token)), deltaLengths)
      t.deepEqual(deltas.flatMap((tokens) => told.next(tokens).text_offset), expected)
    }),
    { seed, numRuns: 500 },
  )
})

/** `list` in pieces of these lengths, over and over; a piece of length 0 is empty. */
function sliced<T>(list: readonly T[], lengths: readonly number[]): T[][] {
  const pieces: T[][] = []
  const step = lengths.some((length) => length > 0) ? lengths : [1]
  for (let at = 0, index = 0; at < list.length; index++) {
    const length = step[index % step.length] ?? 1
    pieces.push(list.slice(at, at + length))
    at += length
  }
  return pieces
}
