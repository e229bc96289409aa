// From a validated request to a sequence in the queue: conversation, tokens, limits, keys.

import { AnswerHash } from '../conversations/chain.js'
import type { Conversations, Resolution } from '../conversations/conversations.js'
import { BLOCK_TOKENS, type BlockKey, type SequenceSpec } from '../engine/types.js'
import { ApiError } from '../protocol/errors.js'
import type { Core } from './core.js'
import { Sequence } from './sequence.js'
import { TurnOutput } from './turn.js'
import type { TurnRequest } from './types.js'

export interface Intake {
  readonly sequence: Sequence
  readonly resolution: Resolution
}

export class IntakeDesk {
  readonly #core: Core
  readonly #conversations: Conversations
  #nextTicket = 0

  constructor(core: Core, conversations: Conversations) {
    this.#core = core
    this.#conversations = conversations
  }

  /** Rejects with `context_length_exceeded` or `invalid_value`. Nothing is stored or enqueued yet. */
  async take(request: TurnRequest, onCancel: (sequence: Sequence) => void): Promise<Intake> {
    const acceptedAt = this.#core.clock.now()
    const ticket = this.#nextTicket++
    const resolution = this.#conversations.resolve({
      tenant: request.tenant,
      conversation: request.conversation,
      hint: request.conversationHint,
      messages: request.prompt.kind === 'chat' ? request.prompt.messages : null,
    })
    const tokens = await this.#encode(request, resolution)
    const spec = this.#specOf(request, tokens, ticket)
    const keys = await this.#keysOf(spec)
    const turn = new TurnOutput(resolution.id, () => onCancel(sequence))
    const answer = resolution.parent === null ? null : new AnswerHash(resolution.parent)
    const sequence: Sequence = new Sequence(spec, ticket, keys, turn, answer, request.tenant, acceptedAt)
    return { sequence, resolution }
  }

  async #encode({ prompt }: TurnRequest, resolution: Resolution): Promise<Uint32Array> {
    const { text, info } = this.#core.engine
    if (prompt.kind === 'text') return text.encodePrompt(prompt.text)
    if (prompt.kind === 'chat') {
      const messages = prompt.messages.map((message, i) => {
        const stored = resolution.stored[i]
        return stored ? { ...message, stored: { tokens: stored.tokens, bytes: stored.bytes } } : message
      })
      return (await text.encodeChat(messages, resolution.date)).tokens
    }
    const unknown = prompt.tokens.find(token => token >= info.vocabSize)
    if (unknown !== undefined) {
      throw new ApiError('invalid_value', `token ${unknown} is not in the vocabulary of ${info.vocabSize} tokens`, 'prompt', {
        token: unknown,
        vocab_size: info.vocabSize,
      })
    }
    return prompt.tokens
  }

  #specOf(request: TurnRequest, tokens: Uint32Array, ticket: number): SequenceSpec {
    const { engine, options } = this.#core
    if (tokens.length === 0) throw new ApiError('invalid_value', 'the prompt has no tokens', 'prompt')
    if (tokens.length >= options.maxContext) {
      const message = `the prompt has ${tokens.length} tokens, the context ends at ${options.maxContext}`
      const counts = { prompt_tokens: tokens.length, max_model_len: options.maxContext }
      throw new ApiError('context_length_exceeded', message, request.prompt.kind === 'chat' ? 'messages' : 'prompt', counts)
    }
    const room = options.maxContext - tokens.length
    return {
      // Unique among the living: the queue and the running ones are far fewer than 2^32.
      sequence: ticket >>> 0,
      tokens,
      root: engine.text.root(request.tenant, request.cacheSalt),
      sampling: request.sampling,
      stop: request.stop,
      stopTokens: request.stopTokens,
      ignoreEos: request.ignoreEos,
      maxTokens: Math.max(1, Math.min(request.maxTokens ?? room, room)),
    }
  }

  async #keysOf({ root, tokens }: SequenceSpec): Promise<readonly BlockKey[]> {
    const isUseful = this.#core.tiers.keeps && tokens.length >= BLOCK_TOKENS
    return isUseful ? this.#core.engine.text.keys(root, tokens) : []
  }
}
