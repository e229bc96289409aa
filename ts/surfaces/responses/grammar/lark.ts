// A grammar in Lark's notation, read: its rules and terminals by name.

import { LarkError } from './errors.js'
import { tokensOf, type Token } from './lexer.js'

export type Atom =
  | { readonly kind: 'literal'; readonly text: string; readonly ignoresCase: boolean }
  | { readonly kind: 'regex'; readonly source: string; readonly flags: string }
  | { readonly kind: 'range'; readonly from: string; readonly to: string }
  | { readonly kind: 'name'; readonly name: string; readonly line: number }
  | { readonly kind: 'group'; readonly inner: Alternatives }

export interface Item {
  readonly atom: Atom
  /** As a regular expression writes it: ``, `?`, `*`, `+` or `{2,4}`. */
  readonly count: string
}

/** Sequences of items, any one of which may stand. */
export type Alternatives = ReadonlyArray<readonly Item[]>

export interface Definition {
  readonly body: Alternatives
  readonly line: number
}

export interface Grammar {
  readonly definitions: ReadonlyMap<string, Definition>
  /** Names of terminals of Lark's library, by the name that the grammar gives them. */
  readonly imports: ReadonlyMap<string, string>
  /** Texts that may stand between any two terminals. */
  readonly ignored: readonly Alternatives[]
}

/** Groups inside each other. */
const MOST_DEPTH = 64
const FLAGS = /^[imsx]*$/
const LIBRARY = 'common'

/** @throws LarkError. */
export function readLark(text: string): Grammar {
  return new Reader(tokensOf(text)).grammar()
}

class Reader {
  readonly #tokens: readonly Token[]
  readonly #definitions = new Map<string, Definition>()
  readonly #imports = new Map<string, string>()
  readonly #ignored: Alternatives[] = []
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  grammar(): Grammar {
    for (this.#skipLines(); this.#next.kind !== 'end'; this.#skipLines()) this.#statement()
    return { definitions: this.#definitions, imports: this.#imports, ignored: this.#ignored }
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token
  }

  #take(): Token {
    const token = this.#next
    if (token.kind !== 'end') this.#at++
    return token
  }

  #isMark(text: string): boolean {
    return this.#next.kind === 'mark' && this.#next.text === text
  }

