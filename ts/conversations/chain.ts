// Hash chains over messages: what names a point in a conversation without keeping its text.

import { createHash, createHmac, type Hash } from 'node:crypto'
import type { OutputPart } from '../engine/types.js'
import { canonicalJson } from './canonical.js'

/** 32 bytes as a latin1 string. */
export type ChainHash = string

export interface ChainMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
  /** Their ids are not part of the chain, nor is reasoning: clients may leave both out, or make them anew. */
  readonly toolCalls?: readonly ChainCall[]
}

export interface ChainCall {
  readonly name: string
  /** JSON text. What says the same is the same. */
  readonly arguments: string
}

/** A cache salt as it is stored: it tells salts apart and says none. Empty: no salt. */
export type SaltName = string

/**
 * The start of every chain of one tenant and one cache salt: keyed with a secret, so that the store does not tell who said
 * what, and over everything besides the messages that decides how they are rendered and tokenised, and who may find them.
 * `template`: the source of one that is not the model's own.
 */
export function chainStart(secret: Uint8Array, tenant: string, textFingerprint: string, tools: string, cacheSalt = '', template = ''): ChainHash {
  return keyed(secret, [tenant, textFingerprint, tools, cacheSalt, ...(template === '' ? [] : [template])])
}

/** The name of a tenant's cache salt: keyed as the chains are, so that a salt cannot be guessed from the store. */
export function saltName(secret: Uint8Array, tenant: string, cacheSalt: string): SaltName {
  return cacheSalt === '' ? '' : Buffer.from(keyed(secret, [tenant, cacheSalt]), 'latin1').toString('base64url')
}

/** A history's first message of a user, as it is stored: keyed as the chains are. */
export type OpeningName = string

/** Bytes of the hash that are enough to tell some openings of one key apart. */
const OPENING_BYTES = 12

/** null: there is no message of a user. The messages before it are a system prompt, which many histories share. */
export function openingName(secret: Uint8Array, tenant: string, messages: readonly ChainMessage[]): OpeningName | null {
  const first = messages.find(({ role }) => role === 'user')
  if (first === undefined) return null
  const hash = chainNext(keyed(secret, ['opening', tenant]), first)
  return Buffer.from(hash, 'latin1').subarray(0, OPENING_BYTES).toString('base64url')
}

/** The chain hash after one more message. */
export function chainNext(before: ChainHash, message: ChainMessage): ChainHash {
  const content = createHash('sha256').update(message.content, 'utf8').digest()
  return link(before, message.role, message.name ?? '', content, message.toolCalls ?? [])
}

/** Chain hashes after each message: `[i]` covers messages 0…i. */
export function chainOf(start: ChainHash, messages: readonly ChainMessage[]): ChainHash[] {
  const hashes: ChainHash[] = []
  let hash = start
  for (const message of messages) {
    hash = chainNext(hash, message)
    hashes.push(hash)
  }
  return hashes
}

/** The hash of an answer that is still being written: its content is fed piece by piece and not kept, its calls are. */
export class AnswerHash {
  readonly #content: Hash = createHash('sha256')
  readonly #calls: Array<{ name: string; arguments: string }> = []

  constructor(readonly parent: ChainHash) {}

  /** More of the answer; reasoning is no part of the chain. */
  part(part: OutputPart): void {
    if (part.kind === 'content') this.add(part.text)
    else if (part.kind === 'call') this.call(part.name)
    else if (part.kind === 'arguments') this.arguments(part.text)
  }

  /** More of the content. */
  add(text: string): void {
    this.#content.update(text, 'utf8')
  }

  /** A call begins. */
  call(name: string): void {
    this.#calls.push({ name, arguments: '' })
  }

  /** More of the last call's arguments. */
  arguments(text: string): void {
    const last = this.#calls.at(-1)
    if (last) last.arguments += text
  }

  /** The chain hash after the answer. Once only. */
  end(): ChainHash {
    return link(this.parent, 'assistant', '', this.#content.digest(), this.#calls)
  }
}

function link(before: ChainHash, role: string, name: string, content: Uint8Array, calls: readonly ChainCall[]): ChainHash {
  const hash = createHash('sha256').update(before, 'latin1').update(framed(role)).update(framed(name)).update(content)
  for (const call of calls) hash.update(framed(call.name)).update(framed(canonicalJson(call.arguments)))
  return hash.digest('binary')
}

/** Lists of different lengths never give the same hash, because each part is framed. */
function keyed(secret: Uint8Array, parts: readonly string[]): string {
  const hmac = createHmac('sha256', secret)
  for (const part of parts) hmac.update(framed(part))
  return hmac.digest('binary')
}

/** Length first, so that no two lists of parts give the same bytes. */
function framed(part: string): Buffer {
  const bytes = Buffer.from(part, 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}
