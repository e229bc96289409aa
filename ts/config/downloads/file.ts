// One file from another machine: resumed where an earlier download broke off, and checked before it is in place.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Fetch } from './network.js'

/** `git-sha1`: the name of a file in git, which hashes its length too. */
export interface Digest {
  readonly kind: 'sha256' | 'git-sha1'
  readonly hex: string
}

export interface WantedFile {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly path: string
  readonly bytes: number
  readonly digest: Digest
}

/** The answer of a server that is not the file. */
export class DownloadRefused extends Error {
  override readonly name = 'DownloadRefused'
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** Times that a connection which breaks off is taken up again, as long as bytes come. */
const MAX_RESUMES = 5

/**
 * Downloads into `path.incomplete`, goes on from what lies there, checks size and digest, and moves the file into place.
 * @param onBytes gets the bytes that are there.
 * @throws DownloadRefused for a status that is no success; Error for wrong bytes, which are removed, and where another process
 * downloads the file; the network's own errors.
 */
export async function downloadFile(file: WantedFile, fetch: Fetch, onBytes: (bytes: number) => void): Promise<void> {
  const partial = `${file.path}.incomplete`
  await mkdir(dirname(file.path), { recursive: true })
  const release = await claim(partial)
  try {
    await fetchWhole(file, partial, fetch, onBytes)
    await check(file, partial)
    await rename(partial, file.path)
  } finally {
    await release()
  }
}

async function fetchWhole(file: WantedFile, partial: string, fetch: Fetch, onBytes: (bytes: number) => void): Promise<void> {
  for (let resumes = 0; ; resumes++) {
    const before = await sizeOf(partial)
    try {
      if (before < file.bytes) await append(file, partial, before, fetch, onBytes)
      return
    } catch (thrown) {
      const isWorthIt = !(thrown instanceof DownloadRefused) && resumes < MAX_RESUMES && (await sizeOf(partial)) > before
      if (!isWorthIt) throw thrown
    }
  }
}

/** One process at a time writes a file; a claim whose process has ended counts no more. Answers how to give it up. */
async function claim(partial: string): Promise<() => Promise<void>> {
  const lock = `${partial}.lock`
  const pid = String(process.pid)
  const isTaken = await writeFile(lock, pid, { flag: 'wx' }).then(() => false, (failure: NodeJS.ErrnoException) => {
    if (failure.code === 'EEXIST') return true
    throw failure
  })
  if (isTaken) {
    const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
    if (isAlive(holder)) throw new Error(`process ${holder} downloads the file already; wait for it`)
    await writeFile(lock, pid)
  }
  return () => rm(lock, { force: true })
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    return process.kill(pid, 0)
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Bytes that a user may still write to the disk of a directory, which must be there. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** Bytes of an earlier download of the file. */
export function partialBytes(path: string): Promise<number> {
  return sizeOf(`${path}.incomplete`)
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(({ size }) => size, () => 0)
}

async function append(file: WantedFile, partial: string, from: number, fetch: Fetch, onBytes: (bytes: number) => void): Promise<void> {
  const range = from > 0 ? { range: `bytes=${from}-` } : {}
  const response = await fetch(file.url, { headers: { ...file.headers, ...range, 'accept-encoding': 'identity' } })
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new DownloadRefused(`${new URL(file.url).host} answers ${response.status}`, response.status)
  }
  // A server that knows no ranges sends the file from its beginning.
  const start = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`) ? from : 0
  const handle = await open(partial, start === 0 ? 'w' : 'a', 0o644)
  try {
    let there = start
    for await (const chunk of response.body) {
      there += chunk.byteLength
      if (there > file.bytes) throw new DownloadRefused(`the file has more than its ${file.bytes} bytes`, response.status)
      await handle.writeFile(chunk)
      onBytes(there)
    }
    if (there < file.bytes) throw new Error(`the connection ended after ${there} of ${file.bytes} bytes`)
  } finally {
    await handle.close()
  }
}

/** In hexadecimal digits. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function check({ bytes, digest }: WantedFile, partial: string): Promise<void> {
  const hash = createHash(digest.kind === 'sha256' ? 'sha256' : 'sha1')
  if (digest.kind === 'git-sha1') hash.update(`blob ${bytes}\0`)
  for await (const chunk of createReadStream(partial)) hash.update(chunk as Buffer)
  const found = hash.digest('hex')
  if (found === digest.hex && (await sizeOf(partial)) === bytes) return
  await rm(partial, { force: true })
  throw new Error(`its ${digest.kind === 'sha256' ? 'SHA-256' : 'hash in git'} is ${found}, not ${digest.hex}; the bytes were removed`)
}
