// A model from the Hugging Face Hub, into the cache that other programs share.

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ExitError } from '../../protocol/errors.js'
import { downloadFile, freeBytes, partialBytes } from '../downloads/file.js'
import { networkOf } from '../downloads/network.js'
import { formatBytes } from '../units.js'
import { CachedRepository, hubCache } from './cache.js'
import { chooseFiles } from './choose.js'
import { authorization, hubFailure, listModel, type Hub, type ListedFile } from './listing.js'
import { nameOf, type HubReference } from './reference.js'

type Environment = Readonly<Record<string, string | undefined>>

const DIGESTS = { sha256: /^[0-9a-f]{64}$/, 'git-sha1': /^[0-9a-f]{40}$/ } as const

export interface PullListeners {
  /** A sentence about what begins. */
  readonly onNotice: (sentence: string) => void
  /** The share of the bytes that are there, 0…1. */
  readonly onShare: (share: number) => void
}

/**
 * Downloads what is missing of a model.
 * @returns the path of its GGUF file, or of the folder with its safetensors.
 * @throws ExitError: 2 where there is no such model, 3 where it cannot be had or does not fit on the disk.
 */
export async function pullModel(reference: HubReference, env: Environment, { onNotice, onShare }: PullListeners): Promise<string> {
  const hub: Hub = { url: (env['HF_ENDPOINT'] ?? 'https://huggingface.co').replace(/\/+$/, ''), token: env['HF_TOKEN'] || null, fetch: networkOf(env) }
  const name = nameOf(reference)
  if (!URL.canParse(hub.url) || !/^https?:/.test(hub.url)) throw new ExitError(2, 'invalid_option', 'HF_ENDPOINT: it is no http or https URL')
  if (/^(1|true|yes|on)$/i.test(env['HF_HUB_OFFLINE'] ?? '')) {
    throw new ExitError(3, 'hub_unreachable', `${name} is not on this machine, and HF_HUB_OFFLINE forbids to ask ${hub.url} for it`)
  }
  const { commit, files } = await listModel(hub, reference)
  const choice = chooseFiles(name, files.map(({ path }) => path), reference.quant)
  const wanted = files.filter(({ path }) => choice.files.includes(path))
  for (const { path, digest } of wanted) {
    if (!DIGESTS[digest.kind].test(digest.hex)) throw new ExitError(3, 'hub_failed', `${hub.url} names no hash of ${path} that can be checked`)
  }
  const cache = hubCache(env)
  const cached = new CachedRepository(cache, reference.repository)
  const missing = wanted.filter(({ digest }) => !existsSync(cached.blob(digest.hex)))
  await checkSpace(cache, cached, missing)
  const total = missing.reduce((sum, { bytes }) => sum + bytes, 0)
  if (total > 0) onNotice(`downloading ${name}: ${choice.files.length === 1 ? choice.files[0] : `${missing.length} files`}, ${formatBytes(total)}`)
  let before = 0
  for (const { path, bytes, digest } of missing) {
    const url = `${hub.url}/${reference.repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
    const file = { url, headers: authorization(hub), path: cached.blob(digest.hex), bytes, digest }
    await downloadFile(file, hub.fetch, (there) => onShare((before + there) / total)).catch((thrown: unknown) => {
      throw hubFailure(thrown, hub, `${reference.repository}/${path}`)
    })
    before += bytes
  }
  for (const { path, digest } of wanted) await cached.link(commit, path, digest.hex)
  await cached.setRevision(reference.revision, commit)
  return choice.kind === 'gguf' ? join(cached.snapshot(commit), choice.files[0] ?? '') : cached.snapshot(commit)
}

async function checkSpace(cache: string, cached: CachedRepository, missing: readonly ListedFile[]): Promise<void> {
  await mkdir(cache, { recursive: true })
  let need = 0
  for (const { bytes, digest } of missing) need += bytes - Math.min(bytes, await partialBytes(cached.blob(digest.hex)))
  const free = await freeBytes(cache)
  if (need <= free) return
  throw new ExitError(3, 'disk_full', `the model needs ${formatBytes(need)}, and the disk of ${cache} has ${formatBytes(free)} free; HF_HUB_CACHE names another folder`)
}
