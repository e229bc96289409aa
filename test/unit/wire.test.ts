// Both halves of the wire against the description: the TypeScript half here, the Rust half in crates/engine/tests/wire.

import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { readDescription, ROOT, type WireType } from '../../scripts/wire/description.js'
import { wireFiles } from '../../scripts/wire/files.js'
import { pack, type ValueRecord, valuesOf } from '../../scripts/wire/values.js'
import { readEvents, WireWriter } from '../../ts/engine/native/wire.js'
import { readEngineEvent } from '../../ts/engine/native/wire.generated.js'
import type * as packed from '../../ts/engine/native/wire.generated.js'
import { WordReader } from '../../ts/engine/native/words.js'
import type { EngineEvent, StepPlan, StepReply, Transfer, TransferDone } from '../../ts/engine/types.js'
import { Random } from '../support/random.js'

const description = readDescription()
const type = (name: string): WireType => ({ kind: 'named', name })

/** Random values of a type with the words that the description packs them into. */
function cases(t: { log(line: string): void }, name: string): Array<readonly [value: ValueRecord, words: number[]]> {
  const seed = Number(process.env['WIRE_SEED'] ?? randomInt(2 ** 31))
  t.log(`seed ${seed}`)
  const random = new Random(seed)
  return valuesOf(description, name, 100, () => random.next()).map((value) => [value, pack(description, type(name), value)])
}

const buffer = (words: readonly number[]): Buffer => Buffer.from(Uint32Array.from(words).buffer)

test('the committed halves are what the description gives', (t) => {
  for (const [path, text] of wireFiles(description)) {
    t.true(readFileSync(join(ROOT, path), 'utf8') === text, `${path} is not what crates/engine/wire.json describes: run make generate`)
  }
})

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
/** A field that only one of them has does not compile. */
const sent: [Same<StepPlan, packed.StepPlan>, Same<Transfer, packed.Transfer>] = [true, true]

test('plans are packed as the description says, whatever was packed before', (t) => {
  t.true(sent.every(Boolean))
  const writer = new WireWriter()
  for (const [plan, words] of cases(t, 'StepPlan')) t.deepEqual([...writer.plan(plan as unknown as StepPlan)], words)
})

test('transfers of every kind are packed as the description says, one after another', (t) => {
  const all = cases(t, 'Transfer')
  const transfers = all.map(([value]) => value as unknown as Transfer)
  t.deepEqual([...new WireWriter().transfers(transfers)], all.flatMap(([, words]) => words))
})

test('events of every kind are read as the description packs them, one after another', (t) => {
  const all = cases(t, 'EngineEvent')
  const from = new WordReader(buffer(all.flatMap(([, words]) => words)))
  for (const [event] of all) t.deepEqual(readEngineEvent(from) as unknown, event)
  t.true(from.isAtEnd)
})

test('events that end early are refused', (t) => {
  for (const [, words] of cases(t, 'EngineEvent')) t.throws(() => readEvents(buffer(words.slice(0, -1))), { message: /end after/ })
})

/** What the engine's event means to the scheduler. */
function told(event: packed.EngineEvent): EngineEvent | undefined {
  return readEvents(buffer(pack(description, type('EngineEvent'), event as unknown as ValueRecord)))[0]
}

/** The row of a step that ends its answer for a reason. */
function ended(reason: packed.Finish): StepReply['rows'][number] | undefined {
  const finished = { reason, insideTokens: 11, insideBytes: 12, reasoningTokens: 4, computedTokens: 13, tailKey: undefined }
  const row = { sequence: 3, status: 'ok' as const, sampled: undefined, parts: [], scored: [], filled: [], finished }
  const step = told({ kind: 'step', step: 7, stepMs: 0, loadStallMs: 0, stalledLayers: 0, rows: [row] })
  return (step as StepReply).rows[0]
}

test('each reason to end has its word, and only what stopped the answer is named with it', (t) => {
  const reasons: packed.Finish[] = [
    { kind: 'end_token' },
    { kind: 'stop_token', value: 5 },
    { kind: 'stop_string', value: 'END' },
    { kind: 'length' },
    { kind: 'none_allowed' },
  ]
  const rows = reasons.map(ended)
  t.deepEqual(rows.map((row) => row?.finish), ['stop', 'stop', 'stop', 'length', 'none_allowed'])
  t.deepEqual(rows.map((row) => row?.stopped), [null, 5, 'END', null, null])
  t.like(rows[4], { insideTokens: 11, insideBytes: 12, reasoningTokens: 4, computedTokens: 13, tailKey: null })
  t.false('token' in (rows[4] ?? {}))
})

test('a sampled token comes with its log probability where one was asked for', (t) => {
  const row = { sequence: 3, status: 'ok' as const, parts: [], scored: [], filled: [], finished: undefined }
  const rows = [undefined, -0.5].map((logprob) => ({ ...row, sampled: { token: 9, logprob, top: [[9, -0.5] as const] } }))
  const step = told({ kind: 'step', step: 7, stepMs: 0, loadStallMs: 0, stalledLayers: 0, rows }) as StepReply
  t.deepEqual(step.rows.map(({ token }) => token), [9, 9])
  t.deepEqual(step.rows.map(({ logprob }) => logprob), [undefined, { token: 9, logprob: -0.5, top: [[9, -0.5]] }])
})

test('scores of a prompt come with the row that has some', (t) => {
  const scored = [{ logprob: -0.5, rank: 2, top: [[7, -0.25] as const, [9, -0.5] as const] }]
  const row = { sequence: 3, status: 'ok' as const, parts: [], sampled: undefined, filled: [], finished: undefined }
  const rows = [{ ...row, scored }, { ...row, scored: [] }]
  const step = told({ kind: 'step', step: 7, stepMs: 0, loadStallMs: 0, stalledLayers: 0, rows }) as StepReply
  t.deepEqual(step.rows.map((result) => result.scored), [scored, undefined])
})

test('the parts of an answer come in order', (t) => {
  const parts: packed.OutputPart[] = [
    { kind: 'reasoning', value: 'hm' },
    { kind: 'content', value: 'Größe' },
    { kind: 'call', name: 'f' },
    { kind: 'arguments', value: '{}' },
  ]
  const row = { sequence: 3, status: 'ok' as const, parts, scored: [], sampled: undefined, filled: [], finished: undefined }
  const step = told({ kind: 'step', step: 7, stepMs: 0, loadStallMs: 0, stalledLayers: 0, rows: [row] }) as StepReply
  const [reasoning, content, call, args] = [{ kind: 'reasoning', text: 'hm' }, { kind: 'content', text: 'Größe' }, { kind: 'call', name: 'f' }, { kind: 'arguments', text: '{}' }]
  t.deepEqual(step.rows[0]?.parts, [reasoning, content, call, args] as StepReply['rows'][number]['parts'])
})

test('a transfer that failed says why, and one that did not says nothing', (t) => {
  const done = { kind: 'transfer', id: 5, bytes: 9 + 2 ** 32, ms: 0 } as const
  t.deepEqual(told({ ...done, error: undefined }), done)
  const failed: TransferDone = { ...done, error: 'load_failed', detail: 'cuda:0: invalid argument' }
  t.deepEqual(told({ ...done, error: { code: 'load_failed', detail: 'cuda:0: invalid argument' } }), failed)
})
