// `chat`: a conversation in the terminal, with a server in this process or elsewhere.

import { Command } from 'commander'
import { inputHistoryFile } from '../../config/paths.js'
import { API_KEY_VARIABLE } from '../../config/resolve.js'
import { invalidOption, oneOf, wholeNumber } from '../../config/units.js'
import type { OpenEngine } from '../../engine-choice.js'
import { CHAT_MAX_TOKENS } from '../../protocol/generation-defaults.js'
import { startResolvedServer, type RunningServer } from '../../server.js'
import { RequestFailed } from '../client.js'
import { addServeOptions, givenOptions, resolveFromCommand } from '../options.js'
import { loadingProgress } from '../progress.js'
import type { Terminal } from '../terminal.js'
import { converse } from './converse.js'
import { InputHistory } from './input-history.js'
import { servedModel } from './server-defaults.js'

const MAX_TOKENS = 2 ** 31 - 1

/** @param open Opens the engine of its own server; a test gives one that it can make fail. */
export function chatCommand(terminal: Terminal, setExitCode: (code: number) => void, open?: OpenEngine): Command {
  const command = new Command('chat')
    .description('talk to a model in the terminal; each answer prints its time to first token and the sources of its prompt')
    .option('--url <url>', `a running server, with the key in ${API_KEY_VARIABLE} if it asks for one (default: one is started in this process, with the options below)`)
    .option('--system <text>', 'system message')
    .option('--temperature <number>', "0: always the likeliest token (default: the model's for chats, else 0.7)")
    .option('--max-tokens <count>', `longest answer (default: ${CHAT_MAX_TOKENS}, or the context where that is less)`)
    .option('--seed <number>', 'the same seed gives the same answers')
    .option('--truncation <auto|disabled>', 'auto: a conversation longer than the context continues with its head and latest part (default: disabled)')
    .option('--input-history <on|off>', 'off: the lines that are typed are not kept for the arrow keys of later conversations (default: on)')
  return addServeOptions(command).action(async (values: Record<string, unknown>) => setExitCode(await chat(values, terminal, open)))
}

async function chat(values: Record<string, unknown>, terminal: Terminal, open: OpenEngine | undefined): Promise<number> {
  const given = fieldsOf(values)
  const history = new InputHistory(historyPath(values, terminal))
  const stop = stopSignal(terminal)
  const own = values['url'] === undefined ? await startOwn(values, terminal, open) : null
  // A server of its own whose engine has ended answers nothing more.
  own?.service.failed.then(() => stop.abort(), () => {})
  try {
    const url = own?.url ?? serverUrl(values)
    const apiKey = terminal.env[API_KEY_VARIABLE] ?? null
    const model = await servedModel(url, apiKey, stop.signal)
    const system = typeof values['system'] === 'string' ? values['system'] : null
    const fields = { ...model.fields, ...given }
    const exitCode = await converse({ url, apiKey, fields, system, model: model.id, history, stop: stop.signal }, terminal)
    if (!own?.service.failure) return exitCode
    terminal.err(`\nerror: ${own.service.failure.message}\n`)
    return 1
  } catch (thrown) {
    if (!(thrown instanceof RequestFailed)) throw thrown
    terminal.err(`error: ${thrown.message}\n`)
    return 3
  } finally {
    await own?.close(0)
    stop.forget()
  }
}

/** The first SIGINT or SIGTERM ends the conversation, a second one the process. */
function stopSignal(terminal: Terminal): { signal: AbortSignal; abort: () => void; forget: () => void } {
  const controller = new AbortController()
  const forget = terminal.onStop(() => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  })
  return { signal: controller.signal, abort: () => controller.abort(), forget }
}

function startOwn(values: Record<string, unknown>, terminal: Terminal, open: OpenEngine | undefined): Promise<RunningServer> {
  const options = resolveFromCommand({ port: '0', logLevel: 'warn', ...values }, terminal.env)
  const onNotice = (sentence: string): void => terminal.err(`${sentence}\n`)
  return startResolvedServer(options, { env: terminal.env, onNotice, onProgress: loadingProgress(terminal) }, open)
}

function serverUrl(values: Readonly<Record<string, unknown>>): string {
  const given = String(values['url'])
  const [unused] = givenOptions(values)
  if (unused !== undefined) throw invalidOption(unused, 'is for a server of its own, and --url names another')
  if (URL.canParse(given) && /^https?:/.test(given)) return given.replace(/\/(v1\/?)?$/, '')
  throw invalidOption('--url', `${JSON.stringify(given)} is not an http or https URL`)
}

/** null: nothing is kept. */
function historyPath(values: Readonly<Record<string, unknown>>, { env, isInteractive }: Terminal): string | null {
  const choice = oneOf(['on', 'off'])(values['inputHistory'] ?? 'on', '--input-history')
  return choice === 'on' && isInteractive ? inputHistoryFile(env) : null
}

function fieldsOf(values: Record<string, unknown>): Record<string, number | string> {
  const fields: Record<string, number | string> = {}
  if (values['temperature'] !== undefined) fields['temperature'] = temperature(values['temperature'])
  if (values['maxTokens'] !== undefined) fields['max_tokens'] = wholeNumber(1, MAX_TOKENS)(values['maxTokens'], '--max-tokens')
  if (values['seed'] !== undefined) fields['seed'] = wholeNumber(0, Number.MAX_SAFE_INTEGER)(values['seed'], '--seed')
  if (values['truncation'] !== undefined) fields['truncation'] = oneOf(['auto', 'disabled'])(values['truncation'], '--truncation')
  return fields
}

function temperature(value: unknown): number {
  const number = Number(value)
  if (Number.isFinite(number) && number >= 0 && number <= 100) return number
  throw invalidOption('--temperature', `${JSON.stringify(value)} is not a number from 0 to 100`)
}
