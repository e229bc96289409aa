// Text in, tokens out, by the addon's own threads.

import type { BlockKey, ChatMessageText, ChatText, CompiledConstraint, ConstraintSource, EncodedPrompt, EngineText, TokenRange, ToolText, ViewParameters } from '../types.js'
import { PromptTooLong } from '../too-long.js'
import type { BindingChat, BindingEngine, BindingMessage, BindingPrompt, BindingTool } from './addon.generated.js'
import { NativeConstraint, textsOf } from './constraint.js'
import { engineError } from './errors.js'
import { keyFromBytes, keyToBytes } from './keys.js'

const KEY_BYTES = 32

function nativeMessage({ stored, toolCalls, ...texts }: ChatMessageText): BindingMessage {
  return {
    ...texts,
    ...(toolCalls === undefined ? {} : { toolCalls: [...toolCalls] }),
    ...(stored === undefined ? {} : { stored: { reasoning: 0, whole: false, ...stored } }),
  }
}

function nativeTool({ name, description, parameters }: ToolText): BindingTool {
  return {
    name,
    ...(description === undefined ? {} : { description }),
    ...(parameters === null ? {} : { parameters: jsonText(parameters) }),
  }
}

function nativeChat({ messages, tools, templateArguments, ending = 'answer', template }: ChatText, date: string): BindingChat {
  return {
    messages: messages.map(nativeMessage),
    ...(tools === undefined ? {} : { tools: tools.map(nativeTool) }),
    ...(templateArguments === undefined ? {} : { templateArguments: jsonText(templateArguments) }),
    ending,
    dateSeconds: Date.parse(date) / 1000,
    ...(template === undefined ? {} : { template }),
  }
}

/** JSON without halves of surrogate pairs, which Rust's strings cannot have. */
function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? inner.replace(/\p{Surrogate}/gu, '\uFFFD') : inner))
}

function pairs(flat: readonly number[]): TokenRange[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as number, flat[2 * i + 1] as number])
}

async function translated<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((thrown: unknown) => {
    throw engineError(thrown)
  })
}

async function within(mostTokens: number | undefined, promise: Promise<BindingPrompt>): Promise<EncodedPrompt> {
  const { tokens, systemTokens, startsInReasoning, withoutReasoning, prefill, prefillInReasoning, atLeast } = await translated(promise)
  if (atLeast !== undefined) throw new PromptTooLong(atLeast, mostTokens ?? 0)
  const begun = prefill === 0 ? {} : { prefill: { tokens: prefill, inReasoning: prefillInReasoning } }
  return { tokens, systemTokens, startsInReasoning, withoutReasoning: pairs(withoutReasoning), ...begun }
}

export class NativeText implements EngineText {
  readonly #binding: BindingEngine

  constructor(binding: BindingEngine) {
    this.#binding = binding
  }

  encodeChat(chat: ChatText, date: string, mostTokens?: number): Promise<EncodedPrompt> {
    return within(mostTokens, this.#binding.encodeChat(nativeChat(chat, date), mostTokens))
  }

  async encodePrompt(text: string, mostTokens?: number): Promise<Uint32Array> {
    return (await within(mostTokens, this.#binding.encodePrompt(text, mostTokens))).tokens
  }

  async tokenize(text: string, addSpecialTokens: boolean, mostTokens?: number, parseSpecial = false): Promise<Uint32Array> {
    return (await within(mostTokens, this.#binding.tokenize(text, addSpecialTokens, parseSpecial, mostTokens))).tokens
  }

  decode(tokens: Uint32Array): Promise<string> {
    return translated(this.#binding.decode(tokens))
  }

  async compile(source: ConstraintSource): Promise<CompiledConstraint> {
    return new NativeConstraint(source.kind, await translated(this.#binding.compile(source.kind, textsOf(source))))
  }

  tokenBytes(token: number): Uint8Array {
    return this.#binding.tokenBytes(token)
  }

  root(tenant: string, cacheSalt: string): BlockKey {
    return keyFromBytes(this.#binding.root(tenant, cacheSalt))
  }

  async keys(root: BlockKey, tokens: Uint32Array, view: ViewParameters | null): Promise<BlockKey[]> {
    const packed = await translated(this.#binding.keys(keyToBytes(root), tokens, view ?? undefined))
    return Array.from({ length: packed.length / KEY_BYTES }, (_, block) =>
      keyFromBytes(packed.subarray(block * KEY_BYTES, (block + 1) * KEY_BYTES)),
    )
  }

  blockKey(parent: BlockKey, index: number, tokens: Uint32Array, view: ViewParameters | null): BlockKey {
    return keyFromBytes(this.#binding.blockKey(keyToBytes(parent), index, tokens, view ?? undefined))
  }
}
