// Lines of the server's own request log: salted hashes of the 64-token blocks of prompt and answer.

import { z } from 'zod'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { ReadContext, TraceFormat } from './format.js'
import { machineRecord, profileOf } from './machine.js'
import type { TraceRequest } from './trace.js'

const count = z.int().nonnegative()

const line = z.object({
  t_ms: z.number().nonnegative(),
  conversation: z.string().optional(),
  input_tokens: count,
  system_tokens: count.optional(),
  output_tokens: count,
  block_hashes: z.array(z.string()),
  reused: count.optional(),
  outside_view: count.optional(),
  machine: machineRecord.optional(),
})

type Line = z.infer<typeof line>

const ROOT = -1

/**
 * A hash says nothing of texts that share a part of a block. Two things do: a conversation that goes on fills its last
 * block on, and a request that reused N tokens, or left them outside its view, shared those N with a request
 * before it.
 */
class Beginnings {
  readonly #known: ReadContext['beginnings']
  /** The last block that continued each block. */
  readonly #latest = new Map<number, number>()
  readonly #ends = new Map<string, { readonly blocks: Int32Array; readonly tokens: number }>()

  constructor(known: ReadContext['beginnings']) {
    this.#known = known
  }

  add({ conversation, input_tokens, output_tokens, reused = 0, outside_view = 0 }: Line, blocks: Int32Array): void {
    const end = conversation === undefined ? undefined : this.#ends.get(conversation)
    const shared = reused + outside_view
    const index = Math.floor(shared / BLOCK_TOKENS)
    if (blocks[index] !== undefined) this.#share(blocks, shared, this.#latest.get(blocks[index - 1] ?? ROOT))
    const last = end ? Math.floor(end.tokens / BLOCK_TOKENS) : 0
    // The reused tokens say how far the two agree, unless it ends before.
    if (end && index < last && blocks[last - 1] === end.blocks[last - 1]) this.#share(blocks, end.tokens, end.blocks[last])
    blocks.forEach((block, place) => this.#latest.set(blocks[place - 1] ?? ROOT, block))
    // The last token sampled was never computed.
    if (conversation !== undefined) this.#ends.set(conversation, { blocks, tokens: Math.max(0, input_tokens + output_tokens - 1) })
  }

  /** The first `tokens` tokens of the chain are those of one that ends in, or goes on with, block `like`. */
  #share(blocks: Int32Array, tokens: number, like: number | undefined): void {
    const block = blocks[Math.floor(tokens / BLOCK_TOKENS)]
    const rows = tokens % BLOCK_TOKENS
    if (block === undefined || like === undefined || block === like || rows === 0 || this.#known.has(block)) return
    if (!this.#leadsTo(like, block)) this.#known.set(block, { block: like, tokens: rows })
  }

  /** A block that is like another one must not be what that one is like. */
  #leadsTo(from: number, target: number): boolean {
    for (let at = this.#known.get(from); at; at = this.#known.get(at.block)) if (at.block === target) return true
    return false
  }
}

function requestOf({ t_ms, input_tokens, system_tokens = 0, output_tokens }: Line, blocks: Int32Array): TraceRequest {
  return {
    atMs: t_ms,
    inputTokens: input_tokens,
    systemTokens: system_tokens,
    outputTokens: output_tokens,
    reusableTokens: input_tokens,
    blocks,
    promptBlocks: Math.min(blocks.length, Math.ceil(input_tokens / BLOCK_TOKENS)),
    // The last hash is that of the answer's end; the prompt's own last block was filled on by the answer.
    hasPartialTail: (input_tokens + output_tokens) % BLOCK_TOKENS !== 0,
  }
}

export const requestLog: TraceFormat = {
  name: 'request log',
  blockTokens: BLOCK_TOKENS,
  open: ({ shared, beginnings, onMachine }) => {
    const known = new Beginnings(beginnings)
    return (value) => {
      const parsed = line.safeParse(value)
      if (!parsed.success) return null
      const blocks = Int32Array.from(parsed.data.block_hashes, shared)
      known.add(parsed.data, blocks)
      if (parsed.data.machine) onMachine(profileOf(parsed.data.machine))
      return [requestOf(parsed.data, blocks)]
    }
  },
}
