// The conversation: its messages, and what is done with them.

import { RequestFailed } from '../client.js'
import type { Terminal } from '../terminal.js'
import { showAnswer, type AnswerRequest, type Message } from './answer.js'

type Server = Omit<AnswerRequest, 'messages' | 'signal'>

/** How a turn ended: the exit code of a conversation that ends with it. */
export type TurnCode = 0 | 3

export class Dialogue {
  system: string | null
  #turns: readonly Message[] = []
  readonly #server: Server
  readonly #terminal: Terminal
  /** Answers that were asked for again; each gets a seed of its own. */
  #retries = 0

  constructor(server: Server, system: string | null, terminal: Terminal) {
    this.#server = server
    this.system = system
    this.#terminal = terminal
  }

  get messages(): readonly Message[] {
    return this.#behindSystem(this.#turns)
  }

  /** Answers one message. */
  ask(content: string, signal: AbortSignal): Promise<TurnCode> {
    return this.#answer([...this.#turns, { role: 'user', content }], signal)
  }

  /** Answers the last message again; null where there is none. */
  async retry(signal: AbortSignal): Promise<TurnCode | null> {
    if (this.#turns.length === 0) return null
    this.#retries++
    return this.#answer(this.#turns.slice(0, -1), signal)
  }

  clear(): void {
    this.#turns = []
  }

  #behindSystem(turns: readonly Message[]): readonly Message[] {
    return this.system === null ? turns : [{ role: 'system', content: this.system }, ...turns]
  }

  /** A turn that failed, or was stopped before its first token, leaves the conversation as it was. */
  async #answer(turns: readonly Message[], signal: AbortSignal): Promise<TurnCode> {
    const { fields } = this.#server
    const seed = fields['seed']
    const seeded = typeof seed === 'number' ? { ...fields, seed: seed + this.#retries } : fields
    try {
      const content = await showAnswer({ ...this.#server, fields: seeded, messages: this.#behindSystem(turns), signal }, this.#terminal)
      if (content !== '' || !signal.aborted) this.#turns = [...turns, { role: 'assistant', content }]
      return 0
    } catch (thrown) {
      if (!(thrown instanceof RequestFailed)) throw thrown
      this.#terminal.err(`\nerror: ${thrown.message}\n`)
      return 3
    }
  }
}
