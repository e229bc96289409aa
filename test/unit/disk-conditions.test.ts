// The state of the places that a server writes to: from transfers and reports to the log.

import test from 'ava'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import type { Transfer } from '../../ts/engine/types.js'
import { diskStateOf, type DiskReport } from '../../ts/protocol/disk.js'
import { DiskWatch } from '../../ts/scheduler/core/disk-watch.js'
import { DiskConditions } from '../../ts/telemetry/disk-conditions.js'
import { createLogger } from '../../ts/telemetry/logger.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'

function pass(clock: VirtualClock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve))
}

function conditions() {
  const lines: Record<string, unknown>[] = []
  const clock = new VirtualClock()
  return { lines, clock, disks: new DiskConditions(createLogger('warn', (line) => lines.push(JSON.parse(line) as Record<string, unknown>)), clock) }
}

test('the log has one line for each change of a place, however often it is reported', (t) => {
  const { lines, disks } = conditions()
  disks.watch('ssd')
  for (let i = 0; i < 3; i++) disks.report({ place: 'ssd', state: 'full', reason: `no room ${i}` })
  disks.report({ place: 'ssd', state: 'ok', reason: null })
  t.deepEqual(lines.map(({ level, place, state, reason, msg }) => [level, place, state, reason, msg]), [
    ['warn', 'ssd', 'full', 'no room 0', 'the disk of the ssd tier has no room'],
    ['warn', 'ssd', 'ok', undefined, 'the disk of the ssd tier works again'],
  ])
})

test('a place is as its worst part says, since that began', async (t) => {
  const { clock, disks } = conditions()
  disks.report({ place: 'ssd', part: 'growth', state: 'full', reason: 'the tier stays at 3 GiB' })
  await pass(clock, 1000)
  const since = clock.now()
  disks.report({ place: 'ssd', part: 'write', state: 'failing', reason: 'a write failed' })
  disks.report({ place: 'ssd', part: 'read', state: 'slow', reason: 'a read takes long' })
  t.like(disks.list(), [{ place: 'ssd', state: 'failing', reason: 'a write failed', since }])
  disks.report({ place: 'ssd', part: 'write', state: 'ok', reason: null })
  t.like(disks.list(), [{ state: 'full', reason: 'the tier stays at 3 GiB' }])
  disks.report({ place: 'ssd', part: 'growth', state: 'ok', reason: null })
  t.like(disks.list(), [{ state: 'slow' }])
})

test('a log that goes on says how many lines it lost', (t) => {
  const { lines, disks } = conditions()
  disks.watch('request_log', () => 12)
  disks.report({ place: 'request_log', state: 'full', reason: 'no room' })
  disks.report({ place: 'request_log', state: 'ok', reason: null })
  t.like(lines[1], { state: 'ok', lost_lines: 12, msg: 'the request log works again' })
  t.is(disks.list()[0]?.lostLines, 12)
})

test('an error that the system has no state for is a failure', (t) => {
  t.deepEqual([diskStateOf('ENOSPC'), diskStateOf('EIO'), diskStateOf(undefined)], ['full', 'failing', 'failing'])
})

function watched() {
  const reports: DiskReport[] = []
  const clock = new VirtualClock()
  const watch = new DiskWatch(clock, (report) => reports.push(report))
  const run = (kind: Transfer['kind'], error?: string, detail?: string): void => {
    watch.sent(kind)
    watch.ended(kind, { ...(error === undefined ? {} : { error }), ...(detail === undefined ? {} : { detail }) })
  }
  return { clock, watch, run, states: () => reports.map(({ part, state }) => `${part} ${state}`), reports }
}

test('an error of the system in the words of the engine has its state, and other errors of transfers say nothing of the disk', (t) => {
  const cases: ReadonlyArray<readonly [code: string, detail: string, state: string | undefined]> = [
    ['kv_no_space', '/x: no space', 'full'],
    ['kv_io', '/x: No space left on device (os error 28)', 'full'],
    ['kv_io', '/x: Read-only file system (os error 30)', 'read_only'],
    ['kv_io', '/x: No such device (os error 19)', 'gone'],
    ['kv_io', '/x: Input/output error (os error 5)', 'failing'],
    ['kv_damaged', 'a checksum', undefined],
    ['kv_queue_full', 'full', undefined],
    ['store_failed', 'a commit', undefined],
  ]
  for (const [code, detail, state] of cases) {
    const { run, reports } = watched()
    run('write', code, detail)
    t.deepEqual(reports.map((report) => report.state), state === undefined ? [] : [state], detail)
  }
})

test('a disk works again once the same direction works, and nothing failed for ten seconds', async (t) => {
  const { clock, run, states } = watched()
  run('write', 'kv_no_space')
  run('flush')
  await pass(clock, 9000)
  run('write', 'kv_no_space')
  await pass(clock, 9000)
  run('write')
  run('read')
  t.deepEqual(states(), ['write full'])
  await pass(clock, 2000)
  run('read')
  t.deepEqual(states(), ['write full'])
  run('flush')
  t.deepEqual(states(), ['write full', 'write ok'])
})

test('a disk is slow while transfers are under way and none ends, not while it is idle', async (t) => {
  const { clock, watch, states } = watched()
  watch.sent('load')
  watch.sent('read')
  watch.sent('write')
  for (let i = 0; i < 5; i++) {
    await pass(clock, 4000)
    watch.sent('read')
    watch.ended('read', {})
  }
  t.deepEqual(states(), [])
  await pass(clock, 6000)
  t.deepEqual(states(), ['pace slow'])
  // One call in ten seconds is still slow.
  await pass(clock, 4000)
  watch.ended('read', {})
  await pass(clock, 20_000)
  t.deepEqual(states(), ['pace slow'])
  watch.ended('write', {})
  await pass(clock, 60_000)
  watch.sent('read')
  watch.ended('read', {})
  t.deepEqual(states(), ['pace slow', 'pace ok'])
})

test('a full ssd is told once, answers go on, and the tier is used again when there is room', async (t) => {
  let isFull = true
  const reports: DiskReport[] = []
  const faults = { fails: ({ kind }: { readonly kind: string }) => (isFull && kind === 'write' ? 'kv_no_space' : undefined) }
  const served = simulatedService({ faults }, { onDisk: (report) => reports.push(report) })
  const question = 'a question that is long enough to fill a few blocks of tokens. '.repeat(6)
  const asked = (content: string) => chat([{ role: 'user', content }], { maxTokens: 24, ignoreEos: true })
  await ask(served.service, asked(question))
  await ask(served.service, asked(`another ${question}`))
  await pass(served.clock, 20_000)
  t.deepEqual(reports.map(({ place, state }) => [place, state]), [['ssd', 'full']])
  isFull = false
  await ask(served.service, asked(`a third ${question}`))
  await served.service.demote('ssd')
  t.deepEqual(reports.map(({ place, state }) => [place, state]), [['ssd', 'full'], ['ssd', 'ok']])
  const again = await ask(served.service, asked(`a third ${question}`))
  t.true(reusedTokens(again.usage) > 0 && again.usage.reusedTokens.ssd > 0)
  await served.close()
})
