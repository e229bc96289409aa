// The commands of a conversation: lines with a leading slash.

import { writeFileSync } from 'node:fs'
import { absolutePath } from '../../config/paths.js'
import type { Terminal } from '../terminal.js'
import type { Message } from './answer.js'
import type { Dialogue, TurnCode } from './dialogue.js'

export interface CommandContext {
  readonly dialogue: Dialogue
  readonly terminal: Terminal
  /** Runs a turn that Ctrl-C can stop. */
  readonly turn: (work: (signal: AbortSignal) => Promise<TurnCode | null>) => Promise<TurnCode | null>
}

interface Command {
  readonly argument?: string
  readonly help: string
  /** Answers the exit code of a turn, where it ran one. */
  readonly run: (argument: string, context: CommandContext) => Promise<TurnCode | null> | null
}

const COMMANDS: Readonly<Record<string, Command>> = {
  system: {
    argument: '[TEXT|-]',
    help: 'shows the system message, replaces it, or (-) removes it; the next turn has it',
    run(text, { dialogue, terminal }) {
      if (text !== '') dialogue.system = text === '-' ? null : text
      terminal.out(dialogue.system === null ? '[no system message]\n' : `[system message: ${dialogue.system}]\n`)
      return null
    },
  },
  retry: {
    help: 'answers the last message again, in the place of its answer',
    async run(_, { dialogue, terminal, turn }) {
      if (dialogue.messages.every(({ role }) => role === 'system')) {
        terminal.err('error: /retry: no message was answered yet\n')
        return null
      }
      return turn((signal) => dialogue.retry(signal))
    },
  },
  new: {
    help: 'begins a new conversation with the same system message',
    run(_, { dialogue, terminal }) {
      dialogue.clear()
      terminal.out('[a new conversation]\n')
      return null
    },
  },
  save: {
    argument: 'FILE',
    help: 'writes the conversation to a new file: as JSON messages where the name ends in .json, else as text',
    run(name, { dialogue, terminal }) {
      save(name, dialogue.messages, terminal)
      return null
    },
  },
  help: {
    help: 'this list',
    run(_, { terminal }) {
      terminal.out(helpText())
      return null
    },
  },
}

export const QUIT = '/quit'

/** The command of a line; null where the line is a message. `//x` is the message `/x`. */
export function commandOf(line: string): { readonly name: string; readonly argument: string } | null {
  const match = /^\/([A-Za-z]+)(?:\s+(.*))?$/s.exec(line)
  return match ? { name: (match[1] ?? '').toLowerCase(), argument: (match[2] ?? '').trim() } : null
}

/** Runs a command; an unknown one is told. */
export async function runCommand({ name, argument }: { name: string; argument: string }, context: CommandContext): Promise<TurnCode | null> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command) return command.run(argument, context)
  context.terminal.err(`error: there is no command /${name}; /help lists them, and //${name} is sent as /${name}\n`)
  return null
}

function helpText(): string {
  const rows = Object.entries(COMMANDS).map(([name, { argument, help }]) => [[`/${name}`, argument].filter(Boolean).join(' '), help])
  rows.push([QUIT, 'ends the conversation, as Ctrl-D does; Ctrl-C stops an answer'])
  return rows.map(([left = '', right]) => `  ${left.padEnd(18)} ${right}\n`).join('')
}

function save(name: string, messages: readonly Message[], terminal: Terminal): void {
  if (name === '') return terminal.err('error: /save needs the name of a file\n')
  const path = absolutePath(name, terminal.env)
  try {
    writeFileSync(path, path.endsWith('.json') ? `${JSON.stringify(messages, null, 2)}\n` : asText(messages), { flag: 'wx', mode: 0o600 })
    terminal.out(`[${messages.length} messages are in ${path}]\n`)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    terminal.err(`error: /save: ${path} ${code === 'EEXIST' ? 'is there already' : `cannot be written: ${code}`}\n`)
  }
}

function asText(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `${role}:\n${content}\n`).join('\n')
}
