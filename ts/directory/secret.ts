// The secret that message hashes are keyed with: beside the store, readable by its owner only.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SECRET_BYTES = 32

/** Reads the data directory's secret, or makes one. null: no directory, a secret of this process. */
export function messageSecret(dataDir: string | null): Uint8Array {
  if (dataDir === null) return randomBytes(SECRET_BYTES)
  const path = join(dataDir, 'messages.key')
  try {
    const secret = readFileSync(path)
    // A file of another length was cut off while it was written: what it keyed cannot be found again.
    if (secret.length === SECRET_BYTES) return secret
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const secret = randomBytes(SECRET_BYTES)
  writeFileSync(path, secret, { mode: 0o600 })
  return secret
}
