// Values of options: each parser takes what a flag, a variable, a TOML file or the API gave, and names the option and
// the limit when it is wrong.

import { ExitError } from '../protocol/errors.js'
import { RESERVED_VARIABLES, VARIABLE_NAME } from '../protocol/template-variables.js'

/** Turns a raw value into an option's value. `option` is what the user wrote: `--port`, `ATTENTIONSTORE_PORT`, … */
export type Parser<T> = (value: unknown, option: string) => T

/** The error for a wrong option: exit code 2. */
export function invalidOption(option: string, sentence: string): ExitError {
  return new ExitError(2, 'invalid_option', `${option}: ${sentence}`, { option })
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

export const text: Parser<string> = (value, option) => {
  if (typeof value === 'string' && value.trim() !== '') return value
  throw invalidOption(option, `${shown(value)} is not a text with at least one character`)
}

export const flag: Parser<boolean> = (value, option) => {
  if (typeof value === 'boolean') return value
  if (value === '1' || value === 'true') return true
  if (value === '0' || value === 'false') return false
  throw invalidOption(option, `${shown(value)} is neither true nor false`)
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): Parser<number> {
  return (value, option) => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= min && number <= max) return number
    throw invalidOption(option, `${shown(value)} is not a whole number from ${min} to ${max}`)
  }
}

/** A number above 0, at most 1. */
export const share: Parser<number> = (value, option) => {
  const number = typeof value === 'string' && /^\d*\.?\d+$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && number > 0 && number <= 1) return number
  throw invalidOption(option, `${shown(value)} is not a number above 0 and at most 1`)
}

/** As `share`, or `none`: 0. */
export const shareOrNone: Parser<number> = (value, option) => (value === 'none' || value === 0 ? 0 : share(value, option))

/** A JSON object, as text or as a table, of variables for a chat template. */
export const templateVariables: Parser<Readonly<Record<string, unknown>>> = (value, option) => {
  const given = typeof value === 'string' ? jsonOf(value, option) : value
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalidOption(option, `${shown(value)} is not a JSON object`)
  for (const name of Object.keys(given)) {
    if (!VARIABLE_NAME.test(name)) throw invalidOption(option, `${shown(name)} is not a name of 1 to 64 letters, digits and _`)
    if (RESERVED_VARIABLES.has(name)) throw invalidOption(option, `${name}: the server sets this variable itself`)
  }
  return given as Readonly<Record<string, unknown>>
}

function jsonOf(text: string, option: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidOption(option, `${shown(text)} is not JSON`)
  }
}

export function oneOf<const T extends string>(choices: readonly T[]): Parser<T> {
  return (value, option) => {
    const found = choices.find((choice) => choice === value)
    if (found !== undefined) return found
    throw invalidOption(option, `${shown(value)} is none of ${choices.join(', ')}`)
  }
}

/** One or more texts: an array, a repeated flag, or one text with commas. */
export function list<T>(item: Parser<T>): Parser<readonly T[]> {
  return (value, option) => {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    const parts = values.flatMap((part) => (typeof part === 'string' ? part.split(',').map((one) => one.trim()) : [part]))
    return parts.map((part) => item(part, option))
  }
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}
const MAX_BYTES = 2 ** 50

function scaled(value: unknown, pattern: RegExp, units: Readonly<Record<string, number>>): number | null {
  if (typeof value === 'number') return value
  const match = typeof value === 'string' ? pattern.exec(value) : null
  const unit = match ? units[match[2] ?? ''] : undefined
  return match && unit !== undefined ? Number(match[1]) * unit : null
}

/** `512MiB`, `4GiB`, `1.5GB`, or a number of bytes; at least `min`. */
export function bytes(min: number): Parser<number> {
  return (value, option) => {
    const number = scaled(value, /^(\d+(?:\.\d+)?)([KMGT]i?B|B)?$/, SIZE_UNITS)
    if (number === null || !Number.isFinite(number)) {
      throw invalidOption(option, `${shown(value)} is not a size such as 512MiB, 4GiB or a number of bytes`)
    }
    if (number < min || number > MAX_BYTES) {
      throw invalidOption(option, `${shown(value)} is not between ${min} bytes and 1024 TiB`)
    }
    return Math.floor(number)
  }
}

/** Bytes a second: `200MB/s`. */
export const rate: Parser<number> = (value, option) => {
  const size = typeof value === 'string' ? value.replace(/\/s$/, '') : value
  if (typeof value === 'string' && size === value) {
    throw invalidOption(option, `${shown(value)} is not a rate such as 200MB/s`)
  }
  return bytes(1)(size, option)
}

/** As `rate`, or `none`: 0. */
export const rateOrNone: Parser<number> = (value, option) => (value === 'none' ? 0 : rate(value, option))

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 }
const DAY_MS = 8.64e7
const MAX_DURATION_MS = 3650 * DAY_MS

/** Milliseconds from `30m`, `90s`, `12h`, … */
export const duration: Parser<number> = (value, option) => {
  const ms = typeof value === 'string' ? scaled(value, /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/, DURATION_UNITS) : null
  if (ms !== null && ms >= 1 && ms <= MAX_DURATION_MS) return ms
  throw invalidOption(option, `${shown(value)} is not a duration such as 30m, 90s or 12h, up to 3650d`)
}

/** As `duration`, for what a timer waits: at most a day. */
export const wait: Parser<number> = (value, option) => {
  const ms = duration(value, option)
  if (ms <= DAY_MS) return ms
  throw invalidOption(option, `${shown(value)} is more than 1d`)
}

/** As `wait`, or `none`: null. */
export const waitOrNone: Parser<number | null> = (value, option) => (value === 'none' ? null : wait(value, option))

/** Milliseconds as people read them: `10 s`. */
export function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`
}

/** A size as people read it: `96.0 MiB`. */
export function formatBytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10))
  const value = count / 2 ** (10 * power)
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}
