// Who may talk to the server: checks on a request's headers, the same for HTTP and sockets. See docs/interface.md,
// "Safety".

import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from '../protocol/errors.js'
import { hostNameOf, isLoopback } from '../config/names.js'

export interface AccessRules {
  /** Lower-case host names besides loopback. */
  readonly allowedHosts: readonly string[]
  /** Origins of pages that may call /v1. */
  readonly corsOrigins: readonly string[]
}

/**
 * Against DNS rebinding: a page may make its own name point here, but not change the Host header.
 * @throws ApiError `misdirected`.
 */
export function checkHost(headers: IncomingHttpHeaders, { allowedHosts }: AccessRules): void {
  const name = hostNameOf(headers.host)
  if (name !== null && (isLoopback(name) || allowedHosts.includes(name.replace(/^\[(.*)\]$/, '$1')))) return
  throw new ApiError('misdirected', 'The Host header is neither loopback nor in --allowed-hosts.')
}

/** The origin of a page on another site that may make this request; null for requests that are not cross-site. */
export function checkOrigin(headers: IncomingHttpHeaders, path: string, { corsOrigins }: AccessRules): string | null {
  const { origin, host } = headers
  const isAllowed = origin !== undefined && corsOrigins.includes(origin) && isApiPath(path)
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
  if (method === 'GET' || method === 'HEAD') return
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (method === 'DELETE' && type === undefined) return
  if (type !== 'application/json') {
    throw new ApiError('invalid_value', 'The content type must be application/json.', 'content-type')
  }
}
