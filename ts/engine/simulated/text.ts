// Text and keys of the simulated engine. Keys are real chained hashes, so nothing matches by accident.

import { createHash } from 'node:crypto'
import { BLOCK_TOKENS, type BlockKey, type ChatText, type CompiledConstraint, type ConstraintSource, type EncodedPrompt, type EngineText, type ViewParameters } from '../types.js'
import { PromptTooLong } from '../too-long.js'
import { keyedView } from '../view.js'
import { SimulatedConstraint } from './constraint.js'
import { bytesOf, decodeTokens, encodeChat, encodeText, encodeWithSpecials, TEXT_START } from './vocabulary.js'

function within(mostTokens: number | undefined, tokens: Uint32Array): Uint32Array {
  if (mostTokens !== undefined && tokens.length > mostTokens) throw new PromptTooLong(tokens.length, mostTokens)
  return tokens
}

export class SimulatedText implements EngineText {
  /** Sources that were compiled, and that were refused. */
  compiled = 0
  refused = 0
  readonly #identity: string
  readonly #isRecorded: boolean

  /** @param isRecorded The engine's answers come from a recording. */
  constructor(identity: string, isRecorded = false) {
    this.#identity = identity
    this.#isRecorded = isRecorded
  }

  async compile(source: ConstraintSource): Promise<CompiledConstraint> {
    try {
      const constraint = SimulatedConstraint.of(source, this.#isRecorded)
      this.compiled++
      return constraint
    } catch (error) {
      this.refused++
      throw error
    }
  }

  async encodeChat(chat: ChatText, date: string, mostTokens?: number): Promise<EncodedPrompt> {
    const prompt = encodeChat(chat, date)
    within(mostTokens, prompt.tokens)
    return prompt
  }

  async encodePrompt(text: string, mostTokens?: number): Promise<Uint32Array> {
    return within(mostTokens, Uint32Array.from([TEXT_START].concat(encodeText(text))))
  }

  async tokenize(text: string, addSpecialTokens: boolean, mostTokens?: number, parseSpecial = false): Promise<Uint32Array> {
    const ids = parseSpecial ? encodeWithSpecials(text) : encodeText(text)
    return within(mostTokens, Uint32Array.from(addSpecialTokens ? [TEXT_START].concat(ids) : ids))
  }

  async decode(tokens: Uint32Array): Promise<string> {
    return decodeTokens(tokens)
  }

  tokenBytes(token: number): Uint8Array {
    return bytesOf(token)
  }

  root(tenant: string, cacheSalt: string): BlockKey {
    return createHash('sha256').update(JSON.stringify([this.#identity, tenant, cacheSalt])).digest('binary')
  }

  async keys(root: BlockKey, tokens: Uint32Array, view: ViewParameters | null): Promise<BlockKey[]> {
    const keys: BlockKey[] = []
    let parent = root
    for (let from = 0; from < tokens.length; from += BLOCK_TOKENS) {
      parent = this.blockKey(parent, from / BLOCK_TOKENS, tokens.subarray(from, from + BLOCK_TOKENS), view)
      keys.push(parent)
    }
    return keys
  }

  blockKey(parent: BlockKey, index: number, tokens: Uint32Array, view: ViewParameters | null): BlockKey {
    const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength)
    const keyed = keyedView(view, index)
    const hash = createHash('sha256').update(parent, 'binary').update(bytes)
    return (keyed ? hash.update(`view ${keyed.window} ${keyed.head} ${keyed.step}`) : hash).digest('binary')
  }
}
