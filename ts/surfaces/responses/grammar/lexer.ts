// A grammar in Lark's notation, cut into tokens.

import { LarkError } from './errors.js'

export type TokenKind = 'name' | 'string' | 'regex' | 'number' | 'directive' | 'mark' | 'newline' | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly line: number
}

/** In the order in which they are tried; null: it is left out. */
const FORMS: ReadonlyArray<readonly [TokenKind | null, RegExp]> = [
  ['newline', /\r?\n/y],
  [null, /[ \t]+/y],
  [null, /(?:\/\/|#)[^\n]*/y],
  ['regex', /\/(?:\\.|[^/\\\n])+\/[a-z]*/y],
  ['string', /"(?:\\.|[^"\\\n])*"i?/y],
  ['directive', /%[a-z_]+/y],
  ['name', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['number', /[0-9]+/y],
  ['mark', /->|\.\.|[:|()[\]?*+~.,!]/y],
]

/** @throws LarkError at text that belongs to no token. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  for (let at = 0; at < text.length; ) {
    const [kind, found] = formAt(text, at, line)
    if (kind !== null) tokens.push({ kind, text: found, line })
    if (kind === 'newline') line++
    at += found.length
  }
  tokens.push({ kind: 'end', text: '', line })
  return tokens
}

function formAt(text: string, at: number, line: number): readonly [TokenKind | null, string] {
  for (const [kind, form] of FORMS) {
    form.lastIndex = at
    const found = form.exec(text)?.[0]
    if (found !== undefined) return [kind, found]
  }
  throw new LarkError(line, `The server does not know what ${JSON.stringify(text.slice(at, at + 20))} means here.`)
}
