// What a request log says of the machine, and what a replay makes of it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import type { HardwareProfile } from '../../ts/engine/simulated/profiles/profile.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import { attendedBy, stepMs, type StepWork } from '../../ts/engine/step-costs.js'
import { LeastSquares } from '../../ts/scheduler/costs/least-squares.js'
import { hasChanged, type MachineRecord } from '../../ts/scheduler/costs/machine.js'
import type { RequestLogRecord } from '../../ts/scheduler/core/options.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { TieredResult } from '../../ts/simulator/tiered/result.js'
import { chat, readTurn, simulatedService } from '../support/simulated-service.js'
import { user } from '../support/talk.js'
import { FakeTerminal } from './support/terminal.js'

const folder = mkdtempSync(join(tmpdir(), 'attentionstore-machine-'))
test.after.always(() => rmSync(folder, { recursive: true }))

const SLOTS = { hbm: 40, dram: 60, ssd: 200 }

/** A machine unlike any profile: few rows cost more each than many, and attention is dear. */
const MACHINE: HardwareProfile = {
  ...cpu2,
  layers: 7,
  stepBaseMs: 11,
  stepPerRowMs: 0.4,
  stepPerFewRowMs: 0.9,
  stepPerHistoryTokenMs: 0,
  stepPerAttendedMs: 0.0004,
  loadRate: 3e6,
  writeRate: 1e6,
}

async function logged(): Promise<RequestLogRecord[]> {
  const log: RequestLogRecord[] = []
  const { service, close } = simulatedService({ slots: SLOTS, profile: MACHINE }, { onRequestLogged: (record) => log.push(record), maxContext: 2400 })
  for (let round = 0; round < 4; round++) {
    const turns = Array.from({ length: 1 + round }, (_, i) =>
      service.start(chat([user(`${i} and ${'more '.repeat(60 + 150 * round)}`)], { ignoreEos: true, maxTokens: 20 })),
    )
    for (const turn of await Promise.all(turns)) await readTurn(turn)
  }
  await close()
  return log
}

const decoding = (rows: number, history: number): StepWork => ({ rows, history: rows * history, attended: rows * (history + 1) })
const prefill = (rows: number, from: number): StepWork => ({ rows, history: from, attended: attendedBy(from, rows) })

test('a request log says what the machine is, and a trace of it what its steps and transfers take there', async (t) => {
  const log = await logged()
  const path = join(folder, 'own.jsonl')
  writeFileSync(path, log.map((record) => JSON.stringify(record)).join('\n'))
  const { machine } = await readTrace(path)
  if (!machine) return t.fail('no machine')
  const { blockBytes, hostSlotBytes } = blockSizes(MACHINE)
  t.like(machine, { name: 'recorded', layers: 7, kvBytesPerToken: cpu2.kvBytesPerToken, modelContext: 2400, maxBatchTokens: 256 })
  t.deepEqual(machine.tierBytes, { hbm: 40 * blockBytes, dram: 60 * hostSlotBytes, ssd: 200 * hostSlotBytes })
  for (const work of [decoding(1, 300), decoding(4, 500), prefill(60, 0), prefill(256, 0), prefill(256, 768)]) {
    const [truth, found] = [stepMs(MACHINE, work), stepMs(machine, work)]
    t.true(Math.abs(found - truth) < 0.03 * truth, `${JSON.stringify(work)}: ${found} for ${truth} ms`)
  }
  t.true(machine.writeRate > 0.3 * MACHINE.writeRate && machine.writeRate < MACHINE.writeRate, `${machine.writeRate}: with what flushes take`)
})

test('the machine is said once and again only where something of it changed', async (t) => {
  const said = (await logged()).map(({ machine }) => machine).filter((machine) => machine !== undefined)
  t.true(said.length >= 1 && said.length < 10, `${said.length} of 10 lines`)
  const machine = said.at(-1) as MachineRecord
  t.true(hasChanged(null, machine))
  t.false(hasChanged(machine, machine))
  t.false(hasChanged(machine, { ...machine, step_ms: { ...machine.step_ms, base: 1.04 * machine.step_ms.base } }))
  t.true(hasChanged(machine, { ...machine, step_ms: { ...machine.step_ms, base: 0.8 * machine.step_ms.base } }))
  t.true(hasChanged(machine, { ...machine, bytes_per_ms: {} }))
})

