// `chat`: a conversation in the terminal, with a server in this process or elsewhere.

import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { API_KEY_VARIABLE } from '../config/resolve.js'
import { invalidOption, oneOf, wholeNumber } from '../config/units.js'
import type { ChatChunk, Usage } from '../protocol/index.js'
import type { OpenEngine } from '../engine-choice.js'
import { startResolvedServer, type RunningServer } from '../server.js'
import { postStream, RequestFailed } from './client.js'
import { addServeOptions, givenOptions, resolveFromCommand } from './options.js'
import { loadingProgress } from './progress.js'
import type { Terminal } from './terminal.js'

interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

interface ChatSettings {
  readonly url: string
  readonly apiKey: string | null
  readonly system: string | null
  /** Of every request, besides its messages. */
  readonly fields: Readonly<Record<string, number | string>>
  readonly stop: AbortSignal
}

const MAX_TOKENS = 2 ** 31 - 1

/** @param open Opens the engine of its own server; a test gives one that it can make fail. */
export function chatCommand(terminal: Terminal, setExitCode: (code: number) => void, open?: OpenEngine): Command {
  const command = new Command('chat')
    .description('talk to a model in the terminal; each answer prints its time to first token and the sources of its prompt')
    .option('--url <url>', `a running server, with the key in ${API_KEY_VARIABLE} if it asks for one (default: one is started in this process, with the options below)`)
    .option('--system <text>', 'system message')
    .option('--temperature <number>', "0: always the likeliest token (default: the model's)")
    .option('--max-tokens <count>', 'longest answer (default: the room left in the context)')
    .option('--seed <number>', 'the same seed gives the same answers')
    .option('--truncation <auto|disabled>', 'auto: a conversation longer than the context continues with its head and latest part (default: disabled)')
  return addServeOptions(command).action(async (values: Record<string, unknown>) => setExitCode(await chat(values, terminal, open)))
}

async function chat(values: Record<string, unknown>, terminal: Terminal, open: OpenEngine | undefined): Promise<number> {
  const fields = fieldsOf(values)
  const stop = stopSignal(terminal)
  const own = values['url'] === undefined ? await startOwn(values, terminal, open) : null
  // A server of its own whose engine has ended answers nothing more.
  void own?.service.failed.then(() => stop.abort())
  try {
    const url = own?.url ?? serverUrl(values)
    const system = typeof values['system'] === 'string' ? values['system'] : null
    const exitCode = await converse({ url, apiKey: terminal.env[API_KEY_VARIABLE] ?? null, system, fields, stop: stop.signal }, terminal)
    if (!own?.service.failure) return exitCode
    terminal.err(`\nerror: ${own.service.failure.message}\n`)
    return 1
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

/** One turn a line, until `/quit` or the end of the input. */
async function converse(settings: ChatSettings, terminal: Terminal): Promise<number> {
  const messages: Message[] = settings.system === null ? [] : [{ role: 'system', content: settings.system }]
  const lines = createInterface({ input: terminal.input, signal: settings.stop })
  const prompt = (): void => {
    if (terminal.isInteractive) terminal.out('> ')
  }
  if (terminal.isInteractive) terminal.out('/quit ends the conversation\n')
  let exitCode = 0
  prompt()
  for await (const line of lines) {
    const content = line.trim()
    if (content === '/quit') break
    if (content !== '') exitCode = await takeTurn(settings, messages, content, terminal)
    if (settings.stop.aborted) break
    prompt()
  }
  lines.close()
  return exitCode
}

/** Answers one message; a failed turn leaves the conversation as it was. */
async function takeTurn(settings: ChatSettings, messages: Message[], content: string, terminal: Terminal): Promise<number> {
  messages.push({ role: 'user', content })
  try {
    messages.push({ role: 'assistant', content: await answer(settings, messages, terminal) })
    return 0
  } catch (thrown) {
    if (settings.stop.aborted) return 0
    if (!(thrown instanceof RequestFailed)) throw thrown
    messages.pop()
    terminal.err(`\nerror: ${thrown.message}\n`)
    return 3
  }
}

async function answer({ url, apiKey, fields, stop }: ChatSettings, messages: readonly Message[], terminal: Terminal): Promise<string> {
  const body = { messages, ...fields, stream: true, stream_options: { include_usage: true } }
  const sentAt = performance.now()
  let firstAt: number | null = null
  let text = ''
  let usage: Usage | null = null
  for await (const { value, at } of postStream(`${url}/v1/chat/completions`, body, { apiKey, signal: stop })) {
    const chunk = value as ChatChunk
    usage = chunk.usage ?? usage
    const piece = chunk.choices[0]?.delta.content ?? ''
    if (piece === '') continue
    firstAt ??= at
    text += piece
    terminal.out(piece)
  }
  terminal.out(`\n${summary(usage, (firstAt ?? performance.now()) - sentAt)}\n`)
  return text
}

/** e.g. `[first token after 41 ms; prompt 812 tokens: 768 hbm, 44 computed; answer 25 tokens]` */
function summary(usage: Usage | null, firstTokenMs: number): string {
  const time = `first token after ${firstTokenMs.toFixed(0)} ms`
  if (usage === null) return `[${time}]`
  return `[${time}; prompt ${usage.prompt_tokens} tokens: ${sources(usage)}; answer ${usage.completion_tokens} tokens]`
}

function sources(usage: Usage): string {
  // Other servers say at most how many tokens were cached.
  const own = usage.attentionstore as Usage['attentionstore'] | undefined
  if (own === undefined) return `${usage.prompt_tokens_details?.cached_tokens ?? 0} cached`
  const parts = { ...own.reused_tokens, computed: own.computed_tokens, 'outside the view': own.outside_view_tokens }
  const named = Object.entries(parts).filter(([, tokens]) => tokens > 0)
  return named.map(([source, tokens]) => `${tokens} ${source}`).join(', ')
}
