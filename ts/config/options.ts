// The options of `serve`: one table. Flags, environment variables, keys of the TOML file, help and types come from it,
// and each default is written here once.

import { availableParallelism } from 'node:os'
import { MIN_WINDOW } from '../engine/view.js'
import { profileNames } from '../engine/simulated/profiles/registry.js'
import { DEFAULTS } from '../protocol/defaults.js'
import { GENERATION_CHOICES } from '../protocol/generation-defaults.js'
import { device, host, hostPattern, origin, policy, servedName } from './names.js'
import { bytes, duration, flag, list, oneOf, rate, rateOrNone, share, shareOrNone, templateVariables, text, wait, waitOrNone, wholeNumber, type Parser } from './units.js'

export interface OptionSpec<T, D> {
  /** The argument after the flag in the help; undefined: a switch. */
  readonly argument?: string
  readonly help: string
  readonly parse: Parser<T>
  readonly default: D
  /** The default in words, where the value is not known before the machine or the model is. */
  readonly defaultText?: string
  readonly repeatable?: boolean
}

type ValueOf<S> = S extends OptionSpec<infer T, infer D> ? T | D : never

function option<T, const D>(spec: OptionSpec<T, D>): OptionSpec<T, D> {
  return spec
}

function switched(help: string): OptionSpec<boolean, false> {
  return { help, parse: flag, default: false }
}

const MIB = 2 ** 20

