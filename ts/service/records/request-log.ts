// Lines of `--request-log`: what a trace needs to be replayed, without text.

import { createHmac } from 'node:crypto'
import { sumTiers } from '../../protocol/tiers.js'
import type { Core } from '../../scheduler/core/core.js'
import { hasChanged, type MachineRecord } from '../../scheduler/costs/machine.js'
import type { RequestLogRecord } from '../../scheduler/core/options.js'
import type { Sequence } from '../../scheduler/sequence/sequence.js'
import type { TurnUsage } from '../types.js'

export class RequestLog {
  readonly #core: Core
  readonly #salt: Uint8Array
  readonly #write: (record: RequestLogRecord) => void
  readonly #startedAt: number
  #last: Promise<void> = Promise.resolve()
  #machine: MachineRecord | null = null

  constructor(core: Core, salt: Uint8Array, write: (record: RequestLogRecord) => void) {
    this.#core = core
    this.#salt = salt
    this.#write = write
    this.#startedAt = core.clock.now()
  }

  /** Lines come in the order in which answers end. */
  add(sequence: Sequence, usage: TurnUsage): void {
    const before = this.#last
    const answer = sequence.tokens.view(sequence.promptLength)
    const tokens = new Uint32Array(sequence.history.length + answer.length)
    tokens.set(sequence.history)
    tokens.set(answer, sequence.history.length)
    const keys = this.#core.engine.text.keys(sequence.root, tokens, null)
    // An engine that is closing may refuse to make keys: the line is lost, the server is not.
    this.#last = keys.then(
      found => before.then(() => this.#line(sequence, usage, found)),
      () => before,
    )
  }

  /** Ends when every line is written. */
  close(): Promise<void> {
    return this.#last
  }

  #line(sequence: Sequence, usage: TurnUsage, keys: readonly string[]): void {
    this.#write({
      t_ms: sequence.times.accepted - this.#startedAt,
      conversation: usage.conversation,
      tenant: sequence.tenant,
      input_tokens: usage.promptTokens,
      system_tokens: sequence.wishes.systemTokens,
      // Those that lie in the blocks: without the token that ended the answer.
      output_tokens: sequence.answerLength,
      block_hashes: keys.map(key => this.#hash(key)),
      reused: sumTiers(usage.reusedTokens),
      outside_view: usage.outsideViewTokens,
      ...this.#news(),
    })
  }

  #news(): Pick<RequestLogRecord, 'machine'> {
    const machine = this.#core.machine.record()
    if (machine === null || !hasChanged(this.#machine, machine)) return {}
    this.#machine = machine
    return { machine }
  }

  #hash(key: string): string {
    return createHmac('sha256', this.#salt).update(key, 'latin1').digest('hex').slice(0, 16)
  }
}
