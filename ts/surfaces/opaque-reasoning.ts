// Reasoning in a form that a client carries and does not read: `encrypted_content` of Responses, and the signature of a
// thinking block whose text was left out. The client could ask for the text as well, so the form hides nothing; it needs no
// key, and outlives the server that wrote it.

import { createHash } from 'node:crypto'

const PREFIX = 'as1.'

export function opaqueReasoning(text: string): string {
  return PREFIX + Buffer.from(text, 'utf8').toString('base64url')
}

/** The text; null: another server wrote it. */
export function readOpaqueReasoning(opaque: string): string | null {
  return opaque.startsWith(PREFIX) ? Buffer.from(opaque.slice(PREFIX.length), 'base64url').toString('utf8') : null
}

/** For clients that want a signature of a text which they have. Nothing is decided by it when it comes back. */
export function reasoningDigest(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64')
}
