// The HTTP API over a fake service or a given one, on a port of its own.

import { request, type IncomingHttpHeaders } from 'node:http'
import OpenAI from 'openai'
import { openHttpApi, type ListenOptions } from '../../../ts/api/listen.js'
import { AccessControl } from '../../../ts/auth/access-control.js'
import type { Engine } from '../../../ts/engine/types.js'
import type { ServerInfo } from '../../../ts/protocol/events.js'
import type { GenerationChoice } from '../../../ts/protocol/generation-defaults.js'
import type { InferenceService } from '../../../ts/service/types.js'
import { generationDefaults, samplingValues } from '../../../ts/surfaces/generation-defaults.js'
import { createLogger } from '../../../ts/telemetry/logger.js'
import { Telemetry } from '../../../ts/telemetry/telemetry.js'
import { fakeDisks, fakeInfo, FakeService, fakeStats, fakeText } from './fake-service.js'

const info: ServerInfo = {
  version: '0.0.0',
  models: ['fake-model', 'org/other-name'],
  engine: 'simulated',
  device: 'fake',
  maxModelLen: 2048,
  modelContext: 4096,
  layers: 2,
  blockTokens: 64,
  blockBytes: 128,
  maxBatchTokens: 64,
  policy: 'lru',
  ioEngine: 'none',
  reuse: true,
  startedAtMs: 0,
  ttftEstimate: 'guessed',
}

export interface OpenedApi {
  readonly url: string
  readonly client: OpenAI
  /** Lines of the log, at the most talkative level. */
  readonly log: readonly string[]
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>
  close(): Promise<void>
}

export interface TestApi extends OpenedApi {
  readonly service: FakeService
}

export interface TestOptions extends Partial<ListenOptions> {
  /** As `--strict-fields`. */
  readonly strictFields?: boolean
  /** As `--trust-request-templates`. */
  readonly trustRequestTemplates?: boolean
  /** As `--generation-defaults`. */
  readonly generationChoice?: GenerationChoice
}

/** As a server without keys. */
function openToAll(): AccessControl {
  return new AccessControl({ apiKeys: null, adminKeys: null, isLoopback: true, now: () => 0 })
}

export async function openTestApi(
  options: TestOptions = {},
  engine: Partial<typeof fakeInfo> = {},
  auth: AccessControl = openToAll(),
): Promise<TestApi> {
  const service = new FakeService()
  const api = await openApiOver(service, { info: { ...fakeInfo, ...engine }, text: fakeText }, options, auth)
  return { ...api, service }
}

/** The API alone: the service and the engine stay the caller's to close. */
export async function openApiOver(
  service: InferenceService,
  engine: Pick<Engine, 'info' | 'text'>,
  { strictFields = false, trustRequestTemplates = false, generationChoice = 'model', ...options }: TestOptions = {},
  auth: AccessControl = openToAll(),
): Promise<OpenedApi> {
  const log: string[] = []
  const generation = generationDefaults(generationChoice, engine.info.defaults, null, service.modelContext)
  const telemetry = new Telemetry(info, { service, stats: () => fakeStats, disks: () => fakeDisks })
  const http = await openHttpApi(
    {
      service,
      telemetry,
      auth,
      engine: { info: { ...engine.info, defaults: samplingValues(generation.api) }, text: engine.text },
      generation,
      log: createLogger('debug', (line) => log.push(line)),
      models: info.models,
      startedAtS: 1,
      version: info.version,
      strictFields,
      trustRequestTemplates,
    },
    {
      host: '127.0.0.1',
      port: 0,
      maxBodyBytes: 64 * 1024,
      keepAliveMs: 5000,
      access: { allowedHosts: [], corsOrigins: [] },
      webDirectory: 'no-such-directory',
      ...options,
    },
  )
  return {
    url: http.url,
    log,
    client: new OpenAI({ baseURL: `${http.url}/v1`, apiKey: 'none', maxRetries: 0 }),
    post: (path, body, headers = {}) =>
      fetch(http.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    async close() {
      telemetry.close()
      await http.close()
    },
  }
}

export interface RawReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request with headers that `fetch` does not let one set, such as Host. */
export function rawRequest(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

export async function errorOf(response: Response): Promise<{ status: number; code: string; param: string | null }> {
  const { error } = (await response.json()) as { error?: { code: string; param: string | null } }
  return { status: response.status, code: error?.code ?? '', param: error?.param ?? null }
}
