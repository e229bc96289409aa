// Requests to the server that served the page. A 401 is told to the shell, which shows the login.

import type { InjectionKey } from 'vue'
import { failureOf, HttpFailure } from './failure.js'

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** Sent as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export interface HttpClient {
  /** @throws HttpFailure */
  json<T>(path: string, options?: RequestOptions): Promise<T>
  /** The answer before its body is read. @throws HttpFailure */
  open(path: string, options?: RequestOptions): Promise<Response>
}

export const HTTP: InjectionKey<HttpClient> = Symbol('http client')

export function createHttpClient(onLocked: () => void, send: typeof fetch = fetch.bind(globalThis)): HttpClient {
  const open = async (path: string, options: RequestOptions = {}): Promise<Response> => {
    const response = await answerOf(send, path, options)
    if (response.ok) return response
    const failure = await failureOf(response)
    if (failure.status === 401) onLocked()
    throw failure
  }
  return {
    open,
    json: async <T>(path: string, options?: RequestOptions) => (await (await open(path, options)).json()) as T,
  }
}

async function answerOf(send: typeof fetch, path: string, { method = 'GET', body, signal }: RequestOptions): Promise<Response> {
  // Anything but a read must name its type: that is what keeps forms of other pages out.
  const headers: HeadersInit = method === 'GET' ? {} : { 'content-type': 'application/json' }
  const init: RequestInit = { method, headers, credentials: 'same-origin', signal: signal ?? null }
  if (body !== undefined) init.body = JSON.stringify(body)
  try {
    return await send(path, init)
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown
    throw new HttpFailure(0, 'unreachable', 'the server did not answer')
  }
}
