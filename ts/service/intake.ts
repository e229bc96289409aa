// From a validated request to a sequence in the queue: conversation, tokens, limits, keys.

import { AnswerHash } from '../conversations/chain.js'
import type { Conversations, Resolution } from '../conversations/conversations.js'
import type { BlockKey, ChatMessageText, EncodedPrompt, OutputReading, SequenceSpec, ViewParameters } from '../engine/types.js'
import { MIN_WINDOW, viewParameters } from '../engine/view.js'
import { ApiError } from '../protocol/errors.js'
import type { Core } from '../scheduler/core/core.js'
import { Sequence } from '../scheduler/sequence/sequence.js'
import type { StartFinder } from '../scheduler/sequence/start-finder.js'
import { lastTokens, lastTokensOf } from './last-tokens.js'
import { badWordTokens } from './bad-words.js'
import { PromptScores } from './prompt-scores.js'
import { chatText, messageTexts, toolsText } from './messages.js'
import { mostTokens, refusalOf, tooLong } from './refusals.js'
import { callIds } from './call-ids.js'
import { callableTools, compileConstraint } from './constraint.js'
import { TurnOutput } from './turn.js'
import type { Choice, TurnRequest } from './types.js'

export interface Intake {
  readonly sequence: Sequence
  readonly resolution: Resolution
  /** What its client reads. */
  readonly turn: TurnOutput
  /** The last so many tokens of the prompt are the message that the answer goes on with. */
  readonly prefill: number
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
    const [prompt, constraint, badWords] = await Promise.all([
      this.#prompt(request, messages, resolution),
      compileConstraint(this.#core.engine.text, request),
      badWordTokens(this.#core.engine.text, request.badWords ?? []),
    ])
    const spec = { ...this.#specOf(request, prompt), badWords, ...(constraint === undefined ? {} : { constraint }) }
    const scores = request.promptLogprobs ? new PromptScores(prompt.tokens, request.promptLogprobs) : null
    const starts = await this.#starts.find(spec)
    const { prefill, systemTokens, withoutReasoning } = prompt
    const wishes = { retention: request.retention ?? 'none', systemTokens, withoutReasoning }
    const family = choices.length > 1 ? Symbol('choices') : null
    const intakes = choices.map(({ requestId, seed }, index): Intake => {
      const ticket = firstTicket + index
      // Unique among the living: the queue and the running ones are far fewer than 2^32.
      const own: SequenceSpec = { ...spec, sequence: ticket >>> 0, sampling: { ...spec.sampling, seed }, ...(index === 0 ? scores?.wish : {}) }
      const newCallId = callIds(this.#core.engine.info.outputFormat, callsIn(request))
      const turn = new TurnOutput(resolution.id, () => onCancel(sequence), newCallId, prompt.tokens.length, scores, index === 0)
      const answer = resolution.parent === null ? null : new AnswerHash(resolution.parent)
      // The hash is of the whole message. Its reasoning is no part of it, wherever the client wrote it.
      if (answer && prefill && !prefill.inReasoning) answer.add(messages?.at(-1)?.content ?? '')
      const sequence: Sequence = new Sequence(own, ticket, starts, turn, answer, request.tenant, requestId, acceptedAt, wishes, family)
      return { sequence, resolution, turn, prefill: prefill?.tokens ?? 0, leaf: null }
    })
    return { resolution, intakes }
  }

  /** Tokens of the prompt that `take` would make, or of one that is too long for the context. Nothing is stored. */
  async count(request: TurnRequest): Promise<number> {
    const bounded: TurnRequest = { ...request, truncation: 'auto' }
    const messages = chatTexts(bounded)
    return (await this.#prompt(bounded, messages, this.#resolve(bounded, messages))).tokens.length
  }

  #resolve(request: TurnRequest, messages: readonly ChatMessageText[] | null, choices = 1): Resolution {
    const { tenant, cacheSalt, conversation, conversationHint: hint, chatTemplate: template, prompt } = request
    const isOpen = prompt.kind === 'chat' && prompt.ending === 'open'
    const tools = toolsText(request.tools?.definitions)
    return this.#conversations.resolve({ tenant, cacheSalt, conversation, hint, messages, tools, isOpen, choices, ...(template === undefined ? {} : { template }) })
  }

  async #prompt(request: TurnRequest, texts: readonly ChatMessageText[] | null, resolution: Resolution): Promise<EncodedPrompt> {
    const { maxContext } = this.#core.options
    const most = lastTokensOf(request, maxContext)
    try {
      return lastTokens(await this.#encode(request, texts, resolution), most)
    } catch (error) {
      throw refusalOf(request, maxContext, error)
    }
  }

  /** `texts`: the messages of a chat. */
  async #encode(request: TurnRequest, texts: readonly ChatMessageText[] | null, resolution: Resolution): Promise<EncodedPrompt> {
    const { prompt } = request
    const most = mostTokens(request, this.#core.options.maxContext)
    const { text, info } = this.#core.engine
    if (prompt.kind === 'text') {
      const { addSpecialTokens = true, parseSpecial = false } = prompt
      return rawPrompt(await text.tokenize(prompt.text, addSpecialTokens, most, parseSpecial), 0)
    }
    if (prompt.kind === 'chat') {
      const messages = (texts ?? []).map((message, i) => {
        const stored = resolution.stored[i]
        return stored ? { ...message, stored } : message
      })
      const { templateArguments } = this.#core.options
      const { ending = 'answer' } = prompt
      return text.encodeChat({ ...chatText(request, messages, templateArguments), ending }, resolution.date, most)
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

  #specOf(request: TurnRequest, { tokens, systemTokens, startsInReasoning, prefill }: EncodedPrompt): Omit<SequenceSpec, 'sequence'> {
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
      minTokens: request.minTokens ?? 0,
      includeStop: request.includeStop ?? false,
      maxTokens: Math.max(1, Math.min(request.maxTokens ?? room, room)),
      ...(request.prompt.kind === 'chat' ? { output: readingOf(request, startsInReasoning) } : {}),
      ...(prefill ? { prefill: prefill.tokens } : {}),
    }
  }

  #viewOf(systemTokens: number): ViewParameters {
    const { contextWindow, truncationRatio, maxContext } = this.#core.options
    if (contextWindow !== null) return viewParameters(contextWindow, truncationRatio, systemTokens)
    const message = `Truncation needs a window of at least ${MIN_WINDOW} tokens; the context has ${maxContext}.`
    throw new ApiError('unsupported_parameter', message, 'truncation', { max_model_len: maxContext, min_window: MIN_WINDOW })
  }

  #checkLength(request: TurnRequest, length: number): void {
    const { maxContext } = this.#core.options
    if (length >= maxContext) throw tooLong(request, maxContext, `${length}`, length)
  }
}

function rawPrompt(tokens: Uint32Array, systemTokens: number): EncodedPrompt {
  return { tokens, systemTokens, startsInReasoning: false, withoutReasoning: [] }
}

/** How the answer to a chat is read. */
function readingOf({ tools }: TurnRequest, startsInReasoning: boolean): OutputReading {
  const calls = tools !== undefined && tools.choice !== 'none'
  return { tools: tools ? callableTools(tools) : [], calls, startsInReasoning }
}

/** Calls that the messages of a request repeat. */
function callsIn({ prompt }: TurnRequest): number {
  return prompt.kind === 'chat' ? prompt.messages.reduce((calls, message) => calls + (message.toolCalls?.length ?? 0), 0) : 0
}

function chatTexts({ prompt }: TurnRequest): ChatMessageText[] | null {
  return prompt.kind === 'chat' ? messageTexts(prompt.messages) : null
}
