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

/** As `host`, in the form in which a Host header is compared. */
export const hostName: Parser<string> = (value, option) => host(value, option).toLowerCase()

/** `https://example.org` or `http://localhost:5173`: what a browser sends as Origin. */
export const origin: Parser<string> = (value, option) => {
  const given = text(value, option)
  const parsed = URL.canParse(given) ? new URL(given) : null
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.origin === given.toLowerCase().replace(/\/$/, '')) {
    return parsed.origin
  }
  throw invalidOption(option, `${JSON.stringify(given)} is not an origin such as https://example.org or http://localhost:5173`)
}

export const servedName: Parser<string> = (value, option) => {
  const name = text(value, option)
  if (/^[A-Za-z0-9._:/-]{1,256}$/.test(name)) return name
  throw invalidOption(option, `${JSON.stringify(name)} is not 1 to 256 of A-Z a-z 0-9 . _ : / -`)
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
