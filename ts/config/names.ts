// Parsers of names: hosts, origins, models, policies.

import { isIP } from 'node:net'
import { invalidOption, oneOf, text, type Parser } from './units.js'

const HOST_NAME = /^(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?$/

/** An address or a host name, without a port. */
export const host: Parser<string> = (value, option) => {
  const name = text(value, option)
  const bare = name.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) !== 0) return bare
  if (HOST_NAME.test(name)) return name
  throw invalidOption(option, `${JSON.stringify(name)} is not an address or a host name`)
}

/**
 * A name or address that a Host header may have, in the form in which it is compared. `.example.org` is that name and
 * every name below it; `*.example.org` is the names below it alone.
 */
export const hostPattern: Parser<string> = (value, option) => {
  const given = text(value, option)
  const [, prefix = '', name = ''] = /^(\*?\.)?(.*)$/s.exec(given) ?? []
  if (prefix === '') return withoutFinalDot(host(given, option).toLowerCase())
  if (HOST_NAME.test(name) && isIP(name) === 0) return withoutFinalDot(given.toLowerCase())
  throw invalidOption(option, `${JSON.stringify(given)} is neither a host name, nor one behind . or *. as in *.example.org`)
}

/** `name` as `hostNameOf` gives it. */
export function matchesHost(pattern: string, name: string): boolean {
  const bare = bareName(name)
  if (!/^\*?\./.test(pattern)) return bare === pattern
  const base = pattern.replace(/^\*?\./, '')
  return bare.endsWith(`.${base}`) || (bare === base && !pattern.startsWith('*'))
}

/** True for IP addresses: no page can point a name of its own at the server and send one of these. */
export function isAddress(name: string): boolean {
  return isIP(bareName(name)) !== 0
}

function bareName(name: string): string {
  return withoutFinalDot(name.replace(/^\[(.*)\]$/, '$1').toLowerCase())
}

function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, '')
}

/** Every page of this machine, by whatever port. */
export const LOCAL_ORIGINS = 'localhost'

/** Schemes of pages that have no origin of their own. */
const NO_ORIGIN = /^(file|data|blob|about|javascript):/i
const APP_ORIGIN = /^[a-z][a-z\d+.-]*:\/\/([\w.~-]+(:\d{1,5})?|\*)$/i

/**
 * The Origin that a browser sends: `https://example.org`, `http://localhost:5173`, and of applications and extensions
 * `chrome-extension://ID`, `tauri://localhost`; `SCHEME://*` is every one of such a scheme, and `localhost` every page of
 * this machine.
 */
export const origin: Parser<string> = (value, option) => {
  const given = text(value, option).replace(/\/$/, '')
  if (given === LOCAL_ORIGINS) return given
  if (/^https?:/i.test(given)) {
    const parsed = URL.canParse(given) ? new URL(given) : null
    if (parsed !== null && parsed.origin === given.toLowerCase() && !given.includes('*')) return parsed.origin
  } else if (APP_ORIGIN.test(given) && !NO_ORIGIN.test(given)) {
    return given.replace(/^[^:]*/, (scheme) => scheme.toLowerCase())
  }
  const examples = 'https://example.org, http://localhost:5173 or chrome-extension://ID'
  throw invalidOption(option, `${JSON.stringify(given)} is not an origin such as ${examples}, and not localhost`)
}

/** @param sent the Origin of a request. */
export function matchesOrigin(pattern: string, sent: string): boolean {
  if (pattern === LOCAL_ORIGINS) return /^https?:\/\//.test(sent) && URL.canParse(sent) && isLoopback(new URL(sent).hostname)
  return pattern.endsWith('://*') ? sent.startsWith(pattern.slice(0, -1)) : sent === pattern
}

export const servedName: Parser<string> = (value, option) => {
  const name = text(value, option)
  if (/^[A-Za-z0-9._:/-]{1,256}$/.test(name)) return name
  throw invalidOption(option, `${JSON.stringify(name)} is not 1 to 256 of A-Z a-z 0-9 . _ : / -`)
}

/** A name that `servedName` takes, out of a model's metadata: `SmolLM2 135M` becomes `SmolLM2-135M`. */
export function servableName(name: string): string {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').replace(/[^A-Za-z0-9._:/-]+/g, '-').replace(/^[-/]+|[-/]+$/g, '')
  return plain.slice(0, 256) || 'model'
}

export const SERVER_POLICIES = ['fifo', 'lru', 'scheduler-aware', 'adaptive'] as const

export const policy: Parser<(typeof SERVER_POLICIES)[number]> = (value, option) => {
  if (value === 'belady') {
    throw invalidOption(option, 'belady knows the future, so it is a bound for simulations and no policy of a server; use adaptive')
  }
  return oneOf(SERVER_POLICIES)(value, option)
}

/** The device that computes: `auto` is a GPU if there is a usable one, else the CPU; `cuda` is the first GPU. */
export type DeviceName = 'auto' | 'cpu' | 'simulated' | 'cuda' | `cuda:${number}`

export const device: Parser<DeviceName> = (value, option) => {
  const name = text(value, option)
  const isName = /^(auto|cpu|simulated|cuda|cuda:(0|[1-9]\d{0,3}))$/.test(name)
  if (isName) return name as DeviceName
  throw invalidOption(option, `${JSON.stringify(name)} is none of auto, cpu, cuda, cuda:n, simulated`)
}

/** True for addresses and names that only this machine can reach. */
export function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare)
}

/** The host name of a Host header, without port; null if it is not one. */
export function hostNameOf(header: string | undefined): string | null {
  if (header === undefined || /[/@\\?#\s]/.test(header) || !URL.canParse(`http://${header}`)) return null
  return new URL(`http://${header}`).hostname.toLowerCase()
}
