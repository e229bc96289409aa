// The composition root: options → engine → scheduler → telemetry → HTTP.

import { join } from 'node:path'
import type { Logger } from 'pino'
import { checkAddress, openHttpApi, type HttpApi } from './api/listen.js'
import { logAfterEngineEnd, logEngineEnd } from './api/log.js'
import { openAccessControl } from './auth/open.js'
import type { AccessControl } from './auth/access-control.js'
import { fitTiers, readMachine, type TierBytes } from './config/machine.js'
import type { RawOptions, ServeOptions } from './config/options.js'
import { absolutePath, dataDirectory } from './config/paths.js'
import { servableName } from './config/names.js'
import { checkPlaces } from './config/places.js'
import { resolveOptions } from './config/resolve.js'
import { invalidOption } from './config/units.js'
import { openEngine, type OpenedEngine, type OpenEngine, type OpenListeners } from './engine-choice.js'
import { systemClock } from './engine/clock.js'
import { BLOCK_TOKENS, type Engine } from './engine/types.js'
import { ExitError, type ApiError } from './protocol/errors.js'
import type { ServerInfo } from './protocol/events.js'
import { contextThatFits } from './scheduler/core/options.js'
import { createInferenceService } from './service/service.js'
import type { InferenceService } from './service/types.js'
import { generationDefaults, samplingValues } from './surfaces/generation-defaults.js'
import { DiskConditions } from './telemetry/disk-conditions.js'
import { FaultLog } from './telemetry/fault-log.js'
import type { LineWriter } from './telemetry/line-writer.js'
import { createLogger, openLog } from './telemetry/logger.js'
import { RequestLogFile } from './telemetry/request-log.js'
import { Telemetry, TTFT_ESTIMATE } from './telemetry/telemetry.js'
import { PACKAGE_ROOT, VERSION } from './version.js'

/** Who is told of what takes time at the start: sentences, and the share of the model that is loaded, 0…1. */
export interface ServerHooks extends OpenListeners {
  /** Where the base directories are looked up. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** @default JSON lines on standard error, from `--log-level` on */
  readonly log?: Logger
  /** The writer behind `log`: its state is told with those of the other disks. @default that of standard error, or none with a `log` */
  readonly logLines?: LineWriter
}

export interface RunningServer {
  readonly url: string
  readonly info: ServerInfo
  readonly tiers: TierBytes
  readonly service: InferenceService
  /** Reads the key files again. A broken one keeps its keys as they were, and an error in the log names the line. */
  reloadKeys(): void
  /**
   * New work gets 503, running answers have `graceMs` (default `--drain-timeout`), saves are flushed, everything is released. May be
   * called twice. Once the engine has ended (`service.failed`) it takes a few seconds at most, and does not reject.
   */
  close(graceMs?: number): Promise<void>
}

/** A failed engine may hold a thread that never comes back from its device. Its close is not waited for longer. */
const FAILED_CLOSE_MS = 3000
/** Milliseconds that the last lines of the log have at the end. */
const LAST_LINES_MS = 1000

/** Starts a server with options as texts or values; what is left out has the default of `attentionstore serve`. */
export function startServer(options: RawOptions = {}, hooks: ServerHooks = {}): Promise<RunningServer> {
  return startResolvedServer(resolveOptions({ flags: options }), hooks)
}

/**
 * As `startServer`, with options that are resolved already.
 * @param open Opens the engine; a test gives one that it can make fail.
 */
