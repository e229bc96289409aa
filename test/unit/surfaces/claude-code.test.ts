// Conversations in the shape that Claude Code sends them, over the simulated engine: three things of it change with every
// request, and none of them may cost the history.

import test, { type ExecutionContext } from 'ava'
import type Anthropic from '@anthropic-ai/sdk'
import { anthropicClient } from '../support/scripts.js'
import { openSimulatedApi } from '../support/simulated-api.js'

const TURNS = 10
const RULES = 'Follow the conventions of the code around you, and keep every change small. '.repeat(20)
const BILLING = 'x-anthropic-billing-header: cc_version=2.1.37.fbe; cc_entrypoint=cli; cch='

type Params = Anthropic.MessageCreateParamsNonStreaming
type Block = Anthropic.TextBlockParam
type Message = Anthropic.MessageParam

async function openClient(t: ExecutionContext): Promise<Anthropic> {
  return anthropicClient((await openSimulatedApi(t)).url)
}

const marker = { cache_control: { type: 'ephemeral' as const } }

/** The marker sits on the last message only, whose content is a list for it; earlier ones are plain texts again. */
function rolling(messages: readonly Message[]): Message[] {
  const lastUser = messages.findLastIndex(({ role }) => role === 'user')
  return messages.map((message, index) => {
    if (index !== lastUser || typeof message.content !== 'string') return message
    return { ...message, content: [{ type: 'text', text: message.content, ...marker }] }
  })
}

function systemOf(turn: number): Block[] {
  const checksum = ((turn + 1) * 0x9e3779b1) >>> 0
  return [
    { type: 'text', text: `${BILLING}${checksum.toString(16)};` },
    { type: 'text', text: 'You are a coding assistant on the command line.', ...marker },
    { type: 'text', text: `\n${RULES}`, ...marker },
  ]
}

const counter = (left: number): Message => ({ role: 'system', content: `<total_tokens>${left} tokens left</total_tokens>` })

interface Turn {
  readonly prompt: number
  readonly reused: number
  readonly answer: number
}

/** Ten turns; `body` makes a turn's system prompt and messages of the history. */
async function talk(client: Anthropic, body: (turn: number, history: readonly Message[]) => Pick<Params, 'system' | 'messages'>): Promise<Turn[]> {
  const history: Message[] = []
  const turns: Turn[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    history.push({ role: 'user', content: `Task ${turn}: rename the variable in file ${turn} and run its tests. `.repeat(3) }, counter(180_000 - 977 * turn))
    const { content, usage } = await client.messages.create({ model: 'fake-model', max_tokens: 40, ...body(turn, history) })
    const reused = usage.cache_read_input_tokens ?? 0
    turns.push({ reused, prompt: usage.input_tokens + reused + (usage.cache_creation_input_tokens ?? 0), answer: usage.output_tokens })
    history.push({ role: 'assistant', content: content.flatMap((block) => (block.type === 'text' ? [{ type: 'text', text: block.text }] : [])) })
  }
  return turns
}

test('ten turns with another billing line, another token counter and rolling cache markers each reuse 95 % of their history', async (t) => {
  const client = await openClient(t)
  const turns = await talk(client, (turn, history) => ({ system: systemOf(turn), messages: rolling(history) }))
  t.is(turns.length, TURNS)
  for (const [index, { reused }] of turns.entries()) {
    const before = turns[index - 1]
    if (before === undefined) continue
    const history = before.prompt + before.answer
    t.true(reused >= 0.95 * history, `turn ${index} reused ${reused} of ${history} tokens`)
  }
})

test('the three are costs where they are not undone: each alone, put into the prompt, leaves less than 95 % of a turn', async (t) => {
  const client = await openClient(t)
  const share = async (body: Parameters<typeof talk>[1]): Promise<number> => {
    const turns = await talk(client, body)
    const [before, last] = turns.slice(-2)
    return before && last ? last.reused / (before.prompt + before.answer) : 1
  }
  const system: Block[] = systemOf(0).slice(1)
  const billed = await share((turn, messages) => ({ system: [{ type: 'text', text: `Billing: ${turn * 7919}` }, ...system], messages: [...messages] }))
  const merged = await share((turn, messages) => ({
    system: [{ type: 'text', text: `${180_000 - 977 * turn} tokens left` }, ...system],
    messages: messages.filter(({ role }) => role !== 'system'),
  }))
  const marked = await share((_, messages) => ({
    system,
    messages: rolling(messages).map((message) => (typeof message.content === 'string' ? message : { ...message, content: `${JSON.stringify(message.content)}` })),
  }))
  for (const [name, reused] of Object.entries({ billed, merged, marked })) t.true(reused < 0.95, `${name}: ${reused}`)
})

test('a count of tokens is the length of the prompt that the message then has, stored answers included', async (t) => {
  const client = await openClient(t)
  const messages: Message[] = [{ role: 'user', content: 'Say at length what the harbour is like. '.repeat(9) }]
  const base = { model: 'fake-model', system: systemOf(3) }
  for (let turn = 0; turn < 3; turn++) {
    const { input_tokens } = await client.messages.countTokens({ model: base.model, system: base.system, messages })
    const { content, usage } = await client.messages.create({ ...base, max_tokens: 24, messages })
    t.is(input_tokens, usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0))
    const text = content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('')
    messages.push({ role: 'assistant', content: text }, { role: 'user', content: 'Go on.' })
  }
})

test('a prompt that is too long for the context is still counted', async (t) => {
  const client = await openClient(t)
  const messages: Message[] = [{ role: 'user', content: 'word '.repeat(4000) }]
  const { input_tokens } = await client.messages.countTokens({ model: 'fake-model', messages })
  t.true(input_tokens > 20_000, `${input_tokens}`)
  await t.throwsAsync(client.messages.create({ model: 'fake-model', max_tokens: 5, messages }), { message: /prompt is too long/ })
})
