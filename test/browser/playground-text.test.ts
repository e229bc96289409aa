// Answers as text of the page: formatted, coloured, copied, and never more than text.

import { violationsOf } from './axe.js'
import { openScripted, say, sayAndWait, textAnswer } from './playground-page.js'
import { browserTest, setStage } from './stage.js'

const stage = setStage()

const FORMATTED = [
  '# A heading',
  'Some **strong** words and a [link](https://example.com/a).',
  '```ts\nconst answer: number = 42\n```',
  `| ${'a rather wide column | '.repeat(12)}\n|${'---|'.repeat(12)}\n|${' cell |'.repeat(12)}`,
  '3. one\n   - two',
].join('\n\n')

browserTest('Markdown is drawn: headings, lists, links that open elsewhere, code in colours, tables that scroll in themselves', async (t) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, complaints } = await openScripted(stage, [textAnswer(FORMATTED)], { width: 390, colorScheme })
    await sayAndWait(page, 'Go.')
    const text = page.locator('.assistant .markdown')
    await text.locator('h1').waitFor()
    t.is(await text.locator('strong').innerText(), 'strong')
    t.is(await text.locator('li li').innerText(), 'two')
    t.is(await text.locator('ol').getAttribute('start'), '3')
    t.is(await text.locator('.hljs-keyword').innerText(), 'const')
    const link = text.locator('a')
    t.deepEqual(
      [await link.getAttribute('href'), await link.getAttribute('target'), await link.getAttribute('rel')],
      ['https://example.com/a', '_blank', 'noopener noreferrer'],
    )
    const wide = await text.locator('.table').evaluate((table: { scrollWidth: number; clientWidth: number }) => table.scrollWidth - table.clientWidth)
    t.true(wide > 100)
    t.is(await page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0)
    t.deepEqual(await violationsOf(page), [])
    t.deepEqual(complaints, [])
    await page.close()
  }
})

const ATTACKS = [
  '<script>globalThis.attacked = 1</script>',
  '<img src="x" onerror="globalThis.attacked = 2">',
  '![picture](https://elsewhere.test/x.png "t")',
  '[script](javascript:globalThis.attacked=3)',
  '[data](data:text/html,<script>1</script>)',
  '[this server](/admin/cache)',
  '<a href="https://elsewhere.test" onclick="globalThis.attacked = 4">a</a><iframe src="https://elsewhere.test"></iframe>',
  '<svg><style><img src=x onerror=globalThis.attacked=5></style></svg><form action="/admin/cache/reset" method="post"><button>b</button></form>',
  '```"><img src=x onerror=globalThis.attacked=6>\n</code></pre><script>globalThis.attacked = 7</script>\n```',
  '<style>body { display: none }</style>',
]

browserTest('whatever an answer says, nothing of it runs, loads or leads into this server', async (t) => {
  const { page, complaints } = await openScripted(stage, [textAnswer(ATTACKS.join('\n\n'))])
  const elsewhere: string[] = []
  page.on('request', (request) => {
    if (!request.url().startsWith(stage.server.url)) elsewhere.push(request.url())
  })
  await sayAndWait(page, 'Attack.')
  const text = page.locator('.assistant .markdown')
  await text.getByText('<script>globalThis.attacked = 1</script>').waitFor()
  t.is(await text.locator('script, img, iframe, svg, style, form, object, [onerror], [onclick]').count(), 0)
  t.deepEqual(await text.locator('a').evaluateAll((links: ReadonlyArray<{ getAttribute(name: string): string | null }>) => links.map((link) => link.getAttribute('href'))), [
    'https://elsewhere.test/x.png',
    null,
    null,
    null,
  ])
  t.is(await page.evaluate('globalThis.attacked'), undefined)
  t.deepEqual(elsewhere, [])
  t.deepEqual(complaints, [])
  await page.close()
})

