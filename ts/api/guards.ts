// Who may talk to the server: checks on a request's headers, the same for HTTP and sockets. See docs/interface.md,
// "Safety".

import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from '../protocol/errors.js'
import { hostNameOf, isAddress, isLoopback, matchesHost, matchesOrigin } from '../config/names.js'

export interface AccessRules {
  /** Host names besides loopback and addresses, as `--allowed-hosts` parses them. */
  readonly allowedHosts: readonly string[]
  /** Origins of pages that may call /v1, as `--cors-origin` parses them. */
  readonly corsOrigins: readonly string[]
}

/**
 * Against DNS rebinding: a page may make its own name point here, but not change the Host header. An address is no name
 * that a page could have.
 * @throws ApiError `misdirected`.
 */
export function checkHost(headers: IncomingHttpHeaders, access: AccessRules): void {
  if (isKnownHost(headers, access)) return
  throw new ApiError('misdirected', 'The Host header is neither loopback, nor an address, nor in --allowed-hosts.')
}

export function isKnownHost(headers: IncomingHttpHeaders, { allowedHosts }: AccessRules): boolean {
  const name = hostNameOf(headers.host)
  if (name === null) return false
  return isLoopback(name) || isAddress(name) || allowedHosts.some((pattern) => matchesHost(pattern, name))
}

/** The origin of a page on another site that may make this request; null for requests that are not cross-site. */
export function checkOrigin(headers: IncomingHttpHeaders, path: string, { corsOrigins }: AccessRules): string | null {
  const { origin, host } = headers
  const isAllowed = origin !== undefined && corsOrigins.some((pattern) => matchesOrigin(pattern, origin)) && isApiPath(path)
  if (isAllowed) return origin
  const isForeignOrigin = origin !== undefined && !isSameOrigin(origin, host)
  const site = headers['sec-fetch-site']
  const isForeignFetch = site !== undefined && site !== 'same-origin' && site !== 'none'
  if (isForeignOrigin || isForeignFetch) {
    throw new ApiError('forbidden', 'The request comes from a page of another origin. --cors-origin allows an origin for /v1.')
  }
  return null
}

function isApiPath(path: string): boolean {
  return path === '/v1' || path.startsWith('/v1/')
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase()
}

/**
 * A form of another page cannot send this type without asking first, nor a DELETE, which mostly has no body.
 * @throws ApiError `invalid_value`.
 */
export function checkContentType(method: string | undefined, headers: IncomingHttpHeaders): void {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (method === 'DELETE' && type === undefined) return
  if (type !== 'application/json') {
    throw new ApiError('invalid_value', 'The content type must be application/json.', 'content-type')
  }
}
