import test from 'ava'
import fc from 'fast-check'
import { eventData } from './events.js'

function streamOf(bytes: Uint8Array, cuts: readonly number[]): ReadableStream<Uint8Array> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b)
  return new ReadableStream({
    start(controller) {
      let from = 0
      for (const end of ends) {
        if (end > from) controller.enqueue(bytes.subarray(from, end))
        from = end
      }
      controller.close()
    },
  })
}

const read = async (text: string, cuts: readonly number[] = []): Promise<string[]> => {
  const found: string[] = []
  for await (const data of eventData(streamOf(new TextEncoder().encode(text), cuts))) found.push(data)
  return found
}

test('events come out the same wherever the bytes were cut, inside a character too', async (t) => {
  const payloads = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => JSON.stringify(text)), { minLength: 1 })
  const property = fc.asyncProperty(payloads, fc.array(fc.nat()), async (data, cuts) => {
    const text = data.map((line) => `: keep-alive\n\ndata: ${line}\n\n`).join('')
    t.deepEqual(await read(text, cuts), data)
  })
  await fc.assert(property, { numRuns: 100 })
})

test('lines of one event are joined, both kinds of line end are known, an event without its end is not told', async (t) => {
  t.deepEqual(await read('data: a\ndata:b\r\n\r\n: x\n\ndata: [DONE]\n\ndata: half'), ['a\nb', '[DONE]'])
})
