// Rules of an answer beside sampling, as every engine keeps them: least length, bad words, stop strings that stay.

import type { RowResult, SequenceSpec } from '../../ts/engine/types.js'
import { greedy } from '../support/sampling.js'
import { generate, promptOf, slotsFrom, tablesOf, type EngineDriver, type Generation } from './driver.js'
import type { EngineTest } from './engine.js'

/** An answer of at most `count` tokens to the prompt of these tests, under `rules`. */
async function answered(driver: EngineDriver, count: number, rules: Partial<SequenceSpec> = {}): Promise<Generation> {
  const prompt = await promptOf(driver, 1)
  const spec = driver.add(prompt, rules)
  const answer = await generate(driver, spec, count, { tables: tablesOf(spec.sequence, slotsFrom(0, prompt.length + count)) })
  driver.engine.dropSequence(spec.sequence)
  return answer
}

const clean = (text: string): boolean => !text.includes('\uFFFD')

export function rulesContract(test: EngineTest): void {
  test('no stop token comes before the least length, and one may come behind it', async (t, driver) => {
    const [stop] = (await answered(driver, 1)).tokens as [number]
    const ended = await answered(driver, 6, { stopTokens: [stop] })
    t.deepEqual([ended.tokens.length, ended.rows.at(-1)?.stopped], [0, stop])
    const { tokens, rows } = await answered(driver, 24, { stopTokens: [stop], minTokens: 3 })
    t.true(tokens.length >= 3 && !tokens.includes(stop), tokens.join())
    const last = rows.at(-1) as RowResult
    t.true(last.finish === undefined || (last.finish === 'stop' && last.stopped === stop))
  })

  test('no end token comes before the least length', async (t, driver) => {
    const { endTokens } = driver.engine.info
    for (let seed = 0n; seed < 8n; seed++) {
      const { tokens } = await answered(driver, 60, { ignoreEos: false, minTokens: 60, sampling: { ...hot(driver), seed } })
      t.is(tokens.length, 60, `seed ${seed}`)
      t.false(tokens.some(token => endTokens.includes(token)), `seed ${seed}`)
    }
  })

  test('a stop string that is complete within the least length ends nothing, and one that comes later does', async (t, driver) => {
    const least = 8
    const { tokens: free } = await answered(driver, 60)
    const decode = (count: number): Promise<string> => driver.engine.text.decode(Uint32Array.from(free.slice(0, count)))
    const [early, text] = [await decode(least), await decode(free.length)]
    const stop = [...early].find(character => clean(character) && text.startsWith(early) && text.includes(character, early.length))
    if (stop === undefined) return t.fail(`no character of ${JSON.stringify(early)} comes again in ${JSON.stringify(text)}`)
    const { rows, tokens, text: given } = await answered(driver, 60, { stop: [stop], minTokens: least })
    t.is(rows.at(-1)?.stopped, stop)
    t.true(tokens.length > least)
    t.is(given, text.slice(0, text.indexOf(stop, early.length)))
  })

  test('the least length counts the tokens of the answer, and none of the message that it goes on with', async (t, driver) => {
    const { tokens: free } = await answered(driver, 60)
    const decode = (count: number): Promise<string> => driver.engine.text.decode(Uint32Array.from(free.slice(0, count)))
    const text = await decode(free.length)
    for (let least = 6; least < 40; least++) {
      const [before, early] = [await decode(least - 1), await decode(least)]
      const stop = early.slice(before.length)
      const at = text.indexOf(stop, early.length - stop.length + 1)
      if (stop === '' || !clean(early) || !early.startsWith(before) || at < 0) continue
      // The least-th token completes it, and a later one does again.
      const { rows, text: given } = await answered(driver, 60, { stop: [stop], minTokens: least, prefill: 4 })
      t.deepEqual([given, rows.at(-1)?.stopped], [text.slice(0, at), stop])
      return
    }
    t.fail(`no token of ${JSON.stringify(text)} comes again`)
  })

  test('a bad word of one token does not come', async (t, driver) => {
    const { tokens: free } = await answered(driver, 12)
    const [first, second] = free as [number, number]
    const { tokens } = await answered(driver, 12, { badWords: [[first], [second]] })
    t.is(tokens.length, 12)
    t.false(tokens.includes(first) || tokens.includes(second))
  })

  test('the last token of a bad word does not come behind the others, and may come elsewhere', async (t, driver) => {
    const { tokens: free } = await answered(driver, 12)
    const [a, b, c] = free as [number, number, number]
    const { tokens } = await answered(driver, 12, { badWords: [[a, b, c]] })
    t.deepEqual(tokens.slice(0, 2), [a, b])
    t.not(tokens[2], c)
    t.false(tokens.some((token, i) => token === a && tokens[i + 1] === b && tokens[i + 2] === c))
    // Of a word that the answer does not begin with, nothing is seen.
    const { tokens: same } = await answered(driver, 3, { badWords: [[b, b, a, b], [c, c, c, c]] })
    t.deepEqual(same, [a, b, c])
  })

  test('a stop string that is included ends the text, and its tokens are inside', async (t, driver) => {
    const { tokens: free } = await answered(driver, 40)
    const texts: string[] = []
    for (let count = 0; count <= 40; count++) texts.push(await driver.engine.text.decode(Uint32Array.from(free.slice(0, count))))
    // One that is complete for the first time at the end of a token.
    const at = texts.findIndex((text, count) => count > 2 && text.length > 4 && clean(text) && text.indexOf(text.slice(-3)) === text.length - 3)
    const text = texts[at] as string
    const { rows, tokens, text: given } = await answered(driver, 40, { stop: [text.slice(-3)], includeStop: true })
    const last = rows.at(-1) as RowResult
    t.deepEqual([last.finish, last.stopped, given], ['stop', text.slice(-3), text])
    t.deepEqual([last.insideTokens, last.insideBytes, tokens.length], [at, Buffer.byteLength(text), at])
  })

  test('of a stop string that ends inside a token only whole tokens are inside', async (t, driver) => {
    const { tokens: free } = await answered(driver, 40)
    const text = await driver.engine.text.decode(Uint32Array.from(free))
    const stop = text.slice(6, 9)
    const { rows, tokens, text: given } = await answered(driver, 40, { stop: [stop], includeStop: true })
    const last = rows.at(-1) as RowResult
    t.is(given, text.slice(0, text.indexOf(stop) + stop.length))
    const inside = Buffer.concat(tokens.slice(0, last.insideTokens).map(token => driver.engine.text.tokenBytes(token)))
    t.is(inside.length, last.insideBytes as number)
    t.deepEqual(inside, Buffer.from(given).subarray(0, inside.length))
  })
}

/** Sampling at which ends would come soon. */
function hot(driver: EngineDriver): SequenceSpec['sampling'] {
  return { ...greedy, temperature: 1, logitBias: driver.engine.info.endTokens.map(token => [token, 8] as const) }
}
