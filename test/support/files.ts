// The bytes of files, as a thief of the disk would read them.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** All bytes of all files below a folder. */
export function bytesIn(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))))
}

/** Token ids as they would lie in a file: little-endian words. */
export function littleEndian(tokens: Uint32Array): Buffer {
  const bytes = Buffer.alloc(4 * tokens.length)
  tokens.forEach((token, at) => bytes.writeUInt32LE(token, 4 * at))
  return bytes
}
