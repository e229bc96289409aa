// The files of a repository on the Hub, with their sizes and hashes.

import { ExitError } from '../../protocol/errors.js'
import type { Digest } from '../downloads/file.js'
import { networkReason, type Fetch } from '../downloads/network.js'
import type { HubReference } from './reference.js'

export interface ListedFile {
  readonly path: string
  readonly bytes: number
  readonly digest: Digest
}

export interface Listing {
  /** 40 hexadecimal digits. */
  readonly commit: string
  readonly files: readonly ListedFile[]
}

export interface Hub {
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string | null
  readonly fetch: Fetch
}

const MAX_FILES = 10_000

/**
 * @throws ExitError: 2 where there is no such model, 3 where the Hub cannot be reached or wants a token.
 */
export async function listModel(hub: Hub, { repository, revision }: HubReference): Promise<Listing> {
  const { modelInfo, listFiles } = await import('@huggingface/hub')
  // The token is sent by hand: the library takes those of one form only. A next page that lies elsewhere does not get it.
  const fetch = ((url, init) => {
    const own = new URL(String(url)).origin === new URL(hub.url).origin ? authorization(hub) : {}
    return hub.fetch(String(url), { headers: { ...headersOf(init?.headers), ...own } })
  }) as typeof globalThis.fetch
  try {
    const { sha: commit } = await modelInfo({ name: repository, revision, hubUrl: hub.url, additionalFields: ['sha'], fetch })
    if (!/^[0-9a-f]{40}$/.test(commit)) throw new ExitError(3, 'hub_failed', `${hub.url} names no commit of ${repository}`)
    const files: ListedFile[] = []
    for await (const { type, path, size, lfs, oid } of listFiles({ repo: { type: 'model', name: repository }, revision: commit, recursive: true, hubUrl: hub.url, fetch })) {
      if (type !== 'file') continue
      const digest: Digest | null = lfs ? { kind: 'sha256', hex: lfs.oid } : oid === undefined ? null : { kind: 'git-sha1', hex: oid }
      if (digest === null) throw new ExitError(3, 'hub_failed', `${hub.url} names no digest of ${path}`)
      files.push({ path, bytes: lfs?.size ?? size, digest })
      if (files.length >= MAX_FILES) break
    }
    return { commit, files }
  } catch (thrown) {
    throw hubFailure(thrown, hub, repository)
  }
}

export function authorization({ token }: Hub): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

function headersOf(headers: unknown): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(new Headers(headers as Record<string, string>))
}

/** A failure at the Hub, as the user is told it. */
export function hubFailure(thrown: unknown, { url, token }: Hub, repository: string): unknown {
  if (thrown instanceof ExitError) return thrown
  const status = statusOf(thrown)
  const cause = { cause: thrown }
  if (status === 401 || status === 403) {
    const sentence = `${repository} is not open to this ${token === null ? 'machine without a token' : 'token'}, or does not exist`
    return new ExitError(3, 'hub_refused', `${sentence}: accept its terms at ${url}/${repository} and set HF_TOKEN`, { repository }, cause)
  }
  if (status === 404) return new ExitError(2, 'model_not_found', `--model: ${url} has no ${repository} of this revision`, { repository }, cause)
  if (status !== null) return new ExitError(3, 'hub_failed', `${url} answers ${status} for ${repository}`, { repository }, cause)
  const way = 'HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy; or put the files on this machine and give their path'
  return new ExitError(3, 'hub_unreachable', `${repository} is not on this machine, and ${url} did not deliver it: ${networkReason(thrown)}; ${way}`, { repository }, cause)
}

function statusOf(thrown: unknown): number | null {
  if (typeof thrown !== 'object' || thrown === null) return null
  const { statusCode, status } = thrown as { statusCode?: unknown; status?: unknown }
  const found = statusCode ?? status
  return typeof found === 'number' && found >= 300 ? found : null
}