test('costs that nothing tells apart, or that come out negative, are left out', (t) => {
  const alike = new LeastSquares(2, [[0, 1], [1]])
  for (let i = 0; i < 3; i++) alike.add([1, 10], 50, 1)
  t.deepEqual(alike.solve(), [0, 5])
  const falling = new LeastSquares(2, [[0, 1], [0]])
  falling.add([1, 1], 4, 1)
  falling.add([1, 3], 2, 1)
  t.deepEqual(falling.solve(), [3, 0])
})

const recorded: MachineRecord = {
  device: 'cpu (avx2, 2 threads)',
  layers: 4,
  kv_bytes_per_token: 1024,
  max_context: 4096,
  max_batch_tokens: 128,
  max_running: 16,
  tier_bytes: { hbm: 80 * 65_536, dram: 100 * 69_632, ssd: 0 },
  step_ms: { base: 2, row: 0.1, few_row: 0.05, attended: 0.000_01 },
  bytes_per_ms: { load: 1e6 },
}

function logFile(name: string, machines: readonly unknown[]): string {
  const path = join(folder, name)
  const lines = machines.map((machine, i) => ({
    t_ms: 1000 * i, conversation: `c${i}`, tenant: '', input_tokens: 128, output_tokens: 5, block_hashes: ['a', 'b', `c${i}`], reused: 0,
    ...(machine === null ? {} : { machine }),
  }))
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'))
  return path
}

async function simulated(trace: string, ...args: readonly string[]): Promise<TieredResult> {
  const json = join(folder, 'out.json')
  const terminal = new FakeTerminal()
  const code = await terminal.run('simulate', '--trace', trace, '--json', json, ...args)
  if (code !== 0) throw new Error(terminal.stderr)
  return (JSON.parse(readFileSync(json, 'utf8')) as [TieredResult])[0]
}

test('a log is replayed on the machine that it names last, unless a profile is named', async (t) => {
  const trace = logFile('machines.jsonl', [{ ...recorded, layers: 9 }, null, recorded])
  const { machine } = await readTrace(trace)
  t.like(machine, { loadRate: 1e6, saveRate: 1e6, readRate: cpu2.readRate, prices: cpu2.prices }, 'what had no work is that of a profile')
  const own = await simulated(trace)
  t.is(own.profile, 'recorded')
  t.deepEqual(own.tier_bytes, recorded.tier_bytes)
  // One step of 128 rows.
  t.true(Math.abs(own.ttft_ms.p99 - (2 + 12.8 + 0.8 + 0.08)) < 0.2, `${own.ttft_ms.p99} ms`)
  t.like(await simulated(trace, '--profile', 'recorded', '--dram-bytes', '0'), { profile: 'recorded', tier_bytes: { ...recorded.tier_bytes, dram: 0 } })
  t.is((await simulated(trace, '--profile', 'cpu-2')).profile, 'cpu-2')
  t.is((await simulated(trace, '--capacity', '50%')).profile, 'recorded')
})

test('without a machine in the log it is cpu-2; asked for, it is missed by name; a damaged one is an error', async (t) => {
  const silent = logFile('silent.jsonl', [null])
  t.is((await simulated(silent)).profile, 'cpu-2')
  const run = async (trace: string, ...args: readonly string[]) => {
    const terminal = new FakeTerminal()
    return { code: await terminal.run('simulate', '--trace', trace, ...args), stderr: terminal.stderr }
  }
  const asked = await run(silent, '--profile', 'recorded')
  t.is(asked.code, 2)
  t.regex(asked.stderr, /does not name the machine/)
  t.is((await run(logFile('damaged.jsonl', [{ ...recorded, layers: -1 }]))).code, 2)
})