export async function startResolvedServer(
  options: ServeOptions,
  hooks: ServerHooks = {},
  open: OpenEngine = openEngine,
): Promise<RunningServer> {
  const env = hooks.env ?? process.env
  const auth = openAccessControl(options, env)
  const parts = new Parts()
  try {
    const dataDir = absolutePath(options.dataDir ?? dataDirectory(env), env)
    const ssdDir = options.ssdPath === null ? join(dataDir, 'ssd') : absolutePath(options.ssdPath, env)
    // All that can be refused without the model is, before the model takes its time.
    const logLines = hooks.logLines ?? (hooks.log ? null : openLog(systemClock))
    const log = hooks.log ?? createLogger(options.logLevel, (line) => logLines?.write(line))
    parts.add(async () => logLines?.settled(LAST_LINES_MS))
    const disks = new DiskConditions(log, systemClock)
    if (logLines) watchLog(disks, logLines)
    await checkAddress(options)
    await checkPlaces(options, dataDir, ssdDir)
    const requestLog = options.requestLog === null ? null : openRequestLog(absolutePath(options.requestLog, env), disks)
    parts.add(async () => requestLog?.close())
    const fit = async (weightBytes: number, onGpu: boolean) => fitTiers(options, await readMachine(ssdDir), weightBytes, onGpu)
    const opened = await open({ options, dataDir, ssdDir, env, fit }, hooks)
    const { templateError, tokenizerGuess } = opened.engine.info
    if (tokenizerGuess !== undefined) hooks.onNotice?.(tokenizerGuess)
    if (templateError !== undefined) {
      hooks.onNotice?.(`the chat template of the model cannot be used, so messages are refused: ${templateError}`)
    }
    return await serve(options, opened, { auth, dataDir, log, requestLog, disks }, parts)
  } catch (thrown) {
    // The reason why nothing was started is the one to tell.
    await parts.close().catch(() => {})
    throw thrown
  }
}

/** What is there before the engine is. */
interface Ground {
  readonly auth: AccessControl
  readonly dataDir: string
  readonly log: Logger
  readonly requestLog: RequestLogFile | null
  readonly disks: DiskConditions
}

async function serve(options: ServeOptions, opened: OpenedEngine, { auth, dataDir, log, requestLog, disks }: Ground, parts: Parts): Promise<RunningServer> {
  const { engine } = opened
  let engineFailed: Promise<unknown> = new Promise(() => {})
  parts.add(() => closeEngine(opened, engineFailed))
  checkContext(options, engine)
  if (!options.noReuse) {
    if (opened.tiers.ssdBytes > 0) disks.watch('ssd')
    disks.watch('store')
  }
  const faults = new FaultLog(log, systemClock)
  const service = createInferenceService(engine, {
    dataDir: options.noReuse ? null : dataDir,
    maxQueue: options.maxQueue,
    policy: options.policy,
    noReuse: options.noReuse,
    preload: !options.noPreload,
    preloadLayers: options.preloadLayers,
    prefetch: !options.noPrefetch,
    history: options.history,
    syncSave: options.syncSave,
    scrubRate: options.scrubRate,
    templateArguments: options.chatTemplateKwargs,
    truncationRatio: options.truncationRatio,
    reuseAfterTruncation: options.reuseAfterTruncation === 'on',
    ...(options.contextWindow === null ? {} : { contextWindow: options.contextWindow }),
    sessionTtlMs: options.sessionTtl,
    maxResponseBytes: options.responseBytes,
    responseTtlMs: options.responseTtl,
    storeResponses: options.storeResponses,
    onRequestLogged: requestLog === null ? null : (record) => requestLog.add(record),
    onFault: (fault) => faults.add(fault),
    onDisk: (report) => disks.report(report),
    ...(options.maxContext === null ? {} : { maxContext: options.maxContext }),
  })
  engineFailed = service.failed
  service.failed.then((failure) => logEngineEnd(log, failure), () => {})
  let graceMs = options.drainTimeout
  parts.add(() => service.close(graceMs))
  const info = serverInfo(options, opened, service)
  const limits = { read: options.ssdReadLimit, write: options.ssdWriteLimit }
  const telemetry = new Telemetry(info, { service, stats: () => engine.stats(), disks: () => disks.list() }, { limits })
  parts.add(async () => telemetry.close())
  const generation = generationDefaults(options.generationDefaults, engine.info.defaults, opened.known ?? null, service.modelContext)
  const spoken = { info: { ...engine.info, defaults: samplingValues(generation.api) }, text: engine.text }
  const http = await listen(options, { service, engine: spoken, telemetry, auth, log, generation }, info)
  parts.add(() => http.close())
  if (service.failure) throw engineEnded(service.failure)
  return {
    url: http.url,
    info,
    tiers: opened.tiers,
    service,
    reloadKeys: () => reloadKeys(auth, log),
    async close(grace = options.drainTimeout) {
      graceMs = grace
      // While answers end, the port stays open: new work is told that the server drains. What fails here, `parts` meets too.
      await service.close(graceMs).catch(() => {})
      await parts.close().catch((thrown: unknown) => {
        if (!service.failure) throw thrown
        logAfterEngineEnd(log, thrown)
      })
    },
  }
}

