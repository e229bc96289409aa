// From a validated request to a sequence in the queue: conversation, tokens, limits, keys.

import { AnswerHash } from '../conversations/chain.js'
import type { Conversations, Resolution } from '../conversations/conversations.js'
import { PromptTooLong } from '../engine/too-long.js'
import type { BlockKey, ChatMessageText, EncodedPrompt, OutputReading, SequenceSpec, ViewParameters } from '../engine/types.js'
import { MIN_WINDOW, viewParameters } from '../engine/view.js'
import { ApiError } from '../protocol/errors.js'
import { MAX_TRUNCATED } from '../protocol/limits.js'
import type { Core } from '../scheduler/core/core.js'
import { Sequence } from '../scheduler/sequence/sequence.js'
import type { StartFinder } from '../scheduler/sequence/start-finder.js'
import { chatText, messageTexts, toolsText } from './messages.js'
import { callIds } from './call-ids.js'
import { compileConstraint } from './constraint.js'
import { TurnOutput } from './turn.js'
import type { Choice, TurnRequest } from './types.js'

export interface Intake {
  readonly sequence: Sequence
  readonly resolution: Resolution
  /** What its client reads. */
  readonly turn: TurnOutput
  /** Key of the last block that was kept when it left hbm. */
  leaf: BlockKey | null
}

/** A request that came in: one conversation, one prompt, an intake for each answer. */
export interface Arrival {
  readonly resolution: Resolution
  readonly intakes: readonly Intake[]
}

export class IntakeDesk {
  readonly #core: Core
  readonly #conversations: Conversations
  readonly #starts: StartFinder
  #nextTicket = 0

  constructor(core: Core, conversations: Conversations, starts: StartFinder) {
    this.#core = core
    this.#conversations = conversations
    this.#starts = starts
  }

  /** Rejects with `context_length_exceeded` or `invalid_value`. Nothing is stored or enqueued yet. */
  async take(request: TurnRequest, choices: readonly Choice[], onCancel: (sequence: Sequence) => void): Promise<Arrival> {
    const acceptedAt = this.#core.clock.now()
    const firstTicket = this.#nextTicket
    this.#nextTicket += choices.length
    const messages = chatTexts(request)
    const resolution = this.#resolve(request, messages, choices.length)
    // Side by side: neither waits for the other.
    const [prompt, constraint] = await Promise.all([
      this.#encode(request, messages, resolution).catch((error: unknown) => {
        throw this.#refusalOf(request, error)
      }),
      compileConstraint(this.#core.engine.text, request),
    ])
    const spec = { ...this.#specOf(request, prompt), ...(constraint === undefined ? {} : { constraint }) }
    const starts = await this.#starts.find(spec)
    const { systemTokens, withoutReasoning } = prompt
    const wishes = { retention: request.retention ?? 'none', systemTokens, withoutReasoning }
    const family = choices.length > 1 ? Symbol('choices') : null
    const intakes = choices.map(({ requestId, seed }, index): Intake => {
      const ticket = firstTicket + index
      // Unique among the living: the queue and the running ones are far fewer than 2^32.
      const own: SequenceSpec = { ...spec, sequence: ticket >>> 0, sampling: { ...spec.sampling, seed } }
      const newCallId = callIds(this.#core.engine.info.outputFormat, callsIn(request))
      const turn = new TurnOutput(resolution.id, () => onCancel(sequence), newCallId, prompt.tokens.length)
      const answer = resolution.parent === null ? null : new AnswerHash(resolution.parent)
      const sequence: Sequence = new Sequence(own, ticket, starts, turn, answer, request.tenant, requestId, acceptedAt, wishes, family)
      return { sequence, resolution, turn, leaf: null }
    })
    return { resolution, intakes }
  }

  /** Tokens of the prompt that `take` would make, or of one that is too long for the context. Nothing is stored. */
  async count(request: TurnRequest): Promise<number> {
    const bounded: TurnRequest = { ...request, truncation: 'auto' }
    const messages = chatTexts(bounded)
    try {
      return (await this.#encode(bounded, messages, this.#resolve(bounded, messages))).tokens.length
    } catch (error) {
      throw this.#refusalOf(bounded, error)
    }
  }

  #resolve(request: TurnRequest, messages: readonly ChatMessageText[] | null, choices = 1): Resolution {
    const { tenant, cacheSalt, conversation, conversationHint: hint } = request
    return this.#conversations.resolve({ tenant, cacheSalt, conversation, hint, messages, tools: toolsText(request.tools?.definitions), choices })
  }

  /** An error of the encoding as the client is told it: a prompt that is too long was refused before all of it was tokenised. */
  #refusalOf(request: TurnRequest, error: unknown): unknown {
    return error instanceof PromptTooLong ? this.#tooLong(request, `at least ${error.atLeast}`, error.atLeast) : error
  }

