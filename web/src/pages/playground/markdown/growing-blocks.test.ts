import test from 'ava'
import fc from 'fast-check'
import { Lexer, type Token } from 'marked'
import { GrowingBlocks } from './growing-blocks.js'
import { blockHtml, MARKDOWN_OPTIONS } from './to-html.js'

const PIECES = [
  'A paragraph with **strong** words.\n\n',
  'Its lines\nare two.\n\n',
  '# A heading\n',
  'Underlined\n===\n\n',
  '- one\n- two\n\n  still two\n- three\n\n',
  '1. first\n2. second\n   - inside\n\n',
  '```ts\nconst a = `x`\n\n- no list\n```\n\n',
  '    indented code\n\n',
  '| a | b |\n|---|--:|\n| 1 | 2 |\n\n',
  '> said\n> twice\n\n',
  '---\n\n',
  '<div>\nno element\n</div>\n\n',
  'ends\r\nas on Windows\r\n\r\n',
]
const wholeOf = (text: string) =>
  new Lexer(MARKDOWN_OPTIONS)
    .lex(text.replaceAll('\r\n', '\n'))
    .filter(({ type }) => type !== 'space')
    .map(blockHtml)

test('blocks of a text that came in pieces are those of the whole text, wherever it was cut', (t) => {
  const texts = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(''))
  const property = fc.property(texts, fc.array(fc.nat(), { maxLength: 40 }), (text, cuts) => {
    const blocks = new GrowingBlocks(MARKDOWN_OPTIONS, blockHtml)
    for (const end of cuts.map((cut) => cut % text.length).toSorted((a, b) => a - b)) blocks.update(text.slice(0, end), false)
    t.deepEqual(blocks.update(text, false), wholeOf(text))
  })
  fc.assert(property, { numRuns: 300 })
})

test('a text of a thousand blocks in a thousand pieces has each block drawn a few times, not a thousand', (t) => {
  let drawn = 0
  const blocks = new GrowingBlocks(MARKDOWN_OPTIONS, ({ raw }: Token) => {
    drawn += 1
    return raw
  })
  let text = ''
  for (let block = 0; block < 1000; block += 1) {
    text += `Paragraph ${block}.\n\n`
    blocks.update(text, false)
  }
  t.true(drawn <= 4000, `${drawn} blocks drawn`)
  t.is(blocks.update(text, false).length, 1000)
})

test('blocks that have ended stay the same strings, so that nothing is drawn again', (t) => {
  const blocks = new GrowingBlocks(MARKDOWN_OPTIONS, blockHtml)
  const before = blocks.update('# One\n\ntwo\n\nthr', false)
  const after = blocks.update('# One\n\ntwo\n\nthree\n\n', false)
  t.deepEqual(after.slice(0, 2), before.slice(0, 2))
  t.is(after[2], '<p>three</p>\n')
})

test('another text in the place of the first begins anew', (t) => {
  const blocks = new GrowingBlocks(MARKDOWN_OPTIONS, blockHtml)
  blocks.update('one\n\ntwo\n\nthree\n\n', false)
  t.deepEqual(blocks.update('other', false), ['<p>other</p>\n'])
})

test('a link that is defined after its use is one once the text is whole', (t) => {
  const blocks = new GrowingBlocks(MARKDOWN_OPTIONS, blockHtml)
  const text = 'See [the page][1].\n\nMore.\n\n[1]: https://example.com\n'
  t.notRegex(blocks.update(text.slice(0, 28), false).join(''), /<a /)
  t.notRegex(blocks.update(text, false).join(''), /<a /)
  t.deepEqual(blocks.update(text, true), ['<p>See <a href="https://example.com">the page</a>.</p>\n', '<p>More.</p>\n'])
})

const html = (text: string) => new GrowingBlocks(MARKDOWN_OPTIONS, blockHtml).update(text, true).join('')

test('HTML in an answer is text, and an image is a link that loads nothing', (t) => {
  t.is(html('a <img src=x onerror=alert(1)> b'), '<p>a &lt;img src=x onerror=alert(1)&gt; b</p>\n')
  t.is(html('<script>alert(1)</script>'), '&lt;script&gt;alert(1)&lt;/script&gt;')
  t.is(html('![a picture](https://example.com/x.png)'), '<p><a href="https://example.com/x.png">a picture</a></p>\n')
})

test('code of a known language has colours, of any other none, and its language is named', (t) => {
  t.regex(html('```ts\nconst a = 1\n```'), /<span>ts<\/span>.*<span class="hljs-keyword">const<\/span>/s)
  t.regex(html('```brainf***\n<+>\n```'), /<span>brainf<\/span>.*<code>&lt;\+&gt;\n<\/code>/s)
})
