// Requests in the shape that Codex CLI (chat), Cline and Continue send them.

import test from 'ava'
import { call, delta, done, reasoning } from '../support/fake-service.js'
import { callsOf, chunksOf, madeCall, openStrict, passes } from './support.js'

const shell = {
  name: 'shell',
  description: 'Runs a shell command and returns its output.',
  strict: false,
  parameters: {
    type: 'object',
    properties: { command: { type: 'array', items: { type: 'string' } }, workdir: { type: 'string' }, timeout_ms: { type: 'number' } },
    required: ['command'],
    additionalProperties: false,
  },
}

test('Codex CLI: instructions, reasoning beside calls, results of calls, a stream of calls', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [reasoning('List first.'), ...call('call_2', 'shell', '{"command":', '["ls"]}'), done({ finish: 'tool_calls' })]
  const body = {
    model: 'fake-model',
    messages: [
      { role: 'system', content: 'You are a coding agent running in a terminal.' },
      { role: 'user', content: '<environment_context>\n  <cwd>/repo</cwd>\n</environment_context>' },
      { role: 'user', content: 'Fix the test.' },
      { role: 'assistant', content: null, reasoning: 'Look at it.', tool_calls: [madeCall('call_1', 'shell', '{"command":["cat","a.ts"]}')] },
      { role: 'tool', tool_call_id: 'call_1', content: '{"output":"const a = 1\\n","metadata":{"exit_code":0,"duration_seconds":0.1}}' },
      { role: 'assistant', content: 'I see.', reasoning: 'So.' },
      { role: 'user', content: [{ type: 'text', text: 'Go on.' }] },
    ],
    stream: true,
    tools: [{ type: 'function', function: shell }],
  }
  const { response, request, messages } = await passes(api, body, { 'x-session-id': '01997d0c-7f0e-7c53-8d3e-3c1f5a4f6b21', originator: 'codex_cli_rs' })
  t.is(request.conversation, '01997d0c-7f0e-7c53-8d3e-3c1f5a4f6b21')
  t.deepEqual(request.tools, { definitions: [shell], choice: 'auto', parallel: true })
  t.deepEqual(messages.slice(3, 6), [
    { role: 'assistant', content: '', reasoning: 'Look at it.', toolCalls: [{ id: 'call_1', name: 'shell', arguments: '{"command":["cat","a.ts"]}' }] },
    { role: 'tool', content: body.messages[4]?.content as string, toolCallId: 'call_1' },
    { role: 'assistant', content: 'I see.', reasoning: 'So.' },
  ])
  const chunks = await chunksOf(response)
  t.deepEqual(chunks.flatMap(({ choices }) => choices[0]?.delta.reasoning ?? []), ['List first.'])
  t.deepEqual(callsOf(chunks), [{ id: 'call_2', name: 'shell', arguments: '{"command":["ls"]}' }])
  t.is(chunks.at(-1)?.choices[0]?.finish_reason, 'tool_calls')
})

test('Cline: content in parts, one call at a time, usage at the end of the stream', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [reasoning('Hm.'), delta('Reading.'), ...call('call_2', 'read_file', '{"path":"b.ts"}'), done({ finish: 'tool_calls' })]
  const readFile = { name: 'read_file', description: 'Reads a file.', strict: false, parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] } }
  const body = {
    model: 'fake-model',
    messages: [
      { role: 'system', content: 'You are Cline.' },
      { role: 'user', content: [{ type: 'text', text: '<task>\nMend it\n</task>' }, { type: 'text', text: '<environment_details>\n</environment_details>' }] },
      { role: 'assistant', content: 'First.', tool_calls: [madeCall('call_1', 'read_file', '{"path":"a.ts"}')], reasoning_details: [] },
      { role: 'tool', tool_call_id: 'call_1', content: 'const a = 1' },
      { role: 'user', content: [{ type: 'text', text: '<environment_details>\n</environment_details>' }] },
    ],
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    tools: [{ type: 'function', function: readFile }],
    tool_choice: 'auto',
    parallel_tool_calls: false,
  }
  const { response, request, messages } = await passes(api, body)
  t.deepEqual(request.tools, { definitions: [readFile], choice: 'auto', parallel: false })
  t.is(request.sampling.temperature, 0)
  t.is(messages[1]?.content, '<task>\nMend it\n</task><environment_details>\n</environment_details>')
  const chunks = await chunksOf(response)
  t.deepEqual(chunks.flatMap(({ choices }) => choices[0]?.delta.reasoning_content ?? []), ['Hm.'])
  t.deepEqual(callsOf(chunks), [{ id: 'call_2', name: 'read_file', arguments: '{"path":"b.ts"}' }])
  t.like(chunks.at(-1), { choices: [], usage: { prompt_tokens: 100, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 88 } } })
})

test('Continue: an empty content beside calls, stops, and completions for the editor', async (t) => {
  const api = await openStrict(t)
  const body = {
    messages: [
      { role: 'system', content: '<important_rules>\n</important_rules>' },
      { role: 'user', content: [{ type: 'text', text: 'Where is it used?' }] },
      { role: 'assistant', content: '', tool_calls: [madeCall('call_1', 'builtin_grep_search', '')] },
      { role: 'tool', content: '', tool_call_id: 'call_1' },
    ],
    model: 'fake-model',
    max_tokens: 4096,
    temperature: 0.5,
    top_p: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    stop: ['</s>', '<|im_end|>'],
    stream: true,
    stream_options: { include_usage: true },
    tools: [{ type: 'function', function: { name: 'builtin_grep_search', description: 'Searches.', parameters: { type: 'object', properties: {} } } }],
  }
  const { response, request, messages } = await passes(api, body)
  t.is((await chunksOf(response)).at(-1)?.choices.length, 0)
  t.like(request, { maxTokens: 4096, stop: ['</s>', '<|im_end|>'] })
  t.deepEqual(messages.slice(2), [
    { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'builtin_grep_search', arguments: '{}' }] },
    { role: 'tool', content: '', toolCallId: 'call_1' },
  ])
  const completion = { model: 'fake-model', prompt: '<fim_prefix>a = <fim_suffix>\n<fim_middle>', max_tokens: 1000, temperature: 0.01, stream: true, stop: ['\n\n'] }
  t.is((await passes(api, completion)).request.maxTokens, 1000)
})
