// Custom tools with a grammar on the native engine, through the API: the input of a call follows it.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { ResponseBody } from '../../ts/surfaces/responses/schemas/response.js'
import { APPLY_PATCH } from '../support/apply-patch.js'
import { temporaryStore } from '../support/talk.js'
import { errorOf, openApiOver } from '../unit/support/api.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
/** Its tokens are bytes, and a prompt names the grammar twice. */
const CONTEXT = 8192
const BLOCK_BYTES = 8 * 1024
const SEEDS = 16

/** The fixture with a longer context: what it says makes no sense in any. */
function longModel(t: ExecutionContext): string {
  const folder = join(temporaryStore(t), 'model')
  cpSync(MODEL, folder, { recursive: true })
  const path = join(folder, 'config.json')
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), max_position_embeddings: CONTEXT }))
  return folder
}

async function serve(t: ExecutionContext) {
  const sizes = { hbmBytes: 512 * BLOCK_BYTES, dramBytes: 512 * BLOCK_BYTES, ssdBytes: 0 }
  const engine = await createNativeEngine({ modelPath: longModel(t), device: 'cpu', kernelCacheDir: '', threads: 2, maxBatchTokens: 256, kvDtype: 'bf16', ...sizes })
  const service = createInferenceService(engine, { maxContext: CONTEXT })
  const api = await openApiOver(service, engine, { maxBodyBytes: 2 ** 20 })
  t.teardown(async () => {
    await api.close()
    await service.close(0)
    await engine.close()
  })
  const called = async (format: object, seed: number, more: object = {}): Promise<string> => {
    const body = { input: `Change a file, ${seed}.`, tools: [{ type: 'custom', name: 'edit', format }], tool_choice: { type: 'custom', name: 'edit' } }
    const response = await api.post('/v1/responses', { ...body, temperature: 1.5, seed, max_output_tokens: 700, store: false, ...more })
    if (response.status !== 200) throw new Error(await response.text())
    const { output } = (await response.json()) as ResponseBody
    const call = output.find((item) => item.type === 'custom_tool_call')
    if (call?.type !== 'custom_tool_call') throw new Error(`no call: ${JSON.stringify(output)}`)
    return call.status === 'completed' ? call.input : `cut: ${call.input}`
  }
  return { api, called }
}

const FORMS: ReadonlyArray<readonly [name: string, format: object, isRight: RegExp]> = [
  ['a pattern', { type: 'grammar', syntax: 'regex', definition: String.raw`^(?:add|del) "[a-c]{1,3}"\n\d{2}/[^\s]$` }, /^(?:add|del) "[a-c]{1,3}"\n\d{2}\/[^\s]$/u],
  ['a Lark grammar', { type: 'grammar', syntax: 'lark', definition: 'start: move+ stop?\nmove: ("up" | "down") " " N LF -> move\nstop: "\\"\\\\end\\""i\nN: /[1-9]/\n%import common.LF' }, /^((up|down) [1-9]\n)+("\\end")?$/i],
]

for (const [name, format, isRight] of FORMS) {
  test(`every input of a custom tool with ${name} follows it, whatever the seed`, async (t) => {
    const { called } = await serve(t)
    let whole = 0
    for (let seed = 0; seed < SEEDS; seed++) {
      const input = await called(format, seed)
      if (input.startsWith('cut: ')) continue
      whole++
      t.regex(input, isRight, `seed ${seed}`)
    }
    t.true(whole >= SEEDS / 4, `${whole} calls are whole`)
  })
}

/** Of a call that was cut off the input is the arguments so far. */
function inputSoFar(text: string): string {
  const inside = text.replace(/^cut: \{\s*"input"\s*:\s*"/, '').replace(/\\(u[0-9a-fA-F]{0,3})?$/, '')
  return JSON.parse(`"${inside}"`) as string
}

/** Each line of a patch, as far as a model without sense may write it. */
const LINE = /^(\*\*\* (Begin Patch|End Patch|End of File|(Add|Delete|Update) File: .+|Move to: .+)|@@( .+)?|[+\- ].*)$/

test('a patch of Codex’s grammar begins and goes on as one, also where the model chooses to call', async (t) => {
  const { called } = await serve(t)
  // A model without sense would write the first name on and on.
  const format = { type: 'grammar', syntax: 'lark', definition: APPLY_PATCH.replaceAll('/(.+)/', '/(.{1,9})/').replaceAll('/(.*)/', '/(.{0,9})/') }
  let lines = 0
  for (let seed = 0; seed < SEEDS; seed++) {
    const input = await called(format, seed, seed % 2 === 0 ? {} : { tool_choice: 'required' })
    const cut = input.startsWith('cut: ')
    const text = cut ? inputSoFar(input) : input
    t.regex(text, /^\*\*\* Begin Patch\n\*\*\* (Add|Delete|Update) File: /, `seed ${seed}: ${input}`)
    const all = text.split('\n')
    for (const line of cut ? all.slice(0, -1) : all) if (line !== '') t.regex(line, LINE, `seed ${seed}: ${input}`)
    lines += all.length
  }
  t.true(lines > 5 * SEEDS, `${lines} lines`)
})

test('a grammar that the engine cannot hold to is refused with its reason', async (t) => {
  const { api } = await serve(t)
  const post = (format: object) => api.post('/v1/responses', { input: 'Hi', tools: [{ type: 'custom', name: 'edit', format }] })
  for (const [syntax, definition, part] of [
    ['regex', 'a(?=b)', 'look'],
    ['regex', '(', ''],
    ['regex', 'a{99999}', 'limit'],
    ['lark', 'start: /(/', ''],
  ] as const) {
    const response = await post({ type: 'grammar', syntax, definition })
    const { error } = (await response.clone().json()) as { error: { message: string } }
    t.like(await errorOf(response), { status: 400, code: 'invalid_value', param: 'tools' }, definition)
    t.true(error.message.includes(part), error.message)
  }
})
