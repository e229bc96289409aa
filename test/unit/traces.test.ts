// Trace readers: tiny files of every format, damaged ones, and the real ones where they lie beside the repository.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ExitError } from '../../ts/protocol/errors.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace } from '../../ts/simulator/traces/trace.js'
import { traceFile } from '../support/corpus.js'

const folder = mkdtempSync(join(tmpdir(), 'attentionstore-traces-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
function file(content: string | Buffer): string {
  const path = join(folder, `trace-${files++}`)
  writeFileSync(path, content)
  return path
}

/** Requests without the arrays' types. */
function plain(trace: Trace): unknown[] {
  return trace.requests.map(({ blocks, ...rest }) => ({ ...rest, blocks: [...blocks] }))
}

const MOONCAKE = [
  '{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [7, 9]}',
  '{"timestamp": 1500, "input_length": 1024, "output_length": 1, "hash_ids": [7, 8]}',
  '',
].join('\n')

/** The lines above, packed by xz. */
const MOONCAKE_XZ =
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4ACfAFVdAD2IiobUFfjk4OgbmsopT2S+UUC7QpkIo563cq4uKv2uFtZmcbOpCkeC9snrQCXNRPT2G5wfyTOM/xhdhSKhmnPXKWbffsTTMoVTn+WBCw7kQEq3AAAAAAAA92q3jaKlszEAAXGgAQAAAErysMuxxGf7AgAAAAAEWVo='

/** a.json and b.json, two sessions of agents with a subagent each, as .tar.xz. */
const AGENTS_TAR_XZ =
  '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AOVdADCLiUdz+CpVVJXR/2NgntwbmklkfdoGdOPRLzwm+Spf7OTuprOsZwmTz8IRcTHaRnIwM+CZNhraj4XQXHREk/MfrpTHiQl2XkhZ0w8NWJJAaAU+dvKlzXOHzLg8OKaH8+JAzF0HMuqoz5HrvkrYnt2s4lF8/v8C9e/pp0EiCPI3SepVR6WLJy7LiuGlKg9TK+cLEFLV8of8lS64o9RDmWeP/NaCBn3S8Qhf7CDYg9elvFG3GByIT+Lrwvr1md/dvh6MqUn2lf/ihhSaHCfTs+TlaS24T90i2bHD1ieA/xvRLdLMbQAAAAAA2ETstIjEzFUAAYECgFAAAEvYnO2xxGf7AgAAAAAEWVo='

const mooncakeRequests = [
  { atMs: 0, inputTokens: 600, outputTokens: 5, reusableTokens: 600, promptBlocks: 2, hasPartialTail: true, blocks: [0, 1] },
  { atMs: 1500, inputTokens: 1024, outputTokens: 1, reusableTokens: 1024, promptBlocks: 2, hasPartialTail: false, blocks: [0, 2] },
]

test('a Mooncake trace is read plain and packed, whatever its name', async t => {
  for (const content of [MOONCAKE, Buffer.from(MOONCAKE_XZ, 'base64')]) {
    const trace = await readTrace(file(content))
    t.like(trace, { format: 'Mooncake', blockTokens: 512, uniqueBlocks: 3 })
    t.deepEqual(plain(trace), mooncakeRequests)
  }
})

test("the server's own request log gives prompt and answer blocks, in order of arrival", async t => {
  const line = (t_ms: number, hashes: string[]) =>
    JSON.stringify({ t_ms, conversation: 'c', tenant: '', input_tokens: 70, system_tokens: 30, output_tokens: 80, block_hashes: hashes, reused: 0, outside_view: 0 })
  const trace = await readTrace(file([line(900, ['a', 'b', 'd']), line(400, ['a', 'b', 'c'])].join('\n')))
  t.like(trace, { format: 'request log', blockTokens: 64, uniqueBlocks: 4 })
  t.deepEqual(plain(trace), [
    { atMs: 0, inputTokens: 70, systemTokens: 30, outputTokens: 80, reusableTokens: 70, promptBlocks: 2, hasPartialTail: true, blocks: [0, 1, 3] },
    { atMs: 500, inputTokens: 70, systemTokens: 30, outputTokens: 80, reusableTokens: 70, promptBlocks: 2, hasPartialTail: true, blocks: [0, 1, 2] },
  ])
})

test('turns of a ShareGPT session share blocks, and answers fill some', async t => {
  const sessions = ['{"session": 0, "turns": [{"new": 74, "prompt": 74, "output": 54}, {"new": 10, "prompt": 138, "output": 1}]}']
  const trace = await readTrace(file(sessions.join('\n')))
  t.like(trace, { format: 'ShareGPT sessions', blockTokens: 64, uniqueBlocks: 3 })
  const [first, second] = trace.requests
  t.deepEqual(trace.requests.map(({ reusableTokens }) => reusableTokens), [0, 128])
  t.deepEqual([[...(first?.blocks ?? [])], first?.promptBlocks, first?.hasPartialTail], [[0, 1], 2, false])
  t.deepEqual([[...(second?.blocks ?? [])], second?.promptBlocks, second?.hasPartialTail], [[0, 1, 2], 3, true])
})

test('arrival times that a trace does not have come from the seed alone', async t => {
  const path = file('{"turns": [{"prompt": 10, "output": 10}, {"prompt": 30, "output": 10}]}\n'.repeat(20))
  const times = async (seed: number): Promise<number[]> => (await readTrace(path, { seed })).requests.map(({ atMs }) => atMs)
  t.deepEqual(await times(3), await times(3))
  t.notDeepEqual(await times(3), await times(4))
  t.true((await times(3)).every((atMs, i, all) => i === 0 || atMs >= (all[i - 1] ?? 0)))
})

test('agent sessions come out of a packed archive, ids apart, subagents at their own time', async t => {
  const trace = await readTrace(file(Buffer.from(AGENTS_TAR_XZ, 'base64')))
  t.like(trace, { format: 'agent sessions', blockTokens: 64, uniqueBlocks: 5 })
  const lengths = trace.requests.map(({ blocks }) => blocks.length)
  t.deepEqual(lengths.toSorted(), [1, 1, 2, 3])
  const [a, aSub] = trace.requests.filter(({ blocks }) => blocks[0] === 0)
  t.is((aSub?.atMs ?? 0) - (a?.atMs ?? 0), 12_500)
  t.true(aSub?.hasPartialTail === false, 'the trace leaves partial blocks out')
})

test("Azure's rows are arrivals of prompts that share nothing", async t => {
  const rows = ['TIMESTAMP,ContextTokens,GeneratedTokens', '2023-11-16 18:15:46.6805900,374,44', '2023-11-16 18:15:50.9951690,64,109']
  const trace = await readTrace(file(rows.join('\r\n')))
  t.like(trace, { format: 'Azure', uniqueBlocks: 7 })
  t.deepEqual(trace.requests.map(({ promptBlocks }) => promptBlocks), [6, 1])
  t.is(Math.round(trace.requests[1]?.atMs ?? 0), 4315)
})

async function fails(path: string): Promise<ExitError> {
  try {
    await readTrace(path)
  } catch (error) {
    if (error instanceof ExitError) return error
    throw error
  }
  throw new Error('it was read')
}

const wrong: ReadonlyArray<readonly [what: string, content: string | Buffer, place: string]> = [
  ['a line that is cut off', `${MOONCAKE}{"timestamp": 1, "inp`, 'line 3'],
  ['a line of another format', `${MOONCAKE}{"turns": []}\n`, 'line 3'],
  ['a negative length', MOONCAKE.replace('1024', '-1'), 'line 2'],
  ['a file of no known format', 'hello\n', 'line 1'],
  ['an empty file', '', ''],
  ['a damaged xz stream', Buffer.from(MOONCAKE_XZ, 'base64').fill(0x55, 30, 60), ''],
  ['an xz stream that is cut off', Buffer.from(MOONCAKE_XZ, 'base64').subarray(0, 60), ''],
]

for (const [what, content, place] of wrong) {
  test(`${what} is an error with exit code 2 that names file and place`, async t => {
    const path = file(content)
    const error = await fails(path)
    t.is(error.exitCode, 2)
    t.is(error.code, 'invalid_trace')
    t.deepEqual(error.context, { path, place })
  })
}

test('a file that is not there is an error with exit code 3', async t => {
  const path = join(folder, 'nowhere')
  const error = await fails(path)
  t.is(error.exitCode, 3)
  t.deepEqual(error.context, { path })
})

test('progress ends at the whole file', async t => {
  const shares: number[] = []
  await readTrace(file(MOONCAKE), { onProgress: share => void shares.push(share) })
  t.is(shares.at(-1), 1)
})

// The real traces: requests, unique blocks, and the greatest share of prompt blocks that can be hits.
const REAL = [
  ['mooncake_conversation_trace.jsonl.xz', 'Mooncake', 12_031, 182_790],
  ['sharegpt8k_sessions.jsonl.xz', 'ShareGPT sessions', 26_628, 217_441],
  ['agent_coding_sessions.tar.xz', 'agent sessions', 5974, 365_897],
  ['azure2023_conv.csv.xz', 'Azure', 19_366, 359_180],
] as const

for (const [name, format, requests, uniqueBlocks] of REAL) {
  const path = traceFile(name)
  const run = path === null ? test.skip : test
  run(`the real trace ${name} is read whole`, async t => {
    const trace = await readTrace(path ?? '')
    t.like(trace, { format, uniqueBlocks })
    t.is(trace.requests.length, requests)
  })
}
