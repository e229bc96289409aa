// The program: commands, help, and what becomes of errors.

import { Command, CommanderError } from 'commander'
import { AttentionStoreError, ExitError } from '../protocol/errors.js'
import type { OpenEngine } from '../engine-choice.js'
import { VERSION } from '../version.js'
import { benchCommand } from './bench/command.js'
import { chatCommand } from './chat/command.js'
import { evalCommand } from './eval.js'
import { exitCodeOf } from './exit.js'
import { keysCommand } from './keys.js'
import { serveCommand } from './serve.js'
import { simulateCommand } from './simulate/command.js'
import { processTerminal, surviveClosedPipes, type Terminal } from './terminal.js'

const DESCRIPTION = 'A self-hosted LLM inference server that never computes the same conversation twice.'

/**
 * Runs a command line.
 * @param open Opens the engine of `serve` and `chat`; a test gives one that it can make fail.
 * @returns the exit code: 0 done, 1 found what it was asked to look for, or the engine ended, 2 wrong usage, configuration
 * or model, 3 something outside is missing.
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal, open?: OpenEngine): Promise<number> {
  if (terminal === processTerminal) surviveClosedPipes()
  let exitCode = 0
  const program = new Command('attentionstore')
    .description(DESCRIPTION)
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
  for (const create of [serveCommand, chatCommand, benchCommand, simulateCommand, keysCommand, evalCommand]) {
    program.addCommand(inheriting(create(terminal, (code) => (exitCode = code), open), program))
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (thrown) {
    return told(thrown, terminal)
  }
}

/** Commands that are built apart do not inherit where errors go. */
function inheriting(command: Command, parent: Command): Command {
  command.exitOverride().copyInheritedSettings(parent)
  for (const sub of command.commands) inheriting(sub as Command, command)
  return command
}

/** Says what went wrong; the exit code for it. */
function told(thrown: unknown, terminal: Terminal): number {
  // Commander has printed its message, or the help, already.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
  if (!(thrown instanceof AttentionStoreError)) throw thrown
  const code = thrown instanceof ExitError ? '' : ` (${thrown.code})`
  terminal.err(`attentionstore: ${thrown.message}${code}\n`)
  return exitCodeOf(thrown)
}
