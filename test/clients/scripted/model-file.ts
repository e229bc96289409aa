// A GGUF file with the tokenizer and the template of another one, over a transformer of two small layers.

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import type { ScriptedModel } from './model-folder.js'
import { CONTEXT, HEAD_DIM, HEADS, HIDDEN, LAYERS, smallWeights } from './small-weights.js'

/** Far more than the metadata of a small vocabulary takes. */
const HEAD_BYTES = 16 * 2 ** 20
const ALIGNMENT = 32
const UINT32 = 4
const STRING = 8
const LIST = 9
const BF16 = 30
/** Of a token that is no part of ordinary text. */
const CONTROL = 3
/** Bytes of a value of each type; of texts and lists they vary. */
const BYTES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }

/** The shape of the small transformer, in the place of the other one's. */
const SHAPE: Readonly<Record<string, number>> = {
  'llama.block_count': LAYERS,
  'llama.context_length': CONTEXT,
  'llama.embedding_length': HIDDEN,
  'llama.feed_forward_length': HIDDEN,
  'llama.attention.head_count': HEADS,
  'llama.attention.head_count_kv': 1,
  'llama.rope.dimension_count': HEAD_DIM,
}

export function makeModelFile(path: string, source: string): ScriptedModel {
  const { entries, names, types } = metadataOf(source)
  const small = entries.map(({ key, bytes }) => (SHAPE[key] === undefined ? bytes : Buffer.concat([text(key), word(UINT32), word(SHAPE[key])])))
  const weights = smallWeights(names.length)
  let offset = 0
  const tensors = weights.map(({ gguf, shape, bytes }) => {
    const at = offset
    offset += aligned(bytes.length)
    return Buffer.concat([text(gguf), word(shape.length), ...shape.toReversed().map(long), word(BF16), long(at)])
  })
  const head = Buffer.concat([Buffer.from('GGUF'), word(3), long(weights.length), long(small.length), ...small, ...tensors])
  writeFileSync(path, Buffer.concat([padded(head), ...weights.map(({ bytes }) => padded(bytes))]))
  return { path, special: new Map(names.flatMap((name, id) => (types[id] === CONTROL ? [[name, id]] : []))) }
}

interface Metadata {
  /** Each with its name and type, as it stands in the file. */
  readonly entries: ReadonlyArray<{ readonly key: string; readonly bytes: Buffer }>
  readonly names: readonly string[]
  readonly types: readonly number[]
}

function metadataOf(path: string): Metadata {
  const head = Buffer.alloc(HEAD_BYTES)
  const file = openSync(path, 'r')
  readSync(file, head, 0, HEAD_BYTES, 0)
  closeSync(file)
  const values = new Map<string, unknown>()
  let at = 24
  const entries = Array.from({ length: Number(head.readBigUInt64LE(16)) }, () => {
    const from = at
    const key = readText()
    values.set(key, readValue(readWord()))
    return { key, bytes: head.subarray(from, at) }
  })
  return { entries, names: values.get('tokenizer.ggml.tokens') as string[], types: values.get('tokenizer.ggml.token_type') as number[] }

  function readWord(): number {
    at += 4
    return head.readUInt32LE(at - 4)
  }
  function readText(): string {
    const length = Number(head.readBigUInt64LE(at))
    at += 8 + length
    return head.toString('utf8', at - length, at)
  }
  function readValue(type: number): unknown {
    if (type === STRING) return readText()
    if (type === LIST) {
      const item = readWord()
      const length = Number(head.readBigUInt64LE(at))
      at += 8
      return Array.from({ length }, () => readValue(item))
    }
    const bytes = BYTES[type]
    if (bytes === undefined) throw new Error(`${path}: type ${type} is none of GGUF's`)
    at += bytes
    return head.readUIntLE(at - bytes, Math.min(bytes, 4))
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([long(bytes.length), bytes])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)])
}
