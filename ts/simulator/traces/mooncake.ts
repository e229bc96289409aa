// Mooncake's JSON lines: one id a block of 512 prompt tokens, equal ids for equal prefixes.

import { z } from 'zod'
import { promptOnly, type TraceFormat } from './format.js'

const BLOCK_TOKENS = 512
const count = z.int().nonnegative()

const line = z.object({
  timestamp: z.number().nonnegative(),
  input_length: count,
  output_length: count,
  hash_ids: z.array(count),
})

export const mooncake: TraceFormat = {
  name: 'Mooncake',
  blockTokens: BLOCK_TOKENS,
  open: ({ shared }) => (value) => {
    const parsed = line.safeParse(value)
    if (!parsed.success) return null
    const { timestamp, input_length, output_length, hash_ids } = parsed.data
    return [promptOnly(timestamp, input_length, output_length, Int32Array.from(hash_ids, shared), BLOCK_TOKENS)]
  },
}
