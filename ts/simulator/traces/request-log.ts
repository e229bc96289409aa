// Lines of the server's own request log: salted hashes of the 64-token blocks of prompt and answer.

import { z } from 'zod'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { TraceFormat } from './format.js'

const count = z.int().nonnegative()

const line = z.object({
  t_ms: z.number().nonnegative(),
  input_tokens: count,
  output_tokens: count,
  block_hashes: z.array(z.string()),
})

export const requestLog: TraceFormat = {
  name: 'request log',
  blockTokens: BLOCK_TOKENS,
  open: ({ shared }) => (value) => {
    const parsed = line.safeParse(value)
    if (!parsed.success) return null
    const { t_ms, input_tokens, output_tokens, block_hashes } = parsed.data
    const promptBlocks = Math.min(block_hashes.length, Math.ceil(input_tokens / BLOCK_TOKENS))
    return [
      {
        atMs: t_ms,
        inputTokens: input_tokens,
        outputTokens: output_tokens,
        reusableTokens: input_tokens,
        blocks: Int32Array.from(block_hashes, shared),
        promptBlocks,
        // The last hash is that of the answer's end; the prompt's own last block was filled on by the answer.
        hasPartialTail: (input_tokens + output_tokens) % BLOCK_TOKENS !== 0,
      },
    ]
  },
}
