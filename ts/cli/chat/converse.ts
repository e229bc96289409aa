// The loop of a conversation: a line, a command or a turn, until the end.

import type { Terminal } from '../terminal.js'
import { commandOf, QUIT, runCommand } from './commands.js'
import { Dialogue, type TurnCode } from './dialogue.js'
import type { InputHistory } from './input-history.js'
import { TypedLines } from './typed-lines.js'

export interface ChatSettings {
  readonly url: string
  readonly apiKey: string | null
  /** Of every request, besides its messages. */
  readonly fields: Readonly<Record<string, number | string>>
  readonly system: string | null
  /** The name of the model, if the server says it. */
  readonly model: string | null
  readonly history: InputHistory
  readonly stop: AbortSignal
}

/** One turn a line, until `/quit` or the end of the input. Answers the exit code of the last turn. */
export async function converse({ url, apiKey, fields, system, model, history, stop }: ChatSettings, terminal: Terminal): Promise<number> {
  const dialogue = new Dialogue({ url, apiKey, fields }, system, terminal)
  if (terminal.isInteractive) terminal.out(greeting(model, fields))
  const lines = new TypedLines(terminal, history, stop)
  const turn = (work: (signal: AbortSignal) => Promise<TurnCode | null>): Promise<TurnCode | null> => {
    const interrupt = new AbortController()
    return lines.during(() => interrupt.abort(), () => work(AbortSignal.any([stop, interrupt.signal])))
  }
  let exitCode: TurnCode = 0
  try {
    for (let line = await lines.next(); line !== null && line !== QUIT; line = await lines.next()) {
      const command = commandOf(line)
      const message = line.startsWith('//') ? line.slice(1) : line
      if (command !== null) exitCode = (await runCommand(command, { dialogue, terminal, turn })) ?? exitCode
      else if (message !== '') exitCode = (await turn((signal) => dialogue.ask(message, signal))) ?? exitCode
      if (stop.aborted) break
    }
  } finally {
    lines.close()
  }
  return exitCode
}

function greeting(model: string | null, { temperature, top_p, max_tokens }: ChatSettings['fields']): string {
  const sampling = [...(temperature === undefined ? [] : [`temperature ${temperature}`]), ...(top_p === undefined ? [] : [`top_p ${top_p}`])]
  const facts = [...(model === null ? [] : [model]), ...sampling, `answers of at most ${max_tokens} tokens`]
  return `${facts.join(', ')}\n/help lists the commands, ${QUIT} ends the conversation\n`
}
