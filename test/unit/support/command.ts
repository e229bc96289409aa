// The program from its sources, in a child process.

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import type { ExecutionContext } from 'ava'

/** What ts/bin/attentionstore.js does, with the sources in the place of the build. */
const PROGRAM = `
  const { main } = await import('${new URL('../../../ts/cli/main.ts', import.meta.url)}')
  const { endWith } = await import('${new URL('../../../ts/cli/exit.ts', import.meta.url)}')
  endWith(await main(process.argv.slice(1)))`
const LOADER = import.meta.resolve('tsx')

/** The words of a command line that runs the program. */
export function commandLine(...args: readonly string[]): string[] {
  return [process.execPath, `--import=${LOADER}`, '--input-type=module', '--eval', PROGRAM, '--', ...args]
}

/** `words` as a shell reads them. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
}

export interface Child {
  readonly process: ChildProcess
  stdout: string
  stderr: string
  /** The exit code of what was started, once nothing writes to its pipes any more. */
  readonly closed: Promise<number | null>
  /** Waits until standard output matches. */
  shows(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts a process in a group of its own, which ends with the test. */
export function start(t: ExecutionContext, [file = '', ...args]: readonly string[], options: SpawnOptions = {}): Child {
  const running = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options })
  const endGroup = (): void => {
    try {
      process.kill(-(running.pid ?? 0), 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
  process.once('exit', endGroup)
  t.teardown(() => {
    endGroup()
    process.off('exit', endGroup)
  })
  const closed = new Promise<number | null>((resolve) => running.once('close', (code) => resolve(code)))
  const child: Child = {
    process: running,
    stdout: '',
    stderr: '',
    closed,
    async shows(pattern) {
      for (;;) {
        const match = pattern.exec(child.stdout)
        if (match) return match
        const more = new Promise<boolean>((resolve) => running.stdout?.once('data', () => resolve(true)))
        if (!(await Promise.race([more, closed.then(() => false)]))) throw new Error(`the process ended:\n${child.stdout}${child.stderr}`)
      }
    },
  }
  running.stdout?.on('data', (part: Buffer) => (child.stdout += part.toString()))
  running.stderr?.on('data', (part: Buffer) => (child.stderr += part.toString()))
  return child
}
