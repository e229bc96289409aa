// A transformer of two small layers, which loads at once: its shape, and its weights, the same bytes every time.

import { Random } from '../../support/random.js'

export const HIDDEN = 32
export const HEAD_DIM = 16
export const HEADS = 2
export const LAYERS = 2
export const CONTEXT = 16_384
const BF16_ONE = 0x3f80
/** Exponent of the weights' magnitudes, 2^−5 to 2^−4. */
const EXPONENT = 122 << 7
/** Odd, so that no two rows of a matrix are the same. */
const PERIOD = 65_537

/** Names in a layer: of safetensors and of GGUF. */
const LAYER: ReadonlyArray<readonly [huggingFace: string, gguf: string, ...shape: number[]]> = [
  ['input_layernorm', 'attn_norm', HIDDEN],
  ['post_attention_layernorm', 'ffn_norm', HIDDEN],
  ['self_attn.q_proj', 'attn_q', HEADS * HEAD_DIM, HIDDEN],
  ['self_attn.k_proj', 'attn_k', HEAD_DIM, HIDDEN],
  ['self_attn.v_proj', 'attn_v', HEAD_DIM, HIDDEN],
  ['self_attn.o_proj', 'attn_output', HIDDEN, HEADS * HEAD_DIM],
  ['mlp.gate_proj', 'ffn_gate', HIDDEN, HIDDEN],
  ['mlp.up_proj', 'ffn_up', HIDDEN, HIDDEN],
  ['mlp.down_proj', 'ffn_down', HIDDEN, HIDDEN],
]

export interface Weights {
  readonly huggingFace: string
  readonly gguf: string
  /** Rows first. */
  readonly shape: readonly number[]
  /** bf16. */
  readonly bytes: Buffer
}

/** @param vocabulary Rows of the embedding, which is the output too. */
export function smallWeights(vocabulary: number): Weights[] {
  const random = new Random(7)
  const period = Uint16Array.from({ length: PERIOD }, () => (random.below(2) << 15) | EXPONENT | random.below(128))
  const weights = (huggingFace: string, gguf: string, ...shape: number[]): Weights => {
    const values = new Uint16Array(shape.reduce((size, length) => size * length, 1))
    // Norms multiply by 1. Other weights have a random sign and seven random bits, and repeat.
    if (shape.length === 1) values.fill(BF16_ONE)
    else for (let at = 0; at < values.length; at += period.length) values.set(period.subarray(0, values.length - at), at)
    return { huggingFace: `model.${huggingFace}.weight`, gguf: `${gguf}.weight`, shape, bytes: Buffer.from(values.buffer) }
  }
  return [
    weights('embed_tokens', 'token_embd', vocabulary, HIDDEN),
    ...Array.from({ length: LAYERS }, (_, layer) => LAYER.map(([name, gguf, ...shape]) => weights(`layers.${layer}.${name}`, `blk.${layer}.${gguf}`, ...shape))).flat(),
    weights('norm', 'output_norm', HIDDEN),
  ]
}
