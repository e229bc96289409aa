// Sessions of the dashboard: who logged in with the admin key holds a random token in a cookie, until it expires, is
// ended, or the key is taken away. They live in memory: a restart ends them.

import { createHash, randomBytes } from 'node:crypto'

/** More at once than people look at one server; the oldest ends first. */
const MOST_SESSIONS = 256
export const SESSION_MS = 12 * 60 * 60 * 1000
const TOKEN_BYTES = 32

export interface SessionRecord {
  /** Of the admin key. */
  readonly keyId: string
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number
}

export class Sessions {
  /** By hash of the token, oldest first: what is kept opens nothing, and looking it up tells nothing of a token. */
  readonly #sessions = new Map<string, SessionRecord>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  get size(): number {
    return this.#sessions.size
  }

  begin(keyId: string): { token: string; session: SessionRecord } {
    this.#trim()
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const session = { keyId, expiresAt: this.#now() + SESSION_MS }
    this.#sessions.set(tokenHash(token), session)
    return { token, session }
  }

  find(token: string): SessionRecord | null {
    const session = this.#sessions.get(tokenHash(token))
    return session !== undefined && session.expiresAt > this.#now() ? session : null
  }

  /** False: there was none. */
  end(token: string): boolean {
    return this.#sessions.delete(tokenHash(token))
  }

  #trim(): void {
    for (const [hash, { expiresAt }] of this.#sessions) {
      if (expiresAt > this.#now() && this.#sessions.size < MOST_SESSIONS) return
      this.#sessions.delete(hash)
    }
  }
}

function tokenHash(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('base64')
}
