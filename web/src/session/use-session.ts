// Whether the server lets this page in: it may ask for a key, which buys a cookie that no script can read.

import type { Session, SessionState } from 'attentionstore/protocol'
import { shallowRef, type InjectionKey, type ShallowRef } from 'vue'
import type { HttpClient } from '../http/client.js'

export interface PageSession {
  /** null: not known yet. */
  readonly locked: Readonly<ShallowRef<boolean | null>>
  /** Whose cookie this browser has; null: none, or none is needed. */
  readonly holder: Readonly<ShallowRef<Session | null>>
  lock(): void
  /** Asks the server how things stand. */
  check(http: HttpClient): Promise<void>
  /** @throws HttpFailure if the key is not right. */
  login(http: HttpClient, key: string): Promise<void>
  logout(http: HttpClient): Promise<void>
}

export const SESSION: InjectionKey<PageSession> = Symbol('session')

export function createSession(): PageSession {
  const locked = shallowRef<boolean | null>(null)
  const holder = shallowRef<Session | null>(null)
  const lock = () => {
    holder.value = null
    locked.value = true
  }
  return {
    locked,
    holder,
    lock,
    async check(http) {
      // A server that does not answer is told of by the connection, not by a login that cannot help.
      const state = await http.json<SessionState>('/admin/session').catch(() => null)
      holder.value = state?.session ?? null
      locked.value = state !== null && state.login_required && state.session === null
    },
    async login(http, key) {
      holder.value = await http.json<Session>('/admin/session', { method: 'POST', body: { key } })
      locked.value = false
    },
    async logout(http) {
      await http.json('/admin/session', { method: 'DELETE' })
      lock()
    },
  }
}
