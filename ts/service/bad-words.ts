// Words that an answer must not contain, as the tokens that a model would write them with.

import type { EngineText } from '../engine/types.js'

/** Tokens of each word as it begins a text, and as it stands behind a space; each list of tokens once. */
export async function badWordTokens(text: Pick<EngineText, 'tokenize'>, words: readonly string[]): Promise<number[][]> {
  const forms = new Set(words.flatMap(formsOf))
  const tokenised = await Promise.all([...forms].map(async form => [...(await text.tokenize(form, false))]))
  const lists = new Map(tokenised.map(tokens => [tokens.join(), tokens]))
  return [...lists.values()].filter(tokens => tokens.length > 0)
}

function formsOf(word: string): string[] {
  const bare = word.trimStart()
  return bare === '' ? [word] : [bare, ` ${bare}`]
}
