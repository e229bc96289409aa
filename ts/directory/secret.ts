// Secrets of a data directory: beside the store, readable by their owner only.

import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const SECRET_BYTES = 32

/** What message hashes are keyed with. null: no directory, a secret of this process. */
export function messageSecret(dataDir: string | null): Uint8Array {
  return dataDir === null ? randomBytes(SECRET_BYTES) : secretIn(dataDir, 'messages.key')
}

/** The server's secret: tenant salts and the keys of sealed bytes are made of it, here and in `crates/kv/src/secret.rs`. */
export function serverSecret(dataDir: string): Uint8Array {
  return secretIn(dataDir, 'server.secret')
}

/** Reads a secret, or makes it. */
function secretIn(dataDir: string, name: string): Uint8Array {
  const path = join(dataDir, name)
  const found = readSecret(path)
  if (found) return found
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  // Whole or not at all: what a secret keyed is lost with it.
  const aside = `${path}.new-${process.pid}`
  writeFileSync(aside, randomBytes(SECRET_BYTES), { mode: 0o600 })
  rmSync(path, { force: true })
  try {
    linkSync(aside, path)
  } finally {
    rmSync(aside)
  }
  return readFileSync(path)
}

/** null: there is none, or it was cut off while it was written, and what it keyed cannot be found again. */
function readSecret(path: string): Uint8Array | null {
  try {
    const secret = readFileSync(path)
    return secret.length === SECRET_BYTES ? secret : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return null
  }
}
