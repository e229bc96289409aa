// The cache of the Hugging Face Hub on this machine, in the layout that other programs share: blobs by their hash, and a
// snapshot a commit with links to them.

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { ExitError } from '../../protocol/errors.js'
import { chooseFiles, isSafePath } from './choose.js'
import { nameOf, type HubReference } from './reference.js'

type Environment = Readonly<Record<string, string | undefined>>

const COMMIT = /^[0-9a-f]{40}$/

/** As `huggingface_hub` finds it. */
export function hubCache(env: Environment): string {
  const home = env['HOME'] ?? homedir()
  const shared = env['HF_HOME'] ?? join(env['XDG_CACHE_HOME'] ?? join(home, '.cache'), 'huggingface')
  return env['HF_HUB_CACHE'] ?? env['HUGGINGFACE_HUB_CACHE'] ?? join(shared, 'hub')
}

export class CachedRepository {
  readonly folder: string

  constructor(cache: string, repository: string) {
    this.folder = join(cache, `models--${repository.replace('/', '--')}`)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  /** Lets a snapshot's `path` be the blob. */
  async link(commit: string, path: string, etag: string): Promise<void> {
    const pointer = join(this.snapshot(commit), path)
    if (existsSync(pointer)) return
    await mkdir(dirname(pointer), { recursive: true })
    // A link to a blob that is gone.
    await rm(pointer, { force: true })
    await symlink(relative(dirname(pointer), this.blob(etag)), pointer)
  }

  /** Notes which commit a branch or tag was at. */
  async setRevision(revision: string, commit: string): Promise<void> {
    if (revision === commit) return
    const path = join(this.folder, 'refs', revision)
    await mkdir(dirname(path), { recursive: true })
    const beside = `${path}.${process.pid}`
    await writeFile(beside, commit)
    await rename(beside, path)
  }

  /** null: the cache does not know it. */
  async commitOf(revision: string): Promise<string | null> {
    const noted = await readFile(join(this.folder, 'refs', revision), 'utf8').then((text) => text.trim(), () => revision)
    return COMMIT.test(noted) ? noted : null
  }
}

/** The model in the cache: a GGUF file, or the folder of a snapshot that is whole; null where there is none. */
export async function findCached({ repository, quant, revision }: HubReference, env: Environment): Promise<string | null> {
  const cached = new CachedRepository(hubCache(env), repository)
  const commit = await cached.commitOf(revision)
  if (commit === null) return null
  const snapshot = cached.snapshot(commit)
  const entries = await readdir(snapshot, { recursive: true }).catch(() => [])
  // A link to a blob that is gone, or not whole yet, is none of them.
  const present = entries.filter((path) => isSafePath(path) && existsSync(join(snapshot, path)))
  try {
    const { kind, files } = chooseFiles(nameOf({ repository, quant, revision }), present, quant)
    return kind === 'gguf' ? join(snapshot, files[0] ?? '') : snapshot
  } catch (thrown) {
    // The Hub may have what the cache has not.
    if (thrown instanceof ExitError) return null
    throw thrown
  }
}
