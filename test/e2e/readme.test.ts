// The README's conversation is what its commands print, but for the times.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT } from '../support/paths.js'
import { testNeeding } from '../support/requirements.js'
import { LAUNCHER, TestServer } from '../support/server.js'

/** After this turn the README's server was stopped and started again. */
const TURNS_BEFORE_RESTART = 2

interface Recorded {
  readonly question: string
  readonly answer: string
  readonly times: string
}

/** The commands' arguments and the turns of the section. */
function recorded(): { serve: string[]; chat: string[]; turns: Recorded[] } {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [, section = ''] = readme.split('## A conversation, with its times')
  const argumentsOf = (command: string): string[] => new RegExp(`^npx attentionstore ${command} (.*)$`, 'm').exec(section)?.[1]?.split(' ') ?? []
  const turns = [...section.matchAll(/^> (?<question>.+)\n(?<answer>[^]+?)\n(?<times>\[first token .+\])$/gm)]
  return { serve: argumentsOf('serve'), chat: argumentsOf('chat'), turns: turns.map(({ groups }) => groups as unknown as Recorded) }
}

/** `chat` with its lines on standard input. */
class Chat {
  readonly #child
  readonly #lines

  constructor(args: readonly string[], home: string) {
    this.#child = spawn(process.execPath, [LAUNCHER, 'chat', ...args], { cwd: home, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** The answer's lines, and the line of times after it. */
  async ask(question: string): Promise<{ answer: string; times: string }> {
    this.#child.stdin.write(`${question}\n`)
    const answer: string[] = []
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error(`chat ended after ${JSON.stringify(answer)}`)
      if (value.startsWith('[first token ')) return { answer: answer.join('\n').trim(), times: value }
      answer.push(value)
    }
  }

  async end(): Promise<number | null> {
    const closed = once(this.#child, 'close')
    this.#child.stdin.end()
    await closed
    return this.#child.exitCode
  }
}

const withoutTime = (line: string): string => line.replace(/after \d+ ms/, 'after N ms')

testNeeding('model')("the README's conversation is what its commands print", async (t) => {
  const { serve, chat: chatArgs, turns } = recorded()
  t.is(turns.length, 3)
  let server = await TestServer.start({ args: serve })
  const { home, url } = server
  const chat = new Chat(chatArgs.map((word) => (word.startsWith('http:') ? url : word)), home)
  for (const [index, turn] of turns.entries()) {
    if (index === TURNS_BEFORE_RESTART) {
      t.is(await server.stop(), 0)
      server = await TestServer.start({ home, args: [...serve, '--port', new URL(url).port] })
    }
    const { answer, times } = await chat.ask(turn.question)
    const [beginning = '', elided] = turn.answer.split(' […]')
    t.true(elided === undefined ? answer === beginning : answer.startsWith(beginning), answer)
    t.is(withoutTime(times), withoutTime(turn.times))
  }
  t.is(await chat.end(), 0)
  t.is(await server.stop(), 0)
})
