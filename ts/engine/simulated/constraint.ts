// Constraints of the simulated engine: choices, token by token. It has no parser of grammars, and says so.

import { EngineError } from '../../protocol/errors.js'
import type { CompiledConstraint, ConstraintSource } from '../types.js'
import { encodeText, TURN_END } from './vocabulary.js'

export class SimulatedConstraint implements CompiledConstraint {
  readonly kind: CompiledConstraint['kind']
  /** Token ids of each choice; null: answers are a recording's, and are taken as they are. */
  readonly #choices: ReadonlyArray<readonly number[]> | null

  private constructor(kind: CompiledConstraint['kind'], choices: ReadonlyArray<readonly number[]> | null) {
    this.kind = kind
    this.#choices = choices
  }

  /** @param isRecorded The engine's answers come from a recording: it holds them to nothing. */
  static of(source: ConstraintSource, isRecorded: boolean): SimulatedConstraint {
    if (isRecorded) return new SimulatedConstraint(source.kind, null)
    if (source.kind === 'calls') return new SimulatedConstraint('calls', source.choice === 'auto' ? null : callsOf(source).map(encodeText))
    if (source.kind === 'choice') return new SimulatedConstraint('choice', source.choices.map(encodeText))
    throw new EngineError('grammar_unsupported', `The simulated engine holds answers to a choice; ${source.kind} is not supported.`, { kind: source.kind })
  }

  /** The tokens that may follow `answer`, end tokens included; null: any. */
  allowed(answer: readonly number[]): number[] | null {
    if (this.#choices === null) return null
    const begun = this.#choices.filter(choice => answer.every((token, at) => choice[at] === token))
    return [...new Set(begun.map(choice => choice[answer.length] ?? TURN_END))]
  }
}

/** A call of each tool that may be called, in the engine's own form, without arguments. */
function callsOf({ tools, choice }: Extract<ConstraintSource, { kind: 'calls' }>): string[] {
  const chosen = typeof choice === 'string' ? tools : tools.filter(({ name }) => name === choice.name)
  return chosen.map(({ name }) => `<tool_call>${name}{}</tool_call>`)
}

/** The constraint of a sequence of this engine. */
export function simulatedConstraint(constraint: CompiledConstraint | undefined): SimulatedConstraint | null {
  if (constraint === undefined) return null
  if (constraint instanceof SimulatedConstraint) return constraint
  throw new EngineError('protocol', 'the constraint was compiled by another engine')
}
