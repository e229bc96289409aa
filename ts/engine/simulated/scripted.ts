// Answers that tests write themselves, in the simulated engine's own form (output.ts).

import type { SequenceSpec } from '../types.js'
import type { Recorded } from './options.js'
import { encodeText, TURN_END } from './vocabulary.js'

/** The engine's answers are the texts that `answer` gives; undefined: it samples one. */
export function scripted(answer: (spec: SequenceSpec) => string | undefined): Recorded {
  const scripts = new WeakMap<SequenceSpec, readonly number[] | null>()
  return (spec, index) => {
    let script = scripts.get(spec)
    if (script === undefined) {
      const text = answer(spec)
      script = text === undefined ? null : [...encodeText(text), TURN_END]
      scripts.set(spec, script)
    }
    return script?.[index - spec.tokens.length]
  }
}
