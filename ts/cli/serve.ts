// `serve`: runs until it is told to stop.

import { Command } from 'commander'
import type { Logger } from 'pino'
import { logCrash } from '../api/log.js'
import type { ServeOptions } from '../config/options.js'
import { formatBytes, formatDuration } from '../config/units.js'
import type { OpenEngine } from '../engine-choice.js'
import { AttentionStoreError } from '../protocol/errors.js'
import { SLOT_TIERS, TIERS } from '../protocol/tiers.js'
import { startResolvedServer, type RunningServer } from '../server.js'
import type { LineWriter } from '../telemetry/line-writer.js'
import { createLogger } from '../telemetry/logger.js'
import { exitCodeOf } from './exit.js'
import { addServeOptions, resolveFromCommand } from './options.js'
import { loadingProgress, loggedLoading } from './progress.js'
import type { Terminal } from './terminal.js'

type SetExitCode = (code: number) => void

/** @param open Opens the engine; a test gives one that it can make fail. */
export function serveCommand(terminal: Terminal, setExitCode: SetExitCode, open?: OpenEngine): Command {
  return addServeOptions(new Command('serve'))
    .description('serve a model over HTTP')
    .action(async (values: Record<string, unknown>) => setExitCode(await serve(values, terminal, open)))
}

/**
 * Answers the exit code: 0 where it was told to stop, 1 where the engine has ended, before that or meanwhile. Where standard
 * error is no screen it is a log: a refusal is a line of it too.
 */
async function serve(values: Record<string, unknown>, terminal: Terminal, open: OpenEngine | undefined): Promise<number> {
  try {
    return await run(resolveFromCommand(values, terminal.env), terminal, open)
  } catch (thrown) {
    if (terminal.showsProgress || !(thrown instanceof AttentionStoreError)) throw thrown
    const exitCode = exitCodeOf(thrown)
    createLogger('error', terminal.err).error({ ...thrown.context, code: thrown.code, exit_code: exitCode }, thrown.message)
    return exitCode
  }
}

async function run(options: ServeOptions, terminal: Terminal, open: OpenEngine | undefined): Promise<number> {
  const stop = stopRequest(terminal)
  stop.second.then(stopAtOnce, () => {})
  const logLines = terminal.openLog()
  const log = createLogger(options.logLevel, (line) => logLines.write(line))
  const untroubled = terminal.showsProgress ? () => {} : logTroubles(log, logLines, terminal)
  try {
    const onProgress = terminal.showsProgress ? loadingProgress(terminal) : loggedLoading(log)
    const listeners = { onNotice: (sentence: string) => terminal.out(`${sentence}\n`), onProgress }
    const server = await startResolvedServer(options, { env: terminal.env, log, logLines, ...listeners }, open)
    // Without keys SIGHUP keeps its usual meaning: the terminal is gone, and with it the server.
    const usesKeys = options.apiKeys !== null || options.adminKeyFile !== null
    const forget = usesKeys ? terminal.onHangup(() => server.reloadKeys()) : () => {}
    terminal.out(startLines(server).join(''))
    await Promise.race([stop.first, server.service.failed])
    if (!server.service.failure) {
      terminal.out(`stopping: running answers have ${formatDuration(options.drainTimeout)}; a second signal stops at once\n`)
    }
    await server.close()
    forget()
    return server.service.failure ? 1 : 0
  } finally {
    untroubled()
    stop.forget()
  }
}

function logTroubles(log: Logger, lines: LineWriter, terminal: Terminal): () => void {
  const warned = ({ name, message }: Error): void => log.warn({ warning: name }, message)
  return terminal.onTrouble(warned, (thrown) => {
    logCrash(log, thrown)
    lines.writeNow()
  })
}

/** The last line is the one that says where. */
function startLines({ info, tiers, url }: RunningServer): string[] {
  const sizes = SLOT_TIERS.map((tier) => {
    const bytes = tiers[`${tier}Bytes`]
    if (bytes === 0 && tier !== 'hbm') return `${tier} off`
    return `${tier} ${formatBytes(bytes)}${TIERS[tier].isDurable ? `, ${info.ioEngine}` : ''}`
  })
  return [
    `model    ${info.models.join(', ')}\n`,
    `device   ${info.device}\n`,
    `tiers    ${info.reuse ? sizes.join('; ') : `${sizes[0]}; no reuse: no KV is kept`}\n`,
    `context  ${contextLine(info)}\n`,
    `listening on ${url}\n`,
  ]
}

function contextLine({ maxModelLen, modelContext }: RunningServer['info']): string {
  if (maxModelLen >= modelContext) return `${maxModelLen} tokens`
  return `${maxModelLen} tokens (the model has ${modelContext}; --max-context or the hbm tier caps it)`
}

interface StopRequest {
  readonly first: Promise<void>
  readonly second: Promise<void>
  forget(): void
}

/** Two promises, one a signal. Signals during the start count too; the end of npx is as good as a first one. */
function stopRequest(terminal: Terminal): StopRequest {
  const resolvers: Array<() => void> = []
  const signalled = new Promise<void>((resolve) => resolvers.push(resolve))
  const second = new Promise<void>((resolve) => resolvers.push(resolve))
  const forgetSignals = terminal.onStop(() => resolvers.shift()?.())
  let forgetParent = (): void => {}
  const orphaned = new Promise<void>((resolve) => (forgetParent = terminal.onOrphaned(resolve)))
  const forget = (): void => {
    forgetSignals()
    forgetParent()
  }
  return { first: Promise.race([signalled, orphaned]), second, forget }
}

/** Shell convention for an end by a signal. A block that was not flushed is a miss later, never a wrong answer. */
function stopAtOnce(): never {
  process.exit(130)
}
