// Where a request may begin: with its whole history or, where that would compute more than its last token sees, as the
// ordinary sequence of what that token sees, which has keys of its own.

import { conversationKey } from '../../conversations/registry.js'
import type { Aliases } from '../../directory/aliases.js'
import { BLOCK_TOKENS, type BlockKey, type ViewParameters } from '../../engine/types.js'
import { leftOut } from '../../engine/view.js'
import type { Core } from '../core/core.js'
import type { Sequence } from './sequence.js'
import type { Prompt, Start } from './start.js'

/** Finds the starts of a prompt, in order of preference: the last of them is always good enough. */
export class StartFinder {
  readonly #core: Core
  readonly #aliases: Aliases

  constructor(core: Core, aliases: Aliases) {
    this.#core = core
    this.#aliases = aliases
  }

  async find(prompt: Prompt): Promise<readonly [Start, ...Start[]]> {
    const { view, tokens } = prompt
    if (view === null || tokens.length <= view.window) return [await this.#start(prompt, 0)]
    const cold = leftOut(view, tokens.length - 1)
    const isRolled = this.#core.tiers.keeps && this.#core.options.reuseAfterTruncation
    if (!isRolled) return [await this.#start(prompt, cold)]
    const whole = await this.#start(prompt, 0)
    const epoch = this.#aliases.find(whole.keys, view)
    const known = epoch === null ? cold : epoch * view.step
    const others = known === cold ? [cold] : [known, cold]
    return [whole, ...(await Promise.all(others.map(hidden => this.#start(prompt, hidden))))]
  }

  /** The answer is complete: a sequence that began without a part of its history is found by the history's keys. */
  answered(sequence: Sequence): void {
    const { start, starts: [whole], spec: { view }, history, tokens, promptLength, tenant, turn } = sequence
    if (view === null || start.leftOut === 0 || whole.leftOut > 0) return
    const epoch = start.leftOut / view.step
    const known = Math.floor(history.length / BLOCK_TOKENS)
    const ofPrompt = whole.keys[known - 1] as BlockKey
    const conversation = conversationKey(tenant, turn.conversation)
    this.#aliases.put(ofPrompt, view, epoch, conversation)
    const rest = Uint32Array.of(...history.subarray(known * BLOCK_TOKENS), ...tokens.view(promptLength))
    const last = this.#extend(ofPrompt, known, rest, view)
    if (last !== ofPrompt) this.#aliases.put(last, view, epoch, conversation)
  }

  async #start({ root, tokens, view }: Prompt, hidden: number): Promise<Start> {
    const kept = hidden === 0 || view === null ? tokens : without(tokens, view.head, hidden)
    const isUseful = this.#core.tiers.keeps && kept.length >= BLOCK_TOKENS
    return { leftOut: hidden, tokens: kept, keys: isUseful ? await this.#core.engine.text.keys(root, kept, view) : [] }
  }

  /** Key of the last full block of `tokens` behind block `index − 1`. */
  #extend(parent: BlockKey, index: number, tokens: Uint32Array, view: ViewParameters): BlockKey {
    let key = parent
    for (let from = 0; from + BLOCK_TOKENS <= tokens.length; from += BLOCK_TOKENS) {
      key = this.#core.engine.text.blockKey(key, index + from / BLOCK_TOKENS, tokens.slice(from, from + BLOCK_TOKENS), view)
    }
    return key
  }
}

function without(tokens: Uint32Array, head: number, hidden: number): Uint32Array {
  const kept = new Uint32Array(tokens.length - hidden)
  kept.set(tokens.subarray(0, head))
  kept.set(tokens.subarray(head + hidden), head)
  return kept
}
