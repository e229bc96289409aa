// The arithmetic of the default model (SmolLM2-135M), to state shares of the machine's peaks.

const LAYERS = 30
const HIDDEN = 576
const KV = 192
const FFN = 1536
const VOCABULARY = 49_152

const MATMUL_WEIGHTS = LAYERS * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * KV + 3 * HIDDEN * FFN)

/** Floating-point operations of a prompt of `tokens` tokens, the logits of its last one included. */
export function prefillFlops(tokens: number): number {
  const attention = (4 * HIDDEN * LAYERS * tokens * (tokens + 1)) / 2
  return 2 * MATMUL_WEIGHTS * tokens + attention + 2 * HIDDEN * VOCABULARY
}

/** Bytes that one decoded token must read: the whole file of weights, and bf16 keys and values of the context. */
export function decodeBytes(weightBytes: number, context: number): number {
  return weightBytes + 2 * LAYERS * KV * 2 * context
}
