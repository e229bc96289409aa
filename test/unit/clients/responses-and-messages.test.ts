// Requests in the shape that Codex CLI, the AI SDK's default provider and Claude Code send them.

import test from 'ava'
import type { TurnRequest } from '../../../ts/service/types.js'
import { APPLY_PATCH } from '../../support/apply-patch.js'
import { call, delta, done, reasoning } from '../support/fake-service.js'
import { anthropicClient, namedEvents } from '../support/scripts.js'
import { openSimulatedApi } from '../support/simulated-api.js'
import { openStrict } from './support.js'

const shell = {
  name: 'shell',
  description: 'Runs a shell command and returns its output.',
  strict: false,
  parameters: { type: 'object', properties: { command: { type: 'array', items: { type: 'string' } } }, required: ['command'], additionalProperties: false },
}

const rolesOf = ({ prompt }: TurnRequest) => (prompt.kind === 'chat' ? prompt.messages.map(({ role }) => role) : [])
const messageOf = ({ prompt }: TurnRequest, index: number) => (prompt.kind === 'chat' ? prompt.messages[index] : undefined)

interface StreamEvent {
  readonly type: string
  readonly item?: Readonly<Record<string, unknown>>
  readonly response?: { readonly output: ReadonlyArray<Readonly<Record<string, unknown>>> }
}

function codexBody(input: readonly unknown[]): object {
  return {
    model: 'fake-model',
    instructions: 'You are a coding agent running in a terminal.',
    input,
    tools: [{ type: 'function', ...shell }],
    tool_choice: 'auto',
    parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    store: false,
    stream: true,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: '01997d0c-7f0e-7c53-8d3e-3c1f5a4f6b21',
    text: { verbosity: 'low' },
    client_metadata: { 'x-codex-installation-id': 'a' },
  }
}

const said = (role: string, text: string) => ({ type: 'message', role, content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }] })

test('Codex CLI: instructions, items without ids, reasoning that it carries, one call at a time', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [reasoning('List first.'), delta('I look.'), ...call('call_1', 'shell', '{"command":', '["ls"]}'), done({ finish: 'tool_calls' })]
  const headers = { originator: 'codex_cli_rs', 'x-session-id': '01997d0c', accept: 'text/event-stream' }
  const beginning = [said('developer', '<permissions instructions>'), said('user', '<environment_context>'), said('user', 'Fix the test.')]
  const first = await api.post('/v1/responses', codexBody(beginning), headers)
  t.is(first.status, 200)
  const events = namedEvents<StreamEvent>(await first.text()).map(({ data }) => data)
  t.deepEqual(rolesOf(api.service.lastRequest), ['system', 'system', 'user', 'user'])
  t.like(api.service.lastRequest, {
    conversation: '01997d0c',
    conversationHint: '01997d0c-7f0e-7c53-8d3e-3c1f5a4f6b21',
    tools: { definitions: [shell], choice: 'auto', parallel: false },
    templateArguments: { reasoning_effort: 'medium' },
  })
  // It keeps the items that were done, without their ids, and of reasoning the carried form alone.
  const kept = events.flatMap(({ type, item }) => {
    if (type !== 'response.output_item.done' || item === undefined) return []
    const { id: _id, status: _status, ...rest } = item
    return [item['type'] === 'reasoning' ? { type: 'reasoning', summary: [], content: null, encrypted_content: item['encrypted_content'] } : rest]
  })
  t.deepEqual(kept.map((item) => item['type']), ['reasoning', 'message', 'function_call'])
  const result = { type: 'function_call_output', call_id: 'call_1', output: '{"output":"a.ts\\n","metadata":{"exit_code":0}}' }
  t.is((await api.post('/v1/responses', codexBody([...beginning, ...kept, result]), headers)).status, 200)
  t.deepEqual(rolesOf(api.service.lastRequest), ['system', 'system', 'user', 'user', 'assistant', 'tool'])
  t.deepEqual(messageOf(api.service.lastRequest, 4) as unknown, {
    role: 'assistant',
    content: [{ kind: 'text', text: 'I look.' }],
    reasoning: 'List first.',
    toolCalls: [{ id: 'call_1', name: 'shell', arguments: '{"command":["ls"]}' }],
  })
  t.is(api.service.responses.size, 0)
})

test('Codex CLI: the patch tool, with its grammar in Lark, is called with a text', async (t) => {
  const api = await openStrict(t)
  const patch = '*** Begin Patch\n*** Delete File: a.ts\n*** End Patch'
  api.service.answer = () => [...call('call_1', 'apply_patch', JSON.stringify({ input: patch })), done({ finish: 'tool_calls' })]
  const tool = { type: 'custom', name: 'apply_patch', description: 'Use the `apply_patch` tool to edit files.', format: { type: 'grammar', syntax: 'lark', definition: APPLY_PATCH } }
  const body = codexBody([said('user', 'Remove a.ts.')])
  const response = await api.post('/v1/responses', { ...body, tools: [{ type: 'function', ...shell }, tool] })
  t.is(response.status, 200)
  t.is(response.headers.get('x-ignored-fields'), null)
  const events = namedEvents<StreamEvent>(await response.text()).map(({ data }) => data)
  t.like(events.find(({ type }) => type === 'response.output_item.done')?.item, { type: 'custom_tool_call', name: 'apply_patch', call_id: 'call_1', input: patch })
})

