// Requests to other machines, by the proxy that the environment names.

import { EnvHttpProxyAgent, fetch as proxiedFetch } from 'undici'

type Environment = Readonly<Record<string, string | undefined>>

/** The part of `fetch` that downloads use. */
export type Fetch = (url: string, init?: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal }) => Promise<Response>

/** `fetch` by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in either case; without a proxy as always. */
export function networkOf(env: Environment): Fetch {
  const named = (name: string): string | undefined => env[name.toLowerCase()] ?? env[name]
  const httpsProxy = named('HTTPS_PROXY')
  const httpProxy = named('HTTP_PROXY')
  const noProxy = named('NO_PROXY')
  const dispatcher = new EnvHttpProxyAgent({
    ...(httpsProxy ? { httpsProxy } : {}),
    ...(httpProxy ? { httpProxy } : {}),
    noProxy: noProxy ?? '',
  })
  return async (url, init) => (await proxiedFetch(url, { ...init, dispatcher })) as unknown as Response
}

/** Why a request failed, in a few words. */
export function networkReason(thrown: unknown): string {
  const inner = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown
  if (!(inner instanceof Error)) return String(inner)
  const { code } = inner as NodeJS.ErrnoException
  return inner.message || code || inner.name
}
