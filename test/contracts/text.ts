// The text half of the engine contract: tokens, templates, keys.

import { PromptTooLong } from '../../ts/engine/too-long.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'
import type { EngineTest } from './engine.js'

const TRICKY = ['plain', '', ' leading and trailing ', 'naïve façade, 日本語, 🦊', '<|im_end|><|endoftext|>', 'tabs\tand\n\nlines']
const DATE = '2026-01-02'

export function textContract(test: EngineTest): void {
  test('decoding what was tokenised gives the text back, also where it looks like a special token', async (t, { engine }) => {
    for (const text of TRICKY) {
      const tokens = await engine.text.tokenize(text, false)
      t.is(await engine.text.decode(tokens), text)
      for (const end of engine.info.endTokens) t.false(tokens.includes(end), `"${text}" became an end token`)
    }
  })

  test('the bytes of an ordinary text’s tokens are the bytes of the text', async (t, { engine }) => {
    for (const text of TRICKY) {
      const tokens = await engine.text.tokenize(text, false)
      t.is(Buffer.concat([...tokens].map(token => engine.text.tokenBytes(token))).toString('utf8'), text)
    }
  })

  test('a longer chat begins with the tokens of the shorter one, up to the answer', async (t, { engine }) => {
    const user = { role: 'user', content: 'How are you?' }
    const short = await engine.text.encodeChat({ messages: [user] }, DATE)
    const answer = { role: 'assistant', content: 'Fine.' }
    const long = await engine.text.encodeChat({ messages: [user, answer, user] }, DATE)
    t.deepEqual(long.tokens.slice(0, short.tokens.length), short.tokens)
  })

  test('a stored answer keeps its token ids, and the rest of its text is tokenised', async (t, { engine }) => {
    const user = { role: 'user', content: 'Hi' }
    const before = await engine.text.encodeChat({ messages: [user] }, DATE)
    // Letter by letter: not what the tokenizer would choose.
    const letters = await Promise.all([...'the other'].map(letter => engine.text.tokenize(letter, false)))
    const ids = Uint32Array.from(letters.flatMap(tokens => [...tokens]))
    const stored = { role: 'assistant', content: 'the other end', stored: { tokens: ids, bytes: 9 } }
    const chat = await engine.text.encodeChat({ messages: [user, stored] }, DATE)
    const at = before.tokens.length
    t.deepEqual(chat.tokens.slice(at, at + ids.length), ids)
    const canonical = await engine.text.encodeChat({ messages: [user, { role: 'assistant', content: 'the other end' }] }, DATE)
    t.is(await engine.text.decode(chat.tokens), await engine.text.decode(canonical.tokens))
  })

  test('an open prompt ends with the message that the answer goes on with, and says which tokens are its', async (t, { engine }) => {
    const user = { role: 'user', content: 'Hi' }
    const before = await engine.text.encodeChat({ messages: [user] }, DATE)
    const open = await engine.text.encodeChat({ messages: [user, { role: 'assistant', content: 'the other' }], ending: 'open' }, DATE)
    const { tokens = 0, inReasoning } = open.prefill ?? {}
    t.deepEqual(open.tokens.slice(0, -tokens), before.tokens, 'the message begins where an answer would')
    t.is(await engine.text.decode(open.tokens.slice(-tokens)), 'the other')
    t.false(inReasoning)
    t.is(before.prefill, undefined)
    const closed = await engine.text.encodeChat({ messages: [user], ending: 'closed' }, DATE)
    t.true(closed.tokens.length < before.tokens.length)
    t.is(closed.prefill, undefined)
  })

  test('a name of a special token is that token only where it is asked for', async (t, { engine }) => {
    const name = '<|im_end|>'
    const parsed = await engine.text.tokenize(`a${name}b`, false, undefined, true)
    const [end, ...more] = await engine.text.tokenize(name, false, undefined, true)
    t.deepEqual(more, [])
    t.true(parsed.includes(end as number))
    t.false((await engine.text.tokenize(`a${name}b`, false)).includes(end as number))
    t.is(await engine.text.decode(parsed), `a${name}b`)
    const plain = await engine.text.tokenize('ab', true, undefined, true)
    t.deepEqual(plain, await engine.text.encodePrompt('ab'))
  })

  test('a text with more tokens than were asked for is refused with the fewest it has, and one with as many is not', async (t, { engine }) => {
    const { text } = engine
    const word = 'one more word '
    for (const encode of [
      async (content: string, most?: number) => text.encodePrompt(content, most),
      async (content: string, most?: number) => text.tokenize(content, false, most),
      async (content: string, most?: number) => (await text.encodeChat({ messages: [{ role: 'user', content }] }, DATE, most)).tokens,
    ]) {
      const { length } = await encode(word.repeat(20))
      t.is((await encode(word.repeat(20), length)).length, length)
      for (const [content, most] of [[word.repeat(20), length - 1], [word.repeat(20_000), 500]] as const) {
        const refused = await t.throwsAsync<PromptTooLong>(encode(content, most), { instanceOf: PromptTooLong })
        t.true(refused.atLeast > most && refused.most === most, `${refused.atLeast} of ${most}`)
      }
    }
  })

  test('keys are a chain: each is the child of the one before, the last partial block included', async (t, { engine }) => {
    const tokens = Uint32Array.from({ length: 2 * BLOCK_TOKENS + 7 }, (_, i) => i)
    const root = engine.text.root('', '')
    const keys = await engine.text.keys(root, tokens, null)
    t.is(keys.length, 3)
    let parent = root
    keys.forEach((key, i) => {
      t.is(key.length, 32)
      t.is(key, engine.text.blockKey(parent, i, tokens.slice(i * BLOCK_TOKENS, (i + 1) * BLOCK_TOKENS), null))
      parent = key
    })
  })

  test('a view is part of the keys from its window on, and not before', async (t, { engine }) => {
    const tokens = Uint32Array.from({ length: 7 * BLOCK_TOKENS + 7 }, (_, i) => i)
    const root = engine.text.root('', '')
    const views = [null, { window: 320, head: 64, step: 128 }, { window: 320, head: 64, step: 64 }, { window: 320, head: 128, step: 128 }]
    const chains = await Promise.all(views.map(view => engine.text.keys(root, tokens, view)))
    for (let block = 0; block < 8; block++) {
      t.is(new Set(chains.map(keys => keys[block])).size, block < 5 ? 1 : 4, `block ${block}`)
      const parent = block === 0 ? root : (chains[1]?.[block - 1] as string)
      const own = engine.text.blockKey(parent, block, tokens.slice(block * BLOCK_TOKENS, (block + 1) * BLOCK_TOKENS), views[1] ?? null)
      t.is(own, chains[1]?.[block] as string)
    }
  })

  test('tenants and salts have roots of their own', async (t, { engine }) => {
    const roots = [engine.text.root('', ''), engine.text.root('a', ''), engine.text.root('', 'a'), engine.text.root('a', 'a')]
    t.is(new Set(roots).size, 4)
    t.is(engine.text.root('a', 'b'), engine.text.root('a', 'b'))
  })
}
