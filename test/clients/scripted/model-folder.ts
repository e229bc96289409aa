// A model of a family that loads at once: the family's tokenizer and template over a transformer of two small layers.

import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../../support/random.js'
import type { Family } from './families.js'

const HIDDEN = 32
const HEAD_DIM = 16
const HEADS = 2
const LAYERS = 2
const CONTEXT = 16_384
const BF16_ONE = 0x3f80
/** Exponent of the weights' magnitudes, 2^−5 to 2^−4. */
const EXPONENT = 122 << 7
/** Odd, so that no two rows of a matrix are the same. */
const PERIOD = 65_537

interface Tokenizer {
  readonly model: { readonly vocab: Readonly<Record<string, number>> }
  readonly added_tokens: ReadonlyArray<{ readonly id: number; readonly content: string }>
}

export interface ModelFolder {
  readonly path: string
  /** Ids of the tokens that are no part of ordinary text, by name. */
  readonly special: ReadonlyMap<string, number>
}

export function makeModelFolder(path: string, { tokenizer, template, ends }: Family): ModelFolder {
  mkdirSync(path, { recursive: true })
  const source = join(tokenizer, 'tokenizer.json')
  symlinkSync(source, join(path, 'tokenizer.json'))
  copyFileSync(join(tokenizer, 'tokenizer_config.json'), join(path, 'tokenizer_config.json'))
  if (template !== undefined) copyFileSync(template, join(path, 'chat_template.jinja'))
  const { model, added_tokens: added } = JSON.parse(readFileSync(source, 'utf8')) as Tokenizer
  const special = new Map(added.map(({ id, content }) => [content, id]))
  const vocabulary = 1 + Math.max(...special.values(), Object.keys(model.vocab).length - 1)
  const endTokens = ends.map((name) => idOf(special, name))
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: HIDDEN,
    intermediate_size: HIDDEN,
    num_hidden_layers: LAYERS,
    num_attention_heads: HEADS,
    num_key_value_heads: 1,
    head_dim: HEAD_DIM,
    max_position_embeddings: CONTEXT,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    vocab_size: vocabulary,
    eos_token_id: endTokens,
  }
  writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  writeFileSync(join(path, 'generation_config.json'), JSON.stringify({ eos_token_id: endTokens, temperature: 0 }))
  writeFileSync(join(path, 'model.safetensors'), weights(vocabulary))
  return { path, special }
}

function idOf(special: ReadonlyMap<string, number>, name: string): number {
  const id = special.get(name)
  if (id === undefined) throw new Error(`the tokenizer has no token ${name}`)
  return id
}

function shapes(vocabulary: number): Array<[name: string, ...shape: number[]]> {
  const layer = (index: number): Array<[string, ...number[]]> =>
    (
      [
        ['input_layernorm', HIDDEN],
        ['post_attention_layernorm', HIDDEN],
        ['self_attn.q_proj', HEADS * HEAD_DIM, HIDDEN],
        ['self_attn.k_proj', HEAD_DIM, HIDDEN],
        ['self_attn.v_proj', HEAD_DIM, HIDDEN],
        ['self_attn.o_proj', HIDDEN, HEADS * HEAD_DIM],
        ['mlp.gate_proj', HIDDEN, HIDDEN],
        ['mlp.up_proj', HIDDEN, HIDDEN],
        ['mlp.down_proj', HIDDEN, HIDDEN],
      ] as Array<[string, ...number[]]>
    ).map(([name, ...shape]) => [`layers.${index}.${name}`, ...shape])
  const names: Array<[string, ...number[]]> = [
    ['embed_tokens', vocabulary, HIDDEN],
    ...Array.from({ length: LAYERS }, (_, index) => layer(index)).flat(),
    ['norm', HIDDEN],
  ]
  return names.map(([name, ...shape]) => [`model.${name}.weight`, ...shape])
}

/** Random bf16 in the safetensors format: the same bytes every time. */
function weights(vocabulary: number): Buffer {
  const random = new Random(7)
  const period = Uint16Array.from({ length: PERIOD }, () => (random.below(2) << 15) | EXPONENT | random.below(128))
  const header: Record<string, { dtype: 'BF16'; shape: number[]; data_offsets: [number, number] }> = {}
  const tensors: Buffer[] = []
  let offset = 0
  for (const [name, ...shape] of shapes(vocabulary)) {
    const values = new Uint16Array(shape.reduce((size, length) => size * length, 1))
    // Norms multiply by 1. Other weights have a random sign and seven random bits, and repeat.
    if (shape.length === 1) values.fill(BF16_ONE)
    else for (let at = 0; at < values.length; at += period.length) values.set(period.subarray(0, values.length - at), at)
    header[name] = { dtype: 'BF16', shape, data_offsets: [offset, offset + values.byteLength] }
    offset += values.byteLength
    tensors.push(Buffer.from(values.buffer))
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...tensors])
}