test('Codex CLI: without stored responses, a conversation that is sent whole reuses its history', async (t) => {
  const api = await openSimulatedApi(t)
  const input: unknown[] = [said('developer', 'Keep changes small. '.repeat(30))]
  let history = 0
  for (let turn = 0; turn < 6; turn++) {
    input.push(said('user', `Task ${turn}: rename the variable in file ${turn} and run its tests.`))
    const response = await api.post('/v1/responses', { ...codexBody(input), stream: false, max_output_tokens: 30 })
    const { output, usage } = (await response.json()) as {
      output: unknown[]
      usage: { input_tokens: number; output_tokens: number; input_tokens_details: { cached_tokens: number } }
    }
    const reused = usage.input_tokens_details.cached_tokens
    t.true(reused >= 0.95 * history, `turn ${turn} reused ${reused} of ${history} tokens`)
    history = usage.input_tokens + usage.output_tokens
    input.push(...output)
  }
})

test('the AI SDK’s default provider: texts in parts, references to items that the server keeps, a schema', async (t) => {
  const api = await openStrict(t)
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
  const format = { type: 'json_schema', strict: true, name: 'response', description: 'A city', schema }
  const user = (text: string) => ({ role: 'user', content: [{ type: 'input_text', text }] })
  const first = (await (await api.post('/v1/responses', { model: 'fake-model', input: [{ role: 'developer', content: 'Be brief.' }, user('Where?')], text: { format } })).json()) as {
    output: Array<{ id: string }>
  }
  t.like(api.service.lastRequest, { constraint: { kind: 'json_schema', schema }, constraintField: 'text.format.schema' })
  const input = [user('Where?'), { type: 'item_reference', id: first.output[0]?.id }, { role: 'assistant', content: [{ type: 'output_text', text: 'Rome' }], id: 'msg_1' }, user('Why?')]
  t.is((await api.post('/v1/responses', { model: 'fake-model', input, temperature: 0, top_logprobs: undefined })).status, 200)
  t.deepEqual(rolesOf(api.service.lastRequest), ['user', 'assistant', 'assistant', 'user'])
})

function claudeBody(messages: readonly unknown[]): object {
  const marker = { cache_control: { type: 'ephemeral', ttl: '1h' } }
  return {
    model: 'fake-model',
    max_tokens: 32_000,
    stream: true,
    metadata: { user_id: 'user_a_account__session_b' },
    system: [
      { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.37.fbe; cc_entrypoint=cli; cch=00af1;' },
      { type: 'text', text: 'You are a coding assistant on the command line.', ...marker },
    ],
    tools: [{ name: 'Bash', description: shell.description, input_schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', ...shell.parameters }, eager_input_streaming: true }],
    thinking: { type: 'adaptive' },
    context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
    output_config: { effort: 'high' },
    messages,
  }
}

test('Claude Code: markers, thinking that it sends back, results of tools, reminders, counters', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [reasoning('List first.'), ...call('call_1', 'Bash', '{"command":["ls"]}'), done({ finish: 'tool_calls' })]
  const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14', 'x-app': 'cli', authorization: 'Bearer none' }
  const reminder = { type: 'text', text: '<system-reminder>\nContext.\n</system-reminder>\n' }
  const question = { role: 'user', content: [reminder, { type: 'text', text: 'Fix the test.', cache_control: { type: 'ephemeral', ttl: '1h' } }] }
  const counter = { role: 'system', content: '<total_tokens>180000 tokens left</total_tokens>' }
  const response = await api.post('/v1/messages?beta=true', claudeBody([question, counter]), headers)
  t.is(response.status, 200)
  const text = await response.text()
  t.true(text.includes('"stop_reason":"tool_use"'))
  const { content } = await anthropicClient(api.url).messages.stream({ model: 'fake-model', max_tokens: 99, messages: [{ role: 'user', content: 'Again.' }] }).finalMessage()
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'a.ts' }], is_error: false }, { type: 'text', text: 'Go on.' }] }
  t.is((await api.post('/v1/messages?beta=true', claudeBody([question, counter, { role: 'assistant', content }, result, counter]), headers)).status, 200)
  const request = api.service.lastRequest
  t.deepEqual(rolesOf(request), ['system', 'user', 'system', 'assistant', 'tool', 'user', 'system'])
  t.like(messageOf(request, 3), { reasoning: 'List first.', toolCalls: [{ id: 'call_1', name: 'Bash', arguments: '{"command":["ls"]}' }] })
  t.like(request, { retention: 'day', templateArguments: { enable_thinking: true, reasoning_effort: 'high' }, maxTokens: 32_000 })
  t.false(JSON.stringify(request.prompt).includes('billing'))
})