  /** `texts`: the messages of a chat. */
  async #encode(request: TurnRequest, texts: readonly ChatMessageText[] | null, resolution: Resolution): Promise<EncodedPrompt> {
    const { prompt } = request
    const mostTokens = this.#mostTokens(request)
    const { text, info } = this.#core.engine
    if (prompt.kind === 'text') return rawPrompt(await text.encodePrompt(prompt.text, mostTokens), 0)
    if (prompt.kind === 'chat') {
      const messages = (texts ?? []).map((message, i) => {
        const stored = resolution.stored[i]
        return stored ? { ...message, stored } : message
      })
      const { templateArguments } = this.#core.options
      return text.encodeChat(chatText(request, messages, templateArguments), resolution.date, mostTokens)
    }
    const unknown = prompt.tokens.find(token => token >= info.vocabSize)
    if (unknown !== undefined) {
      throw new ApiError('invalid_value', `prompt: Token ${unknown} is not in the vocabulary of ${info.vocabSize} tokens.`, 'prompt', {
        token: unknown,
        vocab_size: info.vocabSize,
      })
    }
    return rawPrompt(prompt.tokens, prompt.systemTokens ?? 0)
  }

  #specOf(request: TurnRequest, { tokens, systemTokens, startsInReasoning }: EncodedPrompt): Omit<SequenceSpec, 'sequence'> {
    const { engine, options } = this.#core
    if (tokens.length === 0) throw new ApiError('invalid_value', 'The prompt has no tokens.', 'prompt')
    const view = request.truncation === 'auto' ? this.#viewOf(systemTokens) : null
    if (view === null) this.#checkLength(request, tokens.length)
    // With truncation an answer does not end with the context, but is as long as one at most.
    const room = options.maxContext - (view === null ? tokens.length : 0)
    return {
      tokens,
      root: engine.text.root(request.tenant, request.cacheSalt),
      view,
      sampling: request.sampling,
      stop: request.stop,
      stopTokens: request.stopTokens,
      ignoreEos: request.ignoreEos,
      maxTokens: Math.max(1, Math.min(request.maxTokens ?? room, room)),
      ...(request.prompt.kind === 'chat' ? { output: readingOf(request, startsInReasoning) } : {}),
    }
  }

  #viewOf(systemTokens: number): ViewParameters {
    const { contextWindow, truncationRatio, maxContext } = this.#core.options
    if (contextWindow !== null) return viewParameters(contextWindow, truncationRatio, systemTokens)
    const message = `Truncation needs a window of at least ${MIN_WINDOW} tokens; the context has ${maxContext}.`
    throw new ApiError('unsupported_parameter', message, 'truncation', { max_model_len: maxContext, min_window: MIN_WINDOW })
  }

  #checkLength(request: TurnRequest, length: number): void {
    if (length >= this.#core.options.maxContext) throw this.#tooLong(request, `${length}`, length)
  }

  #mostTokens({ truncation }: TurnRequest): number {
    const { maxContext } = this.#core.options
    return truncation === 'auto' ? Math.max(maxContext - 1, MAX_TRUNCATED) : maxContext - 1
  }

  /** @param counted How many tokens the prompt has, in words; `length` of them are known. */
  #tooLong(request: TurnRequest, counted: string, length: number): ApiError {
    const { maxContext } = this.#core.options
    const isTruncated = request.truncation === 'auto'
    const limit = isTruncated ? this.#mostTokens(request) : maxContext
    const advice = isTruncated ? `the limit with truncation "auto" is ${limit}.` : `the context limit, prompt and answer, is ${limit}. Set truncation to "auto" to continue.`
    const param = request.prompt.kind === 'chat' ? 'messages' : 'prompt'
    const counts = { prompt_tokens: length, max_model_len: limit }
    return new ApiError('context_length_exceeded', `The prompt has ${counted} tokens; ${advice}`, param, counts)
  }
}

function rawPrompt(tokens: Uint32Array, systemTokens: number): EncodedPrompt {
  return { tokens, systemTokens, startsInReasoning: false, withoutReasoning: [] }
}

/** How the answer to a chat is read. */
function readingOf({ tools }: TurnRequest, startsInReasoning: boolean): OutputReading {
  const calls = tools !== undefined && tools.choice !== 'none'
  return { tools: tools?.definitions ?? [], calls, startsInReasoning }
}

/** Calls that the messages of a request repeat. */
function callsIn({ prompt }: TurnRequest): number {
  return prompt.kind === 'chat' ? prompt.messages.reduce((calls, message) => calls + (message.toolCalls?.length ?? 0), 0) : 0
}

function chatTexts({ prompt }: TurnRequest): ChatMessageText[] | null {
  return prompt.kind === 'chat' ? messageTexts(prompt.messages) : null
}
