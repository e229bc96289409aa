// Constraints as the addon compiles them.

import type { CompiledConstraint, ConstraintSource } from '../types.js'
import { EngineError } from '../../protocol/errors.js'
import type { BindingConstraint } from './addon.generated.js'

export class NativeConstraint implements CompiledConstraint {
  constructor(
    readonly kind: CompiledConstraint['kind'],
    readonly binding: BindingConstraint,
  ) {}
}

/** What the addon made of a constraint. */
export function bindingOf(constraint: CompiledConstraint | undefined): BindingConstraint | undefined {
  if (constraint === undefined) return undefined
  if (constraint instanceof NativeConstraint) return constraint.binding
  throw new EngineError('protocol', 'the constraint was compiled by another engine')
}

/** The texts that the addon compiles for a source. */
export function textsOf(source: ConstraintSource): string[] {
  switch (source.kind) {
    case 'json_object':
      return []
    case 'json_schema':
      return [JSON.stringify(source.schema)]
    case 'regex':
      return [source.pattern]
    case 'choice':
      return [...source.choices]
    case 'grammar':
      return [source.grammar]
    case 'calls':
      return [JSON.stringify({ tools: source.tools, choice: source.choice, parallel: source.parallel })]
  }
}
