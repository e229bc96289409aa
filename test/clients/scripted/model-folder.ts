// A model of a family that loads at once: the family's tokenizer and template over a transformer of two small layers.

import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Family, Published } from './families.js'
import { makeModelFile } from './model-file.js'
import { CONTEXT, HEAD_DIM, HEADS, HIDDEN, LAYERS, smallWeights } from './small-weights.js'

interface Tokenizer {
  readonly model: { readonly vocab: Readonly<Record<string, number>> }
  readonly added_tokens: ReadonlyArray<{ readonly id: number; readonly content: string }>
}

export interface ScriptedModel {
  readonly path: string
  /** Ids of the tokens that are no part of ordinary text, by name. */
  readonly special: ReadonlyMap<string, number>
}

/** @param path A folder to be made for it. */
export function makeModel(path: string, { source, ends }: Family): ScriptedModel {
  mkdirSync(path, { recursive: true })
  return 'gguf' in source ? makeModelFile(join(path, 'model.gguf'), source.gguf) : makeModelFolder(path, source, ends)
}

function makeModelFolder(path: string, { tokenizer, template }: Published, ends: readonly string[]): ScriptedModel {
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
  writeFileSync(join(path, 'model.safetensors'), safetensors(vocabulary))
  return { path, special }
}

function idOf(special: ReadonlyMap<string, number>, name: string): number {
  const id = special.get(name)
  if (id === undefined) throw new Error(`the tokenizer has no token ${name}`)
  return id
}

function safetensors(vocabulary: number): Buffer {
  const header: Record<string, { dtype: 'BF16'; shape: readonly number[]; data_offsets: [number, number] }> = {}
  const weights = smallWeights(vocabulary)
  let offset = 0
  for (const { huggingFace, shape, bytes } of weights) {
    header[huggingFace] = { dtype: 'BF16', shape, data_offsets: [offset, offset + bytes.length] }
    offset += bytes.length
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...weights.map(({ bytes }) => bytes)])
}
