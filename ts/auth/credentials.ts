// The sender of a request, by its headers: a key, or the cookie of a session. Never the query: addresses end up
// in logs and histories.

import type { IncomingHttpHeaders } from 'node:http'
import { SESSION_MS } from './sessions.js'

/** The key of `Authorization: Bearer` or `x-api-key`; null: there is none. The first wins. */
export function presentedKey(headers: IncomingHttpHeaders): string | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const named = headers['x-api-key']
  return bearer ?? (typeof named === 'string' && named !== '' ? named : null)
}

/** The token of the session cookie. */
export function sessionToken(headers: IncomingHttpHeaders): string | null {
  const name = cookieName(headers)
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return null
}

/** The `Set-Cookie` of a new session. */
export function sessionCookie(headers: IncomingHttpHeaders, token: string): string {
  return cookie(headers, token, Math.floor(SESSION_MS / 1000))
}

/** The `Set-Cookie` that removes it. */
export function endedCookie(headers: IncomingHttpHeaders): string {
  return cookie(headers, '', 0)
}

/** Browsers send a cookie to every port of a host: with the port in its name, two servers do not log each other out. */
function cookieName({ host }: IncomingHttpHeaders): string {
  const port = /:(\d{1,5})$/.exec(host ?? '')?.[1]
  return port === undefined ? 'attentionstore_session' : `attentionstore_session_${port}`
}

function cookie(headers: IncomingHttpHeaders, value: string, maxAgeS: number): string {
  const parts = [`${cookieName(headers)}=${value}`, 'Path=/', `Max-Age=${maxAgeS}`, 'HttpOnly', 'SameSite=Strict']
  return [...parts, ...(cameOverHttps(headers) ? ['Secure'] : [])].join('; ')
}

/**
 * The server itself speaks plain HTTP; a proxy before it may not. That the browser did is said by the page's own Origin,
 * or by the proxy. A client that forges this only restricts its own cookie.
 */
function cameOverHttps(headers: IncomingHttpHeaders): boolean {
  const forwarded = headers['x-forwarded-proto']
  const first = (typeof forwarded === 'string' ? forwarded : '').split(',')[0]?.trim().toLowerCase()
  return first === 'https' || (headers.origin ?? '').startsWith('https://')
}
