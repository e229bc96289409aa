// Options of the table as commander options, and back.

import { Option, type Command } from 'commander'
import { kebab, OPTION_KEYS, SERVE_OPTIONS, variable, type OptionKey, type RawOptions, type ServeOptions } from '../config/options.js'
import { CONFIG_VARIABLE, readConfigFile, resolveOptions } from '../config/resolve.js'

interface AnySpec {
  readonly argument?: string
  readonly help: string
  readonly default: unknown
  readonly defaultText?: string
  readonly repeatable?: boolean
}

const collect = (value: string, previous: readonly string[] | undefined): string[] => [...(previous ?? []), value]

function toOption(key: OptionKey): Option {
  const spec: AnySpec = SERVE_OPTIONS[key]
  const flags = [`--${kebab(key)}`, spec.argument].filter(Boolean).join(' ')
  const option = new Option(flags, describe(spec))
  return spec.repeatable ? option.argParser(collect) : option
}

function describe({ help, argument, default: value, defaultText }: AnySpec): string {
  const shown = defaultText ?? (argument === undefined ? undefined : String(value))
  return shown === undefined || shown === 'none' ? help : `${help} (default: ${shown})`
}

/** Adds `--config` and every option of `serve`. */
export function addServeOptions(command: Command): Command {
  command.option('--config <file>', 'TOML file with options of these names')
  for (const key of OPTION_KEYS) command.addOption(toOption(key))
  const example = `${variable('hbmBytes')}=512MiB`
  return command.addHelpText('after', `\nEvery option is also an environment variable (${example}) and a key of the TOML file.\n`)
}

/** `--no-reuse` sits in commander as `reuse: false`; everything else under its own key. */
function givenValue(values: Readonly<Record<string, unknown>>, key: OptionKey): unknown {
  const negated = /^no([A-Z])(.*)$/.exec(key)
  if (!negated) return values[key]
  return values[`${negated[1]?.toLowerCase()}${negated[2]}`] === false ? true : undefined
}

/** Options of `serve` that a command line names, as flags. */
export function givenOptions(values: Readonly<Record<string, unknown>>): string[] {
  return OPTION_KEYS.filter((key) => givenValue(values, key) !== undefined).map((key) => `--${kebab(key)}`)
}

/** Flags over environment over file. */
export function resolveFromCommand(
  values: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): ServeOptions {
  const given = OPTION_KEYS.map((key) => [key, givenValue(values, key)] as const)
  const flags: RawOptions = Object.fromEntries(given.filter(([, value]) => value !== undefined))
  const path = values['config'] ?? env[CONFIG_VARIABLE]
  const file = typeof path === 'string' ? { file: readConfigFile(path) } : {}
  return resolveOptions({ flags, env, ...file })
}
