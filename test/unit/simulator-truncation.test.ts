// The simulator's view is the server's: a conversation of ten windows, served and then replayed from its log.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import type { RequestLogRecord } from '../../ts/scheduler/core/options.js'
import type { TurnMessage, TurnUsage } from '../../ts/service/types.js'
import { replayTiers, type TieredTruncation } from '../../ts/simulator/tiered/replay.js'
import type { TieredResult } from '../../ts/simulator/tiered/result.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import { reusedTokens, simulatedService } from '../support/simulated-service.js'
import { converse, WINDOW } from '../support/truncated-conversation.js'
import { FakeTerminal } from './support/terminal.js'

const folder = mkdtempSync(join(tmpdir(), 'attentionstore-simulator-truncation-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

const SLOTS = { hbm: 24, dram: 60, ssd: 400 }
const MINUTE = 60_000
const { blockBytes, hostSlotBytes } = blockSizes(cpu2)
const TIER_BYTES = { hbm: SLOTS.hbm * blockBytes, dram: SLOTS.dram * hostSlotBytes, ssd: SLOTS.ssd * hostSlotBytes }

/** Tokens of a prompt, by what became of them. */
interface TurnTokens {
  readonly prompt: number
  readonly reused: number
  readonly computed: number
  readonly outsideView: number
}

const tokensOf = (usage: TurnUsage): TurnTokens => ({
  prompt: usage.promptTokens,
  reused: reusedTokens(usage),
  computed: usage.computedTokens,
  outsideView: usage.outsideViewTokens,
})

const sum = (turns: readonly TurnTokens[], of: keyof TurnTokens): number => turns.reduce((all, turn) => all + turn[of], 0)

interface Served {
  readonly log: string
  readonly turns: readonly TurnTokens[]
}

let count = 0

async function serve(truncation: TieredTruncation, messages: TurnMessage[] = []): Promise<Served> {
  const lines: RequestLogRecord[] = []
  const turns: TurnTokens[] = []
  const served = simulatedService({ slots: SLOTS, profile: cpu2 }, { maxContext: 1024, policy: 'lru', ...truncation, onRequestLogged: line => lines.push(line) })
  // People think between turns: the replay's next turn must not come before its answer has ended.
  const thinks = (): Promise<void> => new Promise(resolve => void served.clock.after(MINUTE, resolve))
  await converse(() => served, 10, ({ usage }) => (turns.push(tokensOf(usage)), thinks()), messages)
  await served.close()
  const log = join(folder, `requests-${count++}.jsonl`)
  writeFileSync(log, lines.map(line => JSON.stringify(line)).join('\n'))
  return { log, turns }
}

async function replay(log: string, truncation: TieredTruncation): Promise<TurnTokens[]> {
  const turns: TurnTokens[] = []
  const setting = { policy: 'lru', profile: cpu2, tierBytes: TIER_BYTES, noReuse: false, truncation } as const
  const { refused } = await replayTiers(await readTrace(log), setting, (index, usage) => (turns[index] = tokensOf(usage)))
  if (refused > 0) throw new Error(`${refused} requests were refused`)
  return turns
}

for (const truncationRatio of [0.5, 0.25]) {
  const reusing: TieredTruncation = { contextWindow: WINDOW, truncationRatio, reuseAfterTruncation: true }

  test(`a conversation of ten windows reuses at every turn of the simulator what it did in the service, ratio ${truncationRatio}`, async t => {
    const { log, turns } = await serve(reusing)
    t.true(turns.length > 20)
    t.true(sum(turns, 'outsideView') > 0)
    t.deepEqual(await replay(log, reusing), turns)
  })

  test(`without reuse after a truncation it begins anew where the service does, ratio ${truncationRatio}`, async t => {
    const forgetting = { ...reusing, reuseAfterTruncation: false }
    const { log, turns } = await serve(forgetting)
    const replayed = await replay(log, forgetting)
    const outline = ({ prompt, outsideView }: TurnTokens) => ({ prompt, outsideView })
    t.deepEqual(replayed.map(outline), turns.map(outline))
    // Behind the head comes another text each time. Hashes of blocks do not say that some of these begin alike.
    replayed.forEach(({ reused }, i) => t.true(Math.abs(reused - (turns[i]?.reused ?? 0)) < 16, `turn ${i}`))
    t.true(Math.abs(sum(replayed, 'reused') / sum(turns, 'reused') - 1) < 0.03)
  })
}

test('a system prompt of several blocks stays in the view of the simulator too', async t => {
  const truncation = { contextWindow: WINDOW, truncationRatio: 0.5, reuseAfterTruncation: true }
  const { log, turns } = await serve(truncation, [{ role: 'system', content: 'be brief. '.repeat(11) }])
  const records = readFileSync(log, 'utf8').split('\n').map(line => JSON.parse(line) as RequestLogRecord)
  t.true(records.every(({ system_tokens }) => system_tokens > 64 && system_tokens <= 128))
  t.deepEqual(await replay(log, truncation), turns)
})

test('without reuse after a truncation the simulator shows the loss of the same turns', async t => {
  const reusing = { contextWindow: WINDOW, truncationRatio: 0.5, reuseAfterTruncation: true }
  const { log } = await serve(reusing)
  const [on, off] = [await replay(log, reusing), await replay(log, { ...reusing, reuseAfterTruncation: false })]
  t.is(sum(on, 'prompt'), sum(off, 'prompt'))
  t.true(sum(off, 'computed') > 1.3 * sum(on, 'computed'), `${sum(off, 'computed')} computed, ${sum(on, 'computed')} with reuse`)
  t.true(sum(off, 'reused') < sum(on, 'reused'))
})

async function simulate(log: string, ...args: readonly string[]): Promise<{ code: number; terminal: FakeTerminal }> {
  const terminal = new FakeTerminal()
  const tiers = ['--hbm-bytes', TIER_BYTES.hbm, '--dram-bytes', TIER_BYTES.dram, '--ssd-bytes', TIER_BYTES.ssd].map(String)
  return { code: await terminal.run('simulate', '--trace', log, ...tiers, ...args), terminal }
}

test('simulate takes the server\'s options, and says how much of the view was reused', async t => {
  const truncation = { contextWindow: WINDOW, truncationRatio: 0.25, reuseAfterTruncation: false }
  const { log } = await serve(truncation)
  const turns = await replay(log, truncation)
  const [json, report] = [join(folder, 'truncated.json'), join(folder, 'truncated.html')]
  const { code, terminal } = await simulate(log, '--context-window', `${WINDOW}`, '--truncation-ratio', '0.25', '--reuse-after-truncation', 'off', '--json', json, '--report', report)
  t.is(code, 0, terminal.stderr)
  const [result] = JSON.parse(readFileSync(json, 'utf8')) as TieredResult[]
  t.like(result, {
    truncation: { context_window: WINDOW, truncation_ratio: 0.25, reuse_after_truncation: false },
    refused_requests: 0,
    hit_tokens: sum(turns, 'reused'),
    view_hit_rate: sum(turns, 'reused') / (sum(turns, 'prompt') - sum(turns, 'outsideView')),
  })
  t.regex(terminal.stdout, /of the view/)
  t.regex(readFileSync(report, 'utf8'), /see 512 tokens at most/)
  const untruncated = await simulate(log, '--json', json)
  t.is(untruncated.code, 0, untruncated.terminal.stderr)
  const [ended] = JSON.parse(readFileSync(json, 'utf8')) as TieredResult[]
  t.is(ended?.truncation, null)
  t.true((ended?.refused_requests ?? 0) > 0)
  t.notRegex(untruncated.terminal.stdout, /of the view/)
})

test('a window that does not fit, and options of truncation without one, are refused', async t => {
  const { log } = await serve({ contextWindow: WINDOW, truncationRatio: 0.5, reuseAfterTruncation: true })
  const refused: ReadonlyArray<readonly [string, ...string[]]> = [
    ['--context-window', '255'],
    ['--context-window', `${SLOTS.hbm * 64}`],
    ['--truncation-ratio', '0.5'],
    ['--reuse-after-truncation', 'off'],
    ['--context-window', '512', '--truncation-ratio', '0'],
    ['--reuse-after-truncation', 'perhaps', '--context-window', '512'],
  ]
  for (const args of refused) {
    const { code, terminal } = await simulate(log, ...args)
    t.is(code, 2, args.join(' '))
    t.regex(terminal.stderr, /--(context-window|truncation-ratio|reuse-after-truncation)/)
  }
  const one = new FakeTerminal()
  t.is(await one.run('simulate', '--trace', log, '--capacity', '5%', '--context-window', '512'), 2)
})
