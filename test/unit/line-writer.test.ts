// Lines of the log and the request log on disks that are full, slow or gone.

import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { systemClock } from '../../ts/engine/clock.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import type { DiskState } from '../../ts/protocol/disk.js'
import { AppendedFile, type LineSink, type Written } from '../../ts/telemetry/line-sinks.js'
import { LineWriter } from '../../ts/telemetry/line-writer.js'
import { RequestLogFile } from '../../ts/telemetry/request-log.js'
import { temporaryFolder } from '../support/paths.js'

/** A disk with room for `room` bytes, on which a write fails with `code`, or does not end. */
class FakeDisk implements LineSink {
  room = Infinity
  code = 'ENOSPC'
  isStuck = false
  isClosed = false
  #parts: Buffer[] = []
  #stuck: Array<() => void> = []

  get text(): string {
    return Buffer.concat(this.#parts).toString()
  }

  write(bytes: Buffer, written: Written): void {
    const end = (): void => {
      const count = Math.min(bytes.length, this.room)
      this.#take(bytes.subarray(0, count))
      const error = count === 0 ? Object.assign(new Error(`${this.code}: of the disk`), { code: this.code }) : null
      written(error, count)
    }
    if (this.isStuck) this.#stuck.push(end)
    else queueMicrotask(end)
  }

  /** The write that did not end ends. */
  free(): void {
    this.isStuck = false
    for (const end of this.#stuck.splice(0)) end()
  }

  writeNow(bytes: Buffer): void {
    if (this.room === 0) throw new Error('no room')
    this.#take(bytes)
  }

  close(): void {
    this.isClosed = true
  }

  #take(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.room -= bytes.length
  }
}

function setup(mostBytes = 1000) {
  const disk = new FakeDisk()
  const clock = new VirtualClock()
  const lines = new LineWriter(disk, { mostBytes, clock })
  const states: Array<readonly [DiskState, string | null, number]> = []
  lines.listen((state, reason) => states.push([state, reason, lines.lost]))
  const pass = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))
  return { disk, clock, lines, states, pass }
}

test('lines come in order and whole, however small the parts that the disk takes', async (t) => {
  const { disk, lines, pass } = setup()
  const wanted = Array.from({ length: 20 }, (_, i) => `line ${i} ä\n`)
  disk.room = 7
  for (const line of wanted) lines.write(line)
  for (let i = 0; i < 100; i++) {
    await pass(1000)
    disk.room = 7
  }
  t.is(disk.text, wanted.join(''))
  t.is(lines.lost, 0)
})

test('a full disk costs only the lines that find the queue full, and the log goes on by itself when there is room', async (t) => {
  const { disk, lines, states, pass } = setup(100)
  disk.room = 0
  for (let i = 0; i < 30; i++) lines.write(`line ${i % 10}..\n`)
  await pass(5000)
  t.is(lines.lost, 19)
  t.deepEqual(states, [['full', 'ENOSPC: of the disk', 19]])
  disk.room = 1e6
  await pass(1000)
  t.deepEqual(states.slice(1), [['ok', null, 19]])
  lines.write('after\n')
  await pass(1)
  t.is(disk.text, `${Array.from({ length: 11 }, (_, i) => `line ${i % 10}..\n`).join('')}after\n`)
  t.is(lines.lost, 19)
})

test('a disk that has room for a part of the lines stays full', async (t) => {
  const { disk, lines, states, pass } = setup()
  disk.room = 3
  lines.write('a line\n')
  await pass(1)
  disk.room = 2
  await pass(2000)
  t.deepEqual(states.map(([state]) => state), ['full'])
})

test('each error of the system has its state', async (t) => {
  for (const [code, state] of [['EDQUOT', 'full'], ['EROFS', 'read_only'], ['EPIPE', 'gone'], ['ENODEV', 'gone'], ['EIO', 'failing']] as const) {
    const { disk, lines, states, pass } = setup()
    Object.assign(disk, { room: 0, code })
    lines.write('a\n')
    await pass(1)
    t.deepEqual(states.map(([told]) => told), [state], code)
  }
})

test('a write that does not end holds up nothing, and is told as slow', async (t) => {
  const { disk, lines, states, pass } = setup(100)
  disk.isStuck = true
  for (let i = 0; i < 200; i++) lines.write('a line..\n')
  await pass(20_000)
  t.deepEqual(states, [['slow', 'a write has not ended for 10 s', 189]])
  disk.free()
  await pass(1)
  t.is(states.at(-1)?.[0], 'ok')
  t.is(disk.text.length, 99)
})

