// Block keys as bytes.

import type { BlockKey } from '../types.js'

/** Bytes of a key as the directory's Map key. */
export function keyFromBytes(bytes: Uint8Array): BlockKey {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** The 32 bytes of a key. */
export function keyToBytes(key: BlockKey): Uint8Array {
  return Buffer.from(key, 'latin1')
}
