// Sealed values: encrypted and authenticated under a key of their own purpose, made of the server's secret. Token ids are
// users' text, and what lies in the store can be read by any program that reads the disk.

import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Random bytes of a nonce; the rest counts. */
const PREFIX_BYTES = 8

/** Bytes that a sealed value is longer than the value. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/**
 * Seals values under the key of one purpose. A nonce must never come twice under a key: it is a random prefix of 64 bits
 * that this sealer alone draws, and a counter of 32 bits; when the counter has run through, a new prefix is drawn.
 */
export class Sealer {
  readonly #key: KeyObject
  readonly #nonce = Buffer.alloc(NONCE_BYTES)
  #count = 0

  constructor(secret: Uint8Array, purpose: string) {
    const key = createHmac('sha256', secret).update(`attentionstore seal 1\0${purpose}`, 'utf8').digest()
    this.#key = createSecretKey(key)
  }

  /** nonce, sealed bytes, tag. `name` must be the same at `open`: a value at another's place does not open. */
  seal(name: Uint8Array, value: Uint8Array): Buffer {
    const cipher = createCipheriv(CIPHER, this.#key, this.#nextNonce(), { authTagLength: TAG_BYTES })
    cipher.setAAD(name)
    return Buffer.concat([this.#nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()])
  }

  /** null: it was not sealed under this key and name, or is damaged. */
  open(name: Uint8Array, sealed: Uint8Array): Buffer | null {
    if (sealed.length < SEAL_BYTES) return null
    const end = sealed.length - TAG_BYTES
    const cipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    cipher.setAAD(name)
    cipher.setAuthTag(sealed.subarray(end))
    const value = cipher.update(sealed.subarray(NONCE_BYTES, end))
    try {
      cipher.final()
      return value
    } catch {
      return null
    }
  }

  #nextNonce(): Buffer {
    if (this.#count === 0) randomBytes(PREFIX_BYTES).copy(this.#nonce)
    this.#nonce.writeUInt32LE(this.#count, PREFIX_BYTES)
    this.#count = (this.#count + 1) >>> 0
    return this.#nonce
  }
}
