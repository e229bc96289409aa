// One server a data directory, for engines that do not lock it themselves.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ExitError } from '../protocol/errors.js'

export interface DataDirLock {
  /** May be called twice. */
  release(): Promise<void>
}

/**
 * Takes the directory, which is made if need be. The lock is a socket name, which the kernel frees however the process
 * ends; `server.lock` in the directory only says whose it is.
 * @throws ExitError with exit code 2 that names the pid of the other server.
 */
export async function lockDataDir(directory: string): Promise<DataDirLock> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, 'server.lock')
  const name = createHash('sha256').update(realpathSync(directory)).digest('hex')
  const socket = createServer((connection) => connection.destroy()).unref()
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (cause) => reject(locked(directory, file, cause)))
    socket.listen(`\0attentionstore-${name}`, resolve)
  })
  writeFileSync(file, `${process.pid}\n`, { mode: 0o600 })
  let released: Promise<void> | undefined
  return {
    release: () => (released ??= new Promise((resolve) => socket.close(() => resolve()))),
  }
}

function locked(directory: string, file: string, cause: Error): ExitError {
  const pid = readPid(file)
  const message = `--data-dir: ${directory} is in use by the server with pid ${pid}; give this one another directory`
  return new ExitError(2, 'data_dir_locked', message, { directory, pid }, { cause })
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return '(unknown)'
  }
}