browserTest('an answer is copied as it was written, a block of code as its code', async (t) => {
  const { page } = await openScripted(stage, [textAnswer(FORMATTED)])
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await sayAndWait(page, 'Go.')
  await page.locator('.code-head button').click()
  await page.locator('.code-head button', { hasText: 'Copied' }).waitFor()
  t.is(await page.evaluate('navigator.clipboard.readText()'), 'const answer: number = 42')
  await page.locator('.assistant .actions').getByRole('button', { name: 'Copy' }).click()
  await page.locator('.assistant .actions').getByRole('button', { name: 'Copied' }).waitFor()
  t.is(await page.evaluate('navigator.clipboard.readText()'), FORMATTED)
  await page.close()
})

browserTest('a page without a clipboard of its own, as over plain HTTP, copies too', async (t) => {
  const { page } = await openScripted(stage, [textAnswer('To be copied.')])
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await sayAndWait(page, 'Go.')
  await page.evaluate(`Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })`)
  await page.locator('.assistant .actions').getByRole('button', { name: 'Copy' }).click()
  await page.locator('.assistant .actions').getByRole('button', { name: 'Copied' }).waitFor()
  t.is(await page.evaluate('delete navigator.clipboard && navigator.clipboard.readText()'), 'To be copied.')
  await page.close()
})

browserTest('reasoning is folded and says how long it took; its end and that of the answer are told apart', async (t) => {
  const { page } = await openScripted(stage, [{ deltas: [{ reasoning_content: 'First *this*.' }, { content: 'Then that.' }], finish: 'length' }])
  await sayAndWait(page, 'Go.')
  const folded = page.locator('.assistant details')
  t.is(await folded.getByText('First').count(), 0)
  await folded.getByText(/^Reasoned for/).click()
  t.is(await folded.locator('em').innerText(), 'this')
  await page.getByText('The answer reached its longest length.').waitFor()
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})

browserTest('a call is folded with its arguments, gets a result by hand, and the model goes on from it', async (t) => {
  const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }
  const { page, asked } = await openScripted(stage, [{ deltas: [{ tool_calls: [call] }], finish: 'tool_calls' }, textAnswer('Sunny.')])
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('Functions that the model may call').fill('[{')
  await page.getByText(/^Not usable: not valid JSON/).waitFor()
  await page.getByLabel('Functions that the model may call').fill('{"name": "get_weather"}')
  await sayAndWait(page, 'The weather in Paris?')
  await page.locator('.assistant summary').click()
  t.is(await page.locator('.assistant details pre').innerText(), '{\n  "city": "Paris"\n}\n')
  await page.getByLabel('Result of get_weather').fill('sun')
  t.deepEqual(await violationsOf(page), [])
  await page.getByRole('button', { name: 'Send the result' }).click()
  await page.getByText('Sunny.', { exact: true }).waitFor()
  t.deepEqual(asked[0]?.['tools'], [{ type: 'function', function: { name: 'get_weather' } }])
  t.like(asked[1]?.messages.at(-1), { role: 'tool', tool_call_id: 'call_1', content: 'sun' })
  await page.close()
})

browserTest('the settings of a chat are those of its questions', async (t) => {
  const { page, asked } = await openScripted(stage, [textAnswer('Yes.')])
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('System prompt').fill('Be brief.')
  await page.getByLabel('Temperature').fill('0.1')
  await page.getByLabel('Seed').fill('5')
  await page.getByLabel('Thinking').selectOption('off')
  await page.getByLabel('Effort').selectOption('low')
  await say(page, 'Well?')
  await page.getByText('Yes.', { exact: true }).waitFor()
  t.like(asked[0], { temperature: 0.1, seed: 5, enable_thinking: false, reasoning_effort: 'low', max_tokens: 1024 })
  t.like(asked[0]?.messages[0], { role: 'system', content: 'Be brief.' })
  await page.getByRole('button', { name: 'Back to the defaults' }).click()
  t.is(await page.getByLabel('Temperature').inputValue(), '')
  t.regex((await page.getByLabel('Temperature').getAttribute('placeholder')) ?? '', /^\d/)
  t.deepEqual(await violationsOf(page), [])
  await page.close()
})
