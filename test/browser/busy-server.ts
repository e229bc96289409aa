// A scripted server that is as busy as few real ones: 500 requests a second, every topic as often as a server sends it.

import { ScriptedServer } from './scripted-server.js'
import { conversationPage, mapOf, randomOf, recordOf, sampleAt, snapshotAt, whatIf } from './synthetic.js'

const TICK_MS = 250
const REQUESTS_A_TICK = 125
const CONVERSATIONS = 100_000

export class BusyServer {
  private seconds = 900
  private seq = 0
  private readonly random: () => number
  private server: ScriptedServer | null = null

  constructor(seed: number) {
    this.random = randomOf(seed)
  }

  get url(): string {
    return this.server?.url ?? ''
  }

  async start(): Promise<void> {
    this.server = await ScriptedServer.start(() => snapshotAt(this.seconds), (path, query) => {
      if (path === '/admin/session') return { login_required: false, session: null }
      if (path === '/admin/requests') return { requests: [], next_cursor: null }
      return path === '/admin/conversations' ? conversationPage(CONVERSATIONS, query) : undefined
    })
  }

  /** Sends for `ticks` quarters of a second. */
  sendFor(ticks: number): Promise<void> {
    return new Promise((finished) => {
      let left = ticks
      const timer = setInterval(() => {
        this.tick(left)
        left -= 1
        if (left > 0) return
        clearInterval(timer)
        finished()
      }, TICK_MS)
    })
  }

  async stop(): Promise<void> {
    await this.server?.stop()
  }

  private tick(left: number): void {
    const io = this.server?.io
    const records = Array.from({ length: REQUESTS_A_TICK }, () => recordOf(this.seq++, this.random))
    io?.emit('requests', { records, skipped: 0 })
    if (left % 2 === 0) io?.emit('sample', sampleAt((this.seconds += 0.5)))
    if (left % 4 === 0) io?.emit('map', mapOf(this.random))
    if (left % 8 === 0) io?.emit('what-if', whatIf())
  }
}
