// Placeholders of a corpus, in place of the words that it leaves out: no person says them, so they are told apart.

import type { EngineText } from '../engine/types.js'

/** WikiText's, for every rare word. */
export const PLACEHOLDER = '<unk>'

/** Whether each token is a part of a placeholder, however the tokenizer cuts it. */
export function partsOfPlaceholders(tokens: Uint32Array, text: Pick<EngineText, 'tokenBytes'>): boolean[] {
  const pieces = Array.from(tokens, token => Buffer.from(text.tokenBytes(token)).toString('latin1'))
  const whole = pieces.join('')
  let next = whole.indexOf(PLACEHOLDER)
  let end = 0
  return pieces.map(piece => {
    const begin = end
    end += piece.length
    while (next >= 0 && next + PLACEHOLDER.length <= begin) next = whole.indexOf(PLACEHOLDER, next + PLACEHOLDER.length)
    return next >= 0 && next < end
  })
}