export const SERVE_OPTIONS = {
  model: option({
    argument: '<path|name>',
    help: 'a GGUF file, a Hugging Face directory, or ORG/MODEL[:QUANT][@REV] of the Hub',
    parse: text,
    default: null,
    defaultText: 'SmolLM2-135M-Instruct, downloaded once',
  }),
  randomWeights: option({
    argument: '<path|name>',
    help: 'seeded random weights in place of a model: a shape (mistral-7b, llama-13b, llama-70b, smollm2-135m) or a directory with config.json',
    parse: text,
    default: null,
    defaultText: 'none',
  }),
  servedModelName: option({
    argument: '<name>',
    help: 'name of the model in the API',
    parse: list(servedName),
    default: null,
    defaultText: "the model's metadata",
    repeatable: true,
  }),
  generationDefaults: option({
    argument: '<choice>',
    help: "sampling of requests that leave it out: model (its own, else OpenAI's), openai, or chat (its own, else the set for chats)",
    parse: oneOf(GENERATION_CHOICES),
    default: 'model',
  }),
  host: option({ argument: '<host>', help: 'address to listen on', parse: host, default: '127.0.0.1' }),
  port: option({
    argument: '<port>',
    help: 'port to listen on; 0: any free one',
    parse: wholeNumber(0, 65535),
    default: 8080,
  }),
  device: option({
    argument: '<device>',
    help: 'auto (a GPU if there is one, else cpu), cpu, cuda[:n] or simulated',
    parse: device,
    default: 'auto',
  }),
  profile: option({
    argument: '<name>',
    help: `speed of the simulated device: ${profileNames.join(', ')}`,
    parse: oneOf(profileNames),
    default: null,
    defaultText: 'cpu-2',
  }),
  hbmBytes: option({
    argument: '<size>',
    help: 'fastest tier',
    parse: bytes(1),
    default: null,
    defaultText: '1/8 of memory, 256 MiB to 4 GiB; on a GPU the memory left',
  }),
  dramBytes: option({
    argument: '<size>',
    help: 'host memory tier; 0: off',
    parse: bytes(0),
    default: null,
    defaultText: '1/4 of memory, 512 MiB to 32 GiB',
  }),
  ssdBytes: option({
    argument: '<size>',
    help: 'disk tier; 0: off',
    parse: bytes(0),
    default: null,
    defaultText: '20 % of the free disk, at most 20 GiB',
  }),
  dataDir: option({
    argument: '<path>',
    help: 'directory of the data that outlive the server',
    parse: text,
    default: null,
    defaultText: '$XDG_DATA_HOME/attentionstore',
  }),
  ssdPath: option({
    argument: '<path>',
    help: 'directory of the disk tier',
    parse: text,
    default: null,
    defaultText: 'ssd/ in the data directory',
  }),
  policy: option({ argument: '<name>', help: 'order in which blocks are evicted: adaptive, lru, fifo or scheduler-aware', parse: policy, default: DEFAULTS.policy }),
  maxContext: option({
    argument: '<tokens>',
    help: 'longest prompt and answer',
    parse: wholeNumber(64, 2 ** 30),
    default: null,
    defaultText: "the model's, as far as the hbm tier holds it",
  }),
  contextWindow: option({
    argument: '<tokens>',
    help: 'most tokens that a conversation with truncation sees',
    parse: wholeNumber(MIN_WINDOW, 2 ** 30),
    default: null,
    defaultText: 'the longest context',
  }),
  truncationRatio: option({
    argument: '<share>',
    help: 'share of the window that leaves the window at a time',
    parse: share,
    default: DEFAULTS.truncationRatio,
  }),
  maxBatchTokens: option({
    argument: '<tokens>',
    help: 'most tokens in a step',
    parse: wholeNumber(1, 65536),
    default: null,
    defaultText: '256 on the CPU, 2048 on a GPU',
  }),
  threads: option({
    argument: '<count>',
    help: 'threads that compute',
    parse: wholeNumber(1, 1024),
    default: availableParallelism(),
  }),
  maxQueue: option({
    argument: '<count>',
    help: 'most requests that wait',
    parse: wholeNumber(1, 1_000_000),
    default: DEFAULTS.maxQueue,
  }),
  maxBodyBytes: option({
    argument: '<size>',
    help: 'largest request body',
    parse: bytes(1024),
    default: 4 * MIB,
    defaultText: '4MiB',
  }),
  keepAliveTimeout: option({
    argument: '<duration>',
    help: 'time that an idle connection stays open; more than that of a proxy in front',
    parse: wait,
    default: 75_000,
    defaultText: '75s',
  }),
  drainTimeout: option({
    argument: '<duration>',
    help: 'time that running answers have when the server is told to stop',
    parse: wait,
    default: 10_000,
    defaultText: '10s',
  }),
  streamKeepAlive: option({
    argument: '<duration>',
    help: 'silence after which a stream gets a comment line; none: no comments',
    parse: waitOrNone,
    default: 10_000,
    defaultText: '10s',
  }),
  chatTemplateKwargs: option({
    argument: '<json>',
    help: 'variables of the chat template where a request does not set them, e.g. {"enable_thinking": false}',
    parse: templateVariables,
    default: {} as Readonly<Record<string, unknown>>,
    defaultText: 'none',
  }),
  noReuse: switched('compute everything, keep nothing: the baseline'),
  noPreload: switched('wait for a whole load before computing'),
  preloadLayers: option({
    argument: '<count>',
    help: 'layers that are loaded ahead of the running one',
    parse: wholeNumber(0, 1024),
    default: null,
    defaultText: 'all',
  }),
  noPrefetch: switched('read from disk only when a request\'s turn comes'),
  history: option({
    argument: '<way>',
    help: 'way to get history that lies on disk: auto, load, recompute or split',
    parse: oneOf(['auto', 'load', 'recompute', 'split']),
    default: DEFAULTS.history,
  }),
  syncSave: switched('wait for saves after each step'),
  reuseAfterTruncation: option({
    argument: '<on|off>',
    help: 'off: tokens computed before a truncation are computed again after it',
    parse: oneOf(['on', 'off']),
    default: 'on',
  }),
  verifyLoads: option({
    argument: '<share>',
    help: 'share of the loads from host memory that are compared with their checksums, e.g. 0.1, or none',
    parse: shareOrNone,
    default: null,
    defaultText: '1 on a CPU, 0.02 on a GPU',
  }),
  scrubRate: option({
    argument: '<rate>',
    help: 'host memory that is compared with its checksums in the background, e.g. 64MB/s, or none',
    parse: rateOrNone,
    default: DEFAULTS.scrubRate,
    defaultText: '16MB/s',
  }),
  sessionTtl: option({
    argument: '<duration>',
    help: 'drop the KV of conversations that were idle for this long, e.g. 30m',
    parse: duration,
    default: null,
    defaultText: 'none',
  }),
  responseBytes: option({
    argument: '<size>',
    help: 'memory for responses that previous_response_id may name; 0: none is kept',
    parse: bytes(0),
    default: DEFAULTS.maxResponseBytes,
    defaultText: '64MiB',
  }),
  responseTtl: option({
    argument: '<duration>',
    help: 'forget a kept response that was not used for this long, e.g. 30m',
    parse: duration,
    default: DEFAULTS.responseTtlMs,
    defaultText: '1d',
  }),
  storeResponses: switched('keep those responses in the data directory too, sealed, so that a restart forgets none'),
  ssdReadLimit: option({ argument: '<rate>', help: 'most bytes read from disk a second, e.g. 200MB/s', parse: rate, default: null, defaultText: 'none' }),
  ssdWriteLimit: option({ argument: '<rate>', help: 'most bytes written to disk a second, e.g. 200MB/s', parse: rate, default: null, defaultText: 'none' }),
  requestLog: option({
    argument: '<file>',
    help: 'append one JSON line a request, without text',
    parse: text,
    default: null,
    defaultText: 'none',
  }),
  apiKeys: option({
    argument: '<file>',
    help: 'keys that open /v1, made by `attentionstore keys add`; read again on SIGHUP',
    parse: text,
    default: null,
    defaultText: 'none',
  }),
  adminKeyFile: option({
    argument: '<file>',
    help: 'keys that open /admin and the dashboard, in the same form',
    parse: text,
    default: null,
    defaultText: 'none',
  }),
  allowUnauthenticated: switched('listen on an address that others can reach'),
  allowedHosts: option({
    argument: '<host,…>',
    help: 'Host headers to accept besides loopback and addresses; .example.org: that name and those below it',
    parse: list(hostPattern),
    default: [] as readonly string[],
    defaultText: 'none',
    repeatable: true,
  }),
  corsOrigin: option({
    argument: '<origin,…>',
    help: 'origins of pages that may call /v1; localhost: every page of this machine',
    parse: list(origin),
    default: [] as readonly string[],
    defaultText: 'none',
    repeatable: true,
  }),
  strictFields: switched('refuse requests with a field that the server does not know; off: name it in a response header'),
  trustRequestTemplates: switched('take chat templates that come with requests, in chat_template'),
  logLevel: option({
    argument: '<level>',
    help: 'silent, error, warn, info or debug',
    parse: oneOf(['silent', 'error', 'warn', 'info', 'debug']),
    default: 'info',
  }),
} as const

export type OptionKey = keyof typeof SERVE_OPTIONS

/** Every option with its value; null where the default depends on the machine or the model. */
export type ServeOptions = { readonly [K in OptionKey]: ValueOf<(typeof SERVE_OPTIONS)[K]> }

/** Options as a user may give them: texts as on the command line, or values as in TOML. */
export type RawOptions = { readonly [K in OptionKey]?: unknown }

export const OPTION_KEYS = Object.keys(SERVE_OPTIONS) as OptionKey[]

/** `hbmBytes` → `hbm-bytes`: the flag without dashes, and the key in the TOML file. */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `hbmBytes` → `ATTENTIONSTORE_HBM_BYTES`. */
export function variable(key: string): string {
  return `ATTENTIONSTORE_${kebab(key).replaceAll('-', '_').toUpperCase()}`
}
