// Who may do what: API keys for tenants, the admin key and its sessions for operators. See docs/design/keys-and-tenants.md.

import type { IncomingHttpHeaders } from 'node:http'
import { hostNameOf, isLoopback } from '../config/names.js'
import { ApiError } from '../protocol/errors.js'
import { FailedAttempts } from './attempts.js'
import { endedCookie, presentedKey, sessionCookie, sessionToken } from './credentials.js'
import { KeyFileError, type KeyRecord } from './key-file.js'
import type { Keyring } from './keyring.js'
import { Sessions, type SessionRecord } from './sessions.js'

/** The permission that a route asks of its caller. `metrics`: as `admin`, but open to this machine. */
export type Access = 'open' | 'api' | 'admin' | 'metrics'

export interface AccessOptions {
  /** null: /v1 is open, and everything belongs to the tenant with the empty name. */
  readonly apiKeys: Keyring | null
  readonly adminKeys: Keyring | null
  /** The server listens where only this machine can reach it. */
  readonly isLoopback: boolean
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number
}

export interface Credentials {
  readonly headers: IncomingHttpHeaders
  /** A cookie counts only for requests of the server's own page. */
  readonly isSameOrigin: boolean
}

export interface Caller {
  readonly tenant: string
}

export interface Login {
  readonly record: KeyRecord
  readonly session: SessionRecord
}

/** The tenant of a server without keys. */
const NO_TENANT: Caller = { tenant: '' }

export class AccessControl {
  readonly #options: AccessOptions
  readonly #sessions: Sessions
  readonly #attempts: FailedAttempts

  constructor(options: AccessOptions) {
    this.#options = options
    this.#sessions = new Sessions(options.now)
    this.#attempts = new FailedAttempts(options.now)
  }

  /**
   * Lets a request through, as a caller.
   * @throws ApiError `invalid_api_key`, or `forbidden` for a key that opens something else.
   */
  authorize(access: Access, credentials: Credentials): Caller {
    if (access === 'open') return NO_TENANT
    if (access === 'api') return this.#authorizeApi(credentials)
    if (this.#isAdminOpen(access, credentials.headers)) return NO_TENANT
    return this.#authorizeAdmin(credentials)
  }

  /** As `authorize`, for what a caller sees on a route that is open anyway. */
  allows(access: Access, credentials: Credentials): boolean {
    try {
      this.authorize(access, credentials)
      return true
    } catch (thrown) {
      if (thrown instanceof ApiError) return false
      throw thrown
    }
  }

  /** The admin routes and the socket ask for something that this request does not carry by itself. */
  needsLogin(headers: IncomingHttpHeaders): boolean {
    return !this.#isAdminOpen('admin', headers)
  }

  /** The session that the request's cookie holds. */
  sessionOf({ headers, isSameOrigin }: Credentials): Login | null {
    const token = isSameOrigin ? sessionToken(headers) : null
    const session = token === null ? null : this.#sessions.find(token)
    // A key that was taken away takes its sessions along.
    const record = session === null ? null : (this.#options.adminKeys?.byId(session.keyId) ?? null)
    return session === null || record === null ? null : { session, record }
  }

  /**
   * Begins a session; `cookie` is the value of Set-Cookie.
   * @param address the client's, for counting its failures.
   * @throws ApiError `not_found` without an admin key, `invalid_api_key`, `too_many_attempts`.
   */
  login(key: string, headers: IncomingHttpHeaders, address: string): Login & { readonly cookie: string } {
    const { adminKeys } = this.#options
    if (adminKeys === null) throw new ApiError('not_found', 'The server has no admin key (--admin-key-file), so it has no login.')
    const wait = this.#attempts.waitSeconds(address)
    if (wait > 0) {
      const message = `Too many logins failed from this address. The next attempt may come in ${wait} s.`
      throw new ApiError('too_many_attempts', message, null, { retry_after: wait })
    }
    const record = adminKeys.find(key)
    if (record === null) {
      this.#attempts.failed(address)
      throw new ApiError('invalid_api_key', 'key: This is not the admin key.', 'key')
    }
    this.#attempts.succeeded(address)
    const { token, session } = this.#sessions.begin(record.id)
    return { record, session, cookie: sessionCookie(headers, token) }
  }

  /** Ends the session of the request's cookie; `cookie` removes it from the browser. */
  logout({ headers, isSameOrigin }: Credentials): { readonly ended: boolean; readonly cookie: string } {
    const token = isSameOrigin ? sessionToken(headers) : null
    return { ended: token !== null && this.#sessions.end(token), cookie: endedCookie(headers) }
  }

  /** Reads the key files again. A broken file keeps the keys before, and its error is returned. */
  reload(): readonly KeyFileError[] {
    const rings = [this.#options.apiKeys, this.#options.adminKeys]
    return rings.flatMap((ring) => {
      try {
        ring?.reload()
        return []
      } catch (thrown) {
        if (thrown instanceof KeyFileError) return [thrown]
        throw thrown
      }
    })
  }

  #authorizeApi(credentials: Credentials): Caller {
    const { apiKeys, adminKeys } = this.#options
    if (apiKeys === null) return NO_TENANT
    const key = presentedKey(credentials.headers)
    const record = key === null ? this.sessionOf(credentials)?.record : (apiKeys.find(key) ?? adminKeys?.find(key))
    if (record) return { tenant: record.tenant }
    throw refused(key === null ? 'This route needs an API key.' : 'The server does not know this API key.')
  }

  #authorizeAdmin(credentials: Credentials): Caller {
    const { apiKeys, adminKeys } = this.#options
    const key = presentedKey(credentials.headers)
    const record = key === null ? this.sessionOf(credentials)?.record : adminKeys?.find(key)
    if (record) return { tenant: record.tenant }
    if (key !== null && apiKeys?.find(key)) throw new ApiError('forbidden', 'An API key does not open this route; the admin key does.')
    if (adminKeys === null) throw refused('This route needs the admin key, and the server has none. --admin-key-file gives it one.')
    throw refused(key === null ? 'This route needs the admin key or a login.' : 'This is not the admin key.')
  }

  /** Without an admin key: open on a server without keys, else to this machine. Metrics are open to this machine. */
  #isAdminOpen(access: 'admin' | 'metrics', headers: IncomingHttpHeaders): boolean {
    const { apiKeys, adminKeys } = this.#options
    if (adminKeys === null && apiKeys === null) return true
    return (access === 'metrics' || adminKeys === null) && this.#isLocal(headers)
  }

  /** From this machine, as far as can be seen: not through a proxy, which makes everyone look local. */
  #isLocal(headers: IncomingHttpHeaders): boolean {
    const name = hostNameOf(headers.host)
    const isForwarded = FORWARDED.some((header) => headers[header] !== undefined)
    return this.#options.isLoopback && name !== null && isLoopback(name) && !isForwarded
  }
}

const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'] as const

function refused(message: string): ApiError {
  return new ApiError('invalid_api_key', `${message} Send Authorization: Bearer KEY or x-api-key.`)
}
