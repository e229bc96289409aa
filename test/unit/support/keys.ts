// Keys in a file, as `attentionstore keys add` makes them.

import { appendKey } from '../../../ts/auth/key-file.js'
import { keyHash, newKey } from '../../../ts/auth/keyring.js'

/** The key; its line is appended to the file. */
export function addKey(file: string, name: string, tenant: string): string {
  const key = newKey()
  appendKey(file, { id: name, name, tenant, sha256: keyHash(key).toString('hex'), created: '2026-01-01T00:00:00.000Z' })
  return key
}