test('a reader that is behind is asked again, and is slow after ten seconds', async (t) => {
  const { disk, lines, states, pass } = setup()
  Object.assign(disk, { room: 0, code: 'EAGAIN' })
  lines.write('a\n')
  await pass(9000)
  t.deepEqual(states, [])
  await pass(3000)
  t.deepEqual(states.map(([state]) => state), ['slow'])
  disk.room = 100
  await pass(1000)
  t.deepEqual([disk.text, states.at(-1)?.[0]], ['a\n', 'ok'])
})

test('the end waits for the last lines for a bounded time, and counts those that are lost', async (t) => {
  const whole = setup()
  whole.lines.write('a\n')
  await whole.lines.close(1000)
  t.deepEqual([whole.disk.text, whole.disk.isClosed, whole.lines.lost], ['a\n', true, 0])
  whole.lines.write('late\n')
  t.is(whole.lines.lost, 1)

  const full = setup()
  full.disk.room = 0
  for (let i = 0; i < 3; i++) full.lines.write('a\n')
  await full.lines.close(1000)
  t.deepEqual([full.disk.isClosed, full.lines.lost], [true, 3])

  const stuck = setup()
  stuck.disk.isStuck = true
  stuck.lines.write('a\n')
  const closed = stuck.lines.close(1000)
  await stuck.pass(1000)
  await closed
  t.deepEqual([stuck.disk.isClosed, stuck.lines.lost], [false, 1])
})

test('the last words of a process are written at once, and a disk that refuses them throws nothing', (t) => {
  const { disk, lines } = setup()
  disk.isStuck = true
  lines.write('under way\n')
  lines.write('last\n')
  lines.writeNow()
  t.is(disk.text, 'last\n')
  const full = setup()
  full.disk.room = 0
  full.disk.isStuck = true
  for (const line of ['first\n', 'last\n']) full.lines.write(line)
  t.notThrows(() => full.lines.writeNow())
})

test('a listener that comes late hears of trouble at once', async (t) => {
  const { disk, lines, pass } = setup()
  disk.room = 0
  lines.write('a\n')
  await pass(1)
  const heard: DiskState[] = []
  lines.listen((state) => heard.push(state))
  t.deepEqual(heard, ['full'])
})

test('a file that was rotated or removed is opened anew, and a broken line is not carried into it', async (t) => {
  const folder = join(temporaryFolder(), 'logs')
  mkdirSync(folder)
  const path = join(folder, 'log')
  const file = new AppendedFile(path)
  const write = (text: string) => new Promise<readonly [string | undefined, number]>((resolve) => file.write(Buffer.from(text), (error, bytes) => resolve([error?.code, bytes])))
  t.deepEqual(await write('one\nhalf'), [undefined, 8])
  renameSync(path, `${path}.1`)
  t.deepEqual(await write(' a line\ntwo\n'), [undefined, 12])
  t.is(readFileSync(`${path}.1`, 'utf8'), 'one\nhalf')
  t.is(readFileSync(path, 'utf8'), 'two\n')
  unlinkSync(path)
  await write('three\n')
  t.is(readFileSync(path, 'utf8'), 'three\n')
  rmSync(folder, { recursive: true })
  t.deepEqual(await write('four\n'), ['ENOENT', 0])
  mkdirSync(folder)
  appendFileSync(path, 'theirs\n')
  await write('five\n')
  t.is(readFileSync(path, 'utf8'), 'theirs\nfive\n')
  file.close()
})

test('a request log on a full disk tells its state and drops nothing that fits its queue', async (t) => {
  const states: DiskState[] = []
  let tell = (): void => {}
  const told = new Promise<void>((resolve) => (tell = resolve))
  const file = new RequestLogFile('/dev/full', systemClock, (state) => {
    states.push(state)
    tell()
  })
  const record = { t_ms: 1, conversation: 'c', tenant: '', input_tokens: 2, system_tokens: 0, output_tokens: 3, block_hashes: ['aa'], reused: 1, outside_view: 0 }
  for (let i = 0; i < 3; i++) file.add(record)
  await told
  t.deepEqual([states, file.lost], [['full'], 0])
  await file.close()
  t.is(file.lost, 3)
})
