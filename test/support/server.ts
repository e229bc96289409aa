// The real server in a child process: `attentionstore serve --port 0` with folders of its own.

import { spawn, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import OpenAI from 'openai'
import { serverEnvironment } from './device.js'
import { ROOT, temporaryFolder } from './paths.js'

export interface ServerOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Kept between servers that shall find each other's store. */
  readonly home?: string
  /** Another launcher than this repository's. */
  readonly launcher?: string
}

const LISTENING = /listening on (http:\/\/\S+)/
export const LAUNCHER = join(ROOT, 'ts/bin/attentionstore.js')
/** Lines of output kept for a failing test's message. */
const KEPT_LINES = 400

// No answer within these is a failure with the server's last lines in its message, instead of a run that hangs. They are
// far beyond what a slow machine needs.
const ANSWER_MS = 300_000
const START_MS = 180_000
const STOP_MS = 120_000

export class TestServer {
  readonly client: OpenAI

  private constructor(
    readonly url: string,
    readonly home: string,
    private readonly child: ChildProcess,
    private readonly lines: readonly string[],
    private readonly printed: EventEmitter,
    /** The process has ended, and its output has been read. */
    private readonly closed: Promise<void>,
  ) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, timeout: ANSWER_MS })
  }

  /** Starts a server and waits until it listens. The output is in the error if it never does. */
  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const home = options.home ?? temporaryFolder()
    const args = [options.launcher ?? LAUNCHER, 'serve', '--port', '0', ...(options.args ?? [])]
    const env = { ...serverEnvironment(), XDG_DATA_HOME: join(home, 'data'), XDG_CONFIG_HOME: join(home, 'config'), ...options.env }
    const child = spawn(process.execPath, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('close', () => process.off('exit', kill))
    const lines: string[] = []
    const printed = new EventEmitter()
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const url = await firstUrl(child, lines, printed)
    return new TestServer(url, home, child, lines, printed, closed)
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** The last output of the server. */
  get output(): string {
    return this.lines.join('\n')
  }

  /** Lines of the log at level error or fatal: none is expected. */
  get errors(): string[] {
    return this.lines.filter((line) => /"level":(50|60|"error"|"fatal")/.test(line))
  }

  /** Runs a request; if it fails, the error says how the server fares and what it printed last. */
  async explained<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      const state = this.child.exitCode ?? this.child.signalCode ?? 'running'
      const reasons: string[] = []
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) reasons.push(cause.message)
      const message = `${reasons.join(' ← ')}\nserver: ${state}\n${this.lines.slice(-20).join('\n')}`
      throw new Error(message, { cause: error })
    }
  }

  async get(path: string): Promise<Response> {
    return fetch(this.url + path, { signal: AbortSignal.timeout(ANSWER_MS) })
  }

  async post(path: string, body: unknown = {}): Promise<Response> {
    const headers = { 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(ANSWER_MS)
    return fetch(this.url + path, { method: 'POST', headers, body: JSON.stringify(body), signal })
  }

  /** Waits until the server has ended by itself: its exit code, or the signal that ended it. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    await this.closed
    return this.child.exitCode ?? this.child.signalCode
  }

  /** Waits until a line of the output matches. */
  async shows(pattern: RegExp): Promise<void> {
    while (!this.lines.some((line) => pattern.test(line))) await once(this.printed, 'line', { signal: AbortSignal.timeout(ANSWER_MS) })
  }

  /** Ends the server as an operator would; resolves to its exit code. */
  async stop(): Promise<number | null> {
    return this.end('SIGTERM')
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const closed = once(this.child, 'close', { signal: AbortSignal.timeout(STOP_MS) })
      this.child.kill(signal)
      await closed.catch((error: unknown) => {
        this.child.kill('SIGKILL')
        throw new Error(`the server did not end within ${STOP_MS} ms of ${signal}:\n${this.output}`, { cause: error })
      })
    }
    return this.child.exitCode
  }
}

/** The address from the line `listening on http://…`. */
async function firstUrl(child: ChildProcess, lines: string[], printed: EventEmitter): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`the server did not listen within ${START_MS} ms:\n${lines.join('\n')}`))
    }, START_MS)
    const keep = (line: string) => {
      lines.push(line)
      if (lines.length > KEPT_LINES) lines.shift()
      printed.emit('line')
      const url = LISTENING.exec(line)?.[1]
      if (!url) return
      clearTimeout(deadline)
      resolve(url.replace(/["'\\,}]+$/, ''))
    }
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', keep)
    }
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(deadline)
      reject(new Error(`the server ended with ${code}:\n${lines.join('\n')}`))
    })
  })
}

/** Token ids of a text, without special ones. */
export async function tokensOf(server: TestServer, text: string): Promise<number[]> {
  const response = await server.post('/tokenize', { prompt: text, add_special_tokens: false })
  if (!response.ok) throw new Error(`/tokenize: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { tokens: number[] }).tokens
}