  /** Takes the mark if it is the next token. */
  #mark(text: string): boolean {
    const isNext = this.#isMark(text)
    if (isNext) this.#at++
    return isNext
  }

  #expect(text: string): void {
    if (!this.#mark(text)) throw this.#surprise(`"${text}"`)
  }

  #name(): Token {
    return this.#next.kind === 'name' ? this.#take() : this.#throw('a name')
  }

  #throw(expected: string): never {
    throw this.#surprise(expected)
  }

  #surprise(expected: string): LarkError {
    const { kind, text, line } = this.#next
    const found = kind === 'end' || kind === 'newline' ? `the ${kind === 'end' ? 'grammar' : 'line'} ends` : `${JSON.stringify(text)} stands`
    return new LarkError(line, `Where ${expected} is expected, ${found}.`)
  }

  #skipLines(): void {
    while (this.#next.kind === 'newline') this.#at++
  }

  #statement(): void {
    if (this.#next.kind === 'directive') return this.#directive()
    // Marks that shape the tree which Lark builds; the texts stay the same.
    while (this.#mark('?') || this.#mark('!')) continue
    const { text: name, line } = this.#name()
    if (this.#mark('.')) this.#number()
    this.#expect(':')
    if (this.#definitions.has(name)) throw new LarkError(line, `"${name}" is defined twice.`)
    this.#definitions.set(name, { body: this.#alternatives(0), line })
    this.#endOfLine()
  }

  #endOfLine(): void {
    if (this.#next.kind !== 'newline' && this.#next.kind !== 'end') this.#throw('the end of the line')
  }

  #directive(): void {
    const { text, line } = this.#take()
    if (text === '%ignore') this.#ignored.push(this.#alternatives(0))
    else if (text === '%import') this.#import()
    else throw new LarkError(line, `The server does not support ${text}.`)
    this.#endOfLine()
  }

  #import(): void {
    const { text: library, line } = this.#name()
    if (library !== LIBRARY) throw new LarkError(line, `Terminals are imported from "${LIBRARY}" only.`)
    if (this.#mark('.')) {
      const { text: name } = this.#name()
      this.#imports.set(this.#mark('->') ? this.#name().text : name, name)
      return
    }
    this.#expect('(')
    do {
      const { text: name } = this.#name()
      this.#imports.set(name, name)
    } while (this.#mark(','))
    this.#expect(')')
  }

  #alternatives(depth: number): Alternatives {
    if (depth > MOST_DEPTH) throw new LarkError(this.#next.line, `Groups lie inside each other more than ${MOST_DEPTH} deep.`)
    const sequences = [this.#sequence(depth)]
    while (this.#bar(depth > 0)) sequences.push(this.#sequence(depth))
    return sequences
  }

  /** An alternative may begin the next line; inside of a group lines do not count. */
  #bar(isInside: boolean): boolean {
    const before = this.#at
    this.#skipLines()
    if (this.#mark('|')) return true
    if (!isInside) this.#at = before
    return false
  }

  #sequence(depth: number): Item[] {
    const items: Item[] = []
    for (;;) {
      if (depth > 0) this.#skipLines()
      const atom = this.#atom(depth)
      if (atom === null) break
      items.push(atom.isOptional ? { atom: atom.atom, count: '?' } : { atom: atom.atom, count: this.#count() })
    }
    // The name of a branch of the tree.
    if (this.#mark('->')) this.#name()
    return items
  }

  /** null: none begins here. */
  #atom(depth: number): { readonly atom: Atom; readonly isOptional?: boolean } | null {
    const { kind, text, line } = this.#next
    if (kind === 'mark' && (text === '(' || text === '[')) {
      this.#at++
      const inner = this.#alternatives(depth + 1)
      this.#skipLines()
      this.#expect(text === '(' ? ')' : ']')
      return { atom: { kind: 'group', inner }, isOptional: text === '[' }
    }
    if (kind === 'name') return { atom: { kind: 'name', name: this.#take().text, line } }
    if (kind === 'regex') return { atom: regexAtom(this.#take()) }
    if (kind !== 'string') return null
    const { text: from, ignoresCase } = stringOf(this.#take())
    if (!this.#mark('..')) return { atom: { kind: 'literal', text: from, ignoresCase } }
    if (this.#next.kind !== 'string') this.#throw('a text')
    const { text: to } = stringOf(this.#take())
    if ([...from].length === 1 && [...to].length === 1 && from <= to) return { atom: { kind: 'range', from, to } }
    throw new LarkError(line, 'A range goes from one character to a later one.')
  }

  #count(): string {
    for (const mark of ['?', '*', '+']) if (this.#mark(mark)) return mark
    if (!this.#mark('~')) return ''
    const least = this.#number()
    return this.#mark('..') ? `{${least},${this.#number()}}` : `{${least}}`
  }

  #number(): number {
    return this.#next.kind === 'number' ? Number(this.#take().text) : this.#throw('a number')
  }
}

function regexAtom({ text, line }: Token): Atom {
  const end = text.lastIndexOf('/')
  const flags = text.slice(end + 1).replaceAll('u', '')
  if (!FLAGS.test(flags)) throw new LarkError(line, `A regular expression has the flags i, m, s, u and x only, not ${JSON.stringify(flags)}.`)
  return { kind: 'regex', source: text.slice(1, end).replaceAll('\\/', '/'), flags }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', b: '\b', '0': '\0' }

function stringOf({ text, line }: Token): { readonly text: string; readonly ignoresCase: boolean } {
  const ignoresCase = text.endsWith('i')
  const inside = text.slice(1, ignoresCase ? -2 : -1)
  const read = inside.replaceAll(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gs, (_, x?: string, u?: string, long?: string, one?: string) => {
    if (one !== undefined) return ESCAPES[one] ?? one
    const code = Number.parseInt(x ?? u ?? long ?? '', 16)
    if (code > 0x10ffff) throw new LarkError(line, `There is no character of the number ${code}.`)
    return String.fromCodePoint(code)
  })
  return { text: read, ignoresCase }
}
