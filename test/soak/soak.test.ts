// 32 clients on small tiers. No answer, tier bound or integrity check fails; memory and handles stay flat.

import type { ExecutionContext } from 'ava'
import { brokenBounds, cacheStatus } from '../support/cache.js'
import { Conversation } from '../support/conversation.js'
import { residentBytes } from '../support/process.js'
import { Random } from '../support/random.js'
import { testNeeding } from '../support/requirements.js'
import { SCRIPTS } from '../support/scripts.js'
import { TestServer } from '../support/server.js'
import { runClient, SOAK_SAMPLING, type Soak, type SoakScript } from './clients.js'
import { soakTimer } from './duration.js'
import { settled, startingHandles } from './idle.js'

const CLIENTS = 32
const SCRIPTS_USED = 8
const TURNS_USED = 4
/** A connection that no client uses is closed soon, so that what is left is the server's own. */
const SHORT_IDLE = ['--keep-alive-timeout', '2s']
const TIERS = ['--hbm-bytes', '48MiB', '--dram-bytes', '96MiB', '--ssd-bytes', '256MiB', '--max-context', '1024'] as const
/** Turns between two looks at the server. */
const LOOK_EVERY = 20
/** Bytes by which memory may grow after the first third: the allocator's and the garbage collector's slack. */
const SLACK_BYTES = 64 * 2 ** 20
/** The right answers, from a server that keeps nothing. */
async function computeScripts(): Promise<SoakScript[]> {
  const server = await TestServer.start({ args: ['--no-reuse', '--hbm-bytes', '256MiB'] })
  const scripts = await Promise.all(
    SCRIPTS.slice(0, SCRIPTS_USED).map(async (script) => {
      const conversation = new Conversation(script)
      const answers: string[] = []
      for (let turn = 0; turn < TURNS_USED; turn += 1) answers.push((await conversation.next(server, SOAK_SAMPLING)).text)
      return { script, answers }
    }),
  )
  await server.stop()
  return scripts
}

interface Look {
  readonly residentBytes: number
  /** Bytes of the arenas that were not taken from the system yet: memory may still grow by these. */
  readonly untakenBytes: number
}

class Watch {
  readonly looks: Look[] = []
  readonly broken: string[] = []
  private turns = 0

  constructor(private readonly server: TestServer) {}

  async answered(): Promise<void> {
    this.turns += 1
    if (this.turns % LOOK_EVERY !== 0) return
    const status = await cacheStatus(this.server)
    this.broken.push(...brokenBounds(status))
    const inMemory = status.tiers.filter(({ name }) => name !== 'ssd')
    const untakenBytes = inMemory.reduce((sum, tier) => sum + tier.capacity_bytes - tier.committed_bytes, 0)
    this.looks.push({ residentBytes: residentBytes(this.server.pid), untakenBytes })
  }

  /** Bytes by which memory grew beyond what it may, after the first third of the looks; ≤ 0 is right. */
  excessGrowth(): number {
    const first = this.looks[Math.floor(this.looks.length / 3)]
    const last = this.looks.at(-1)
    if (!first || !last) return 0
    return last.residentBytes - first.residentBytes - first.untakenBytes - SLACK_BYTES
  }
}

async function runSoak(t: ExecutionContext, server: TestServer, scripts: readonly SoakScript[]): Promise<Watch> {
  const seed = Number(process.env['SOAK_SEED'] ?? 1)
  const timer = soakTimer()
  const watch = new Watch(server)
  const soak: Soak = {
    server,
    scripts,
    random: new Random(seed),
    isOver: () => timer.isOver(),
    answered: () => watch.answered(),
    wrong: [],
    seen: { whole: 0, streamed: 0, 'broken off': 0, 'not read': 0 },
  }
  await Promise.all(Array.from({ length: CLIENTS }, () => runClient(soak)))
  t.log(`seed ${seed}, ${timer.seconds} s, turns ${JSON.stringify(soak.seen)}`)
  t.deepEqual(soak.wrong.slice(0, 5), [])
  t.true(Object.values(soak.seen).every((turns) => turns > 0))
  return watch
}

testNeeding('model')('32 clients that come, go, break off and stop reading leave the server as it was', async (t) => {
  t.timeout(2 ** 31 - 1)
  const scripts = await computeScripts()
  const server = await TestServer.start({ args: [...TIERS, ...SHORT_IDLE] })
  const handlesBefore = await startingHandles(server)
  const watch = await runSoak(t, server, scripts)
  t.deepEqual(watch.broken, [])
  t.true(watch.excessGrowth() <= 0, `memory grew by ${watch.excessGrowth()} bytes too much`)
  const idle = await settled(server, handlesBefore)
  t.true(idle.handles <= handlesBefore, `${idle.handles} handles, ${handlesBefore} before`)
  t.is(idle.runningBlocks, 0)
  t.deepEqual(brokenBounds(await cacheStatus(server)), [])
  // An integrity check that fails on the idle server ends it: then neither the exit code nor the log is clean.
  t.is(await server.stop(), 0)
  t.deepEqual(server.errors, [])
})

