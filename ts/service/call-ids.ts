// Ids of the calls that answers make. The model writes none, or one that its template wants to see again.

import { randomInt } from 'node:crypto'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function random(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/**
 * Makes the ids of an answer's calls. Mistral's templates refuse other ids than nine letters and digits; Kimi's id is
 * the tool with the number of the call in the conversation.
 * @param format As `EngineInfo.outputFormat` names it.
 * @param earlier Calls that the conversation's messages have made before.
 */
export function callIds(format: string, earlier: number): (name: string) => string {
  if (format === 'mistral') return () => random(9)
  if (format !== 'kimi') return () => `call_${random(24)}`
  let next = earlier
  return name => `functions.${name}:${next++}`
}
