// The one place where options come together: flags over environment over file, then checks that concern several.

import { readFileSync } from 'node:fs'
import { parse, TomlError } from 'smol-toml'
import { ExitError } from '../protocol/errors.js'
import { isLoopback } from './names.js'
import { kebab, OPTION_KEYS, SERVE_OPTIONS, variable, type OptionKey, type RawOptions, type ServeOptions } from './options.js'
import { invalidOption, type Parser } from './units.js'

export interface OptionSources {
  /** By key, as from a command line or the API. */
  readonly flags?: RawOptions
  readonly env?: Readonly<Record<string, string | undefined>>
  /** A parsed TOML file. */
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> }
}

/** The variable that names the TOML file; it is not an option of the table because it says where options are. */
export const CONFIG_VARIABLE = 'ATTENTIONSTORE_CONFIG'

/** The key that commands send to a server elsewhere. In no option, because other users see command lines. */
export const API_KEY_VARIABLE = 'ATTENTIONSTORE_API_KEY'

/** Names the directory of CUDA's compiler and libraries where the system does not know them; the addon reads it. */
const NVRTC_VARIABLE = 'ATTENTIONSTORE_NVRTC_DIR'

interface Given {
  readonly value: unknown
  /** The option as the user wrote it: its name in messages. */
  readonly label: string
}

/**
 * Resolves the options of a server.
 * @throws ExitError with exit code 2 that names the option and the limit.
 */
export function resolveOptions(sources: OptionSources): ServeOptions {
  refuseUnknown(sources)
  const options = Object.fromEntries(OPTION_KEYS.map((key) => [key, valueOf(key, find(key, sources))])) as ServeOptions
  checkTogether(options)
  return options
}

function valueOf(key: OptionKey, given: Given | null): unknown {
  const spec = SERVE_OPTIONS[key]
  return given === null ? spec.default : (spec.parse as Parser<unknown>)(given.value, given.label)
}

function find(key: OptionKey, { flags, env, file }: OptionSources): Given | null {
  const flagValue = flags?.[key]
  if (flagValue !== undefined) return { value: flagValue, label: `--${kebab(key)}` }
  const variableValue = env?.[variable(key)]
  if (variableValue !== undefined) return { value: variableValue, label: variable(key) }
  if (file && Object.hasOwn(file.values, kebab(key))) {
    return { value: file.values[kebab(key)], label: `${kebab(key)} in ${file.path}` }
  }
  return null
}

function refuseUnknown({ flags, env, file }: OptionSources): void {
  const keys: ReadonlySet<string> = new Set(OPTION_KEYS)
  const names = new Set(OPTION_KEYS.map(kebab))
  const variables = new Set([...OPTION_KEYS.map(variable), CONFIG_VARIABLE, API_KEY_VARIABLE, NVRTC_VARIABLE])
  const unknown = [
    ...Object.keys(flags ?? {}).filter((key) => !keys.has(key)).map((key) => `option ${key}`),
    ...Object.keys(env ?? {})
      .filter((name) => name.startsWith('ATTENTIONSTORE_') && !variables.has(name))
      .map((name) => `environment variable ${name}`),
    ...Object.keys(file?.values ?? {}).filter((name) => !names.has(name)).map((name) => `key ${name} in ${file?.path}`),
  ]
  if (unknown.length === 0) return
  throw new ExitError(2, 'unknown_option', `unknown ${unknown.join(', unknown ')}; --help lists the options`)
}

function checkTogether(options: ServeOptions): void {
  if (!isLoopback(options.host) && options.apiKeys === null && !options.allowUnauthenticated) {
    const why = 'other machines could use the server without a key; give --api-keys, or --allow-unauthenticated to permit that'
    throw invalidOption('--host', `${options.host} is not a loopback address: ${why}`)
  }
  if (options.profile !== null && options.device !== 'simulated') {
    throw invalidOption('--profile', 'only --device simulated has a profile')
  }
  if (options.randomWeights !== null && options.model !== null) {
    throw invalidOption('--random-weights', 'replaces --model; give one of them')
  }
  if (options.randomWeights !== null && options.device === 'simulated') {
    throw invalidOption('--random-weights', 'the simulated device has no weights')
  }
  if (options.noPreload && options.preloadLayers !== null) {
    throw invalidOption('--preload-layers', 'contradicts --no-preload; give one of them')
  }
  if (options.storeResponses) checkStoredResponses(options)
}

function checkStoredResponses({ noReuse, responseBytes }: ServeOptions): void {
  if (noReuse) throw invalidOption('--store-responses', 'needs --data-dir, and with --no-reuse the server opens no file of it')
  if (responseBytes === 0) throw invalidOption('--store-responses', 'contradicts --response-bytes 0, which keeps no response')
}

/**
 * Reads a TOML file of options.
 * @throws ExitError with exit code 2 if it cannot be read or is not TOML.
 */
export function readConfigFile(path: string): { path: string; values: Record<string, unknown> } {
  try {
    return { path, values: parse(readFileSync(path, 'utf8')) }
  } catch (cause) {
    const reason = cause instanceof TomlError ? `line ${cause.line}, column ${cause.column}: not TOML` : String(cause)
    throw new ExitError(2, 'invalid_option', `--config: ${path}: ${reason}`, { option: '--config' }, { cause })
  }
}