function watchLog(disks: DiskConditions, lines: LineWriter): void {
  disks.watch('log', () => lines.lost)
  lines.listen((state, reason) => disks.report({ place: 'log', state, reason }))
}

function openRequestLog(path: string, disks: DiskConditions): RequestLogFile {
  const file = new RequestLogFile(path, systemClock, (state, reason) => disks.report({ place: 'request_log', state, reason }))
  disks.watch('request_log', () => file.lost)
  return file
}

/** The engine ended while the server started: there is nothing to serve with. */
function engineEnded({ message, context, cause }: ApiError): ExitError {
  return new ExitError(1, 'engine_stopped', message, context, { cause })
}

async function closeEngine(opened: OpenedEngine, failed: Promise<unknown>): Promise<void> {
  let cancel = (): void => {}
  const bound = failed.then(() => new Promise<void>((resolve) => (cancel = systemClock.after(FAILED_CLOSE_MS, resolve))))
  await Promise.race([opened.close(), bound])
  cancel()
}

function listen(
  options: ServeOptions,
  sources: Pick<Parameters<typeof openHttpApi>[0], 'service' | 'engine' | 'telemetry' | 'auth' | 'log' | 'generation'>,
  info: ServerInfo,
): Promise<HttpApi> {
  const startedAtS = Math.floor(info.startedAtMs / 1000)
  return openHttpApi(
    { ...sources, models: info.models, startedAtS, version: VERSION, strictFields: options.strictFields, trustRequestTemplates: options.trustRequestTemplates },
    {
      host: options.host,
      port: options.port,
      maxBodyBytes: options.maxBodyBytes,
      keepAliveMs: options.keepAliveTimeout,
      stream: { keepAliveMs: options.streamKeepAlive },
      access: { allowedHosts: options.allowedHosts, corsOrigins: options.corsOrigin },
      webDirectory: join(PACKAGE_ROOT, 'web-dist'),
    },
  )
}

function reloadKeys(auth: AccessControl, log: Logger): void {
  const failures = auth.reload()
  for (const { code, message, context } of failures) log.error({ code, ...context }, `the earlier keys stay in use: ${message}`)
  if (failures.length === 0) log.info('the key files were read again')
}

function serverInfo(options: ServeOptions, { engine: { info }, known }: OpenedEngine, service: InferenceService): ServerInfo {
  return {
    version: VERSION,
    models: options.servedModelName ?? [known?.id ?? servableName(info.modelName)],
    engine: info.kind,
    device: info.device,
    maxModelLen: service.modelContext,
    modelContext: info.modelContext,
    layers: info.layers,
    blockTokens: BLOCK_TOKENS,
    blockBytes: info.blockBytes,
    maxBatchTokens: info.maxBatchTokens,
    policy: options.policy,
    ioEngine: info.ioEngine,
    reuse: !options.noReuse,
    startedAtMs: Date.now(),
    ttftEstimate: TTFT_ESTIMATE,
  }
}

/** @throws ExitError with exit code 2 that names the option. */
function checkContext({ maxContext, contextWindow }: ServeOptions, { info }: Engine): void {
  const held = contextThatFits(info.slots.hbm)
  if (held === 0) throw invalidOption('--hbm-bytes', `the tier holds ${info.slots.hbm} blocks of ${info.blockBytes} bytes, too few for any context`)
  const most = Math.min(held, info.modelContext)
  const limits = `the model has ${info.modelContext}, the hbm tier holds ${held}`
  if (maxContext !== null && maxContext > most) throw invalidOption('--max-context', `${maxContext} tokens are too many: ${limits} tokens`)
  if (contextWindow === null || contextWindow <= (maxContext ?? most)) return
  throw invalidOption('--context-window', `${contextWindow} tokens are more than the context of ${maxContext ?? most}: ${limits} tokens`)
}

/** What a server is made of, closed in the reverse order of its making. */
class Parts {
  readonly #closers: Array<() => Promise<void>> = []
  #closing: Promise<void> | undefined

  add(close: () => Promise<void>): void {
    this.#closers.push(close)
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#closers.toReversed()) {
      await close().catch((failure: unknown) => failures.push(failure))
    }
    if (failures.length > 0) throw failures[0]
  }
}
