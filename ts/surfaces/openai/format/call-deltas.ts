// Tool calls in a stream: id and name once, then pieces of the arguments, each under the index of its call.

import type { ChatChunk } from '../../../protocol/index.js'
import type { TurnEvent } from '../../../service/types.js'
import type { CallForm } from './finish.js'

type Delta = ChatChunk['choices'][number]['delta']
type CallEvent = Extract<TurnEvent, { type: 'call' | 'arguments' }>

export class CallDeltas {
  #calls = 0

  constructor(readonly asFunctions: boolean) {}

  /** null: nothing is told. The older form has room for one call. */
  next(event: CallEvent): Delta | null {
    if (event.type === 'call') this.#calls++
    else if (event.text === '') return null
    if (!this.asFunctions) return { tool_calls: [this.#toolCall(event)] }
    if (this.#calls > 1) return null
    return { function_call: event.type === 'call' ? { name: event.name, arguments: '' } : { arguments: event.text } }
  }

  #toolCall(event: CallEvent): NonNullable<Delta['tool_calls']>[number] {
    const index = this.#calls - 1
    if (event.type === 'arguments') return { index, function: { arguments: event.text } }
    return { index, id: event.id, type: 'function', function: { name: event.name, arguments: '' } }
  }

  /** How the calls so far were told. */
  get form(): CallForm {
    if (this.#calls === 0) return null
    return this.asFunctions ? 'function_call' : 'tool_calls'
  }
}
