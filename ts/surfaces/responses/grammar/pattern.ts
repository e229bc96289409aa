// A grammar as one regular expression. That is possible where no rule comes back to itself, and such a grammar is held to
// inside of a JSON text, where the arguments of a call lie.

import { LarkError } from './errors.js'
import { readLark, type Alternatives, type Atom, type Grammar, type Item } from './lark.js'
import { COMMON_TERMINALS } from './terminals.js'

const START = 'start'
/** UTF-16 units of the expression: a rule is written out wherever it is named. */
const MOST_LENGTH = 65_536
/** Rules that name each other in a chain. */
const MOST_CHAIN = 128

/**
 * @returns a regular expression without anchors that matches what the grammar's rule `start` does.
 * @throws LarkError where the text is no grammar, or none that a regular expression can stand for.
 */
export function patternOf(lark: string): string {
  return new Writer(readLark(lark)).start()
}

class Writer {
  readonly #grammar: Grammar
  readonly #written = new Map<string, string>()
  /** Names whose texts are being written, outermost first. */
  readonly #open: string[] = []
  /** Between terminals; empty: nothing may stand there. */
  #between = ''

  constructor(grammar: Grammar) {
    this.#grammar = grammar
  }

  start(): string {
    const start = this.#grammar.definitions.get(START)
    if (start === undefined) throw new LarkError(1, `The grammar has no rule "${START}".`)
    const ignored = this.#grammar.ignored.map((body) => this.#alternatives(body, false))
    if (ignored.length > 0) this.#between = `(?:${joined(ignored, '|')})*`
    return joined([this.#between, this.#named(START, start.line)])
  }

  #named(name: string, line: number): string {
    const known = this.#written.get(name)
    if (known !== undefined) return known
    const definition = this.#grammar.definitions.get(name)
    if (definition === undefined) return this.#imported(name, line)
    if (this.#open.includes(name)) {
      throw new LarkError(definition.line, `"${name}" comes back to itself; the server holds inputs to grammars without recursion.`)
    }
    if (this.#open.length >= MOST_CHAIN) throw new LarkError(line, `Rules name each other in a chain of more than ${MOST_CHAIN}.`)
    this.#open.push(name)
    const isRule = !isTerminal(name)
    const text = this.#alternatives(definition.body, isRule)
    this.#open.pop()
    this.#written.set(name, text)
    return text
  }

  #imported(name: string, line: number): string {
    const imported = this.#grammar.imports.get(name)
    if (imported === undefined) throw new LarkError(line, `"${name}" is not defined.`)
    const pattern = COMMON_TERMINALS.get(imported)
    if (pattern === undefined) throw new LarkError(line, `The server does not know the terminal common.${imported}.`)
    return `(?:${pattern})`
  }

  #alternatives(body: Alternatives, inRule: boolean): string {
    const sequences = body.map((items) => joined(items.map((item) => this.#item(item, inRule))))
    return `(?:${joined(sequences, '|')})`
  }

  #item({ atom, count }: Item, inRule: boolean): string {
    const text = this.#atom(atom, inRule)
    return count === '' ? text : `(?:${text})${count}`
  }

  #atom(atom: Atom, inRule: boolean): string {
    if (atom.kind === 'group') return this.#alternatives(atom.inner, inRule)
    if (atom.kind === 'name') {
      const text = this.#named(atom.name, atom.line)
      return inRule && isTerminal(atom.name) ? joined([text, this.#between]) : text
    }
    const text = terminal(atom)
    return inRule ? joined([text, this.#between]) : text
  }
}

/** Lark tells them by their case. */
function isTerminal(name: string): boolean {
  return name === name.toUpperCase()
}

function terminal(atom: Exclude<Atom, { kind: 'group' | 'name' }>): string {
  switch (atom.kind) {
    case 'literal': {
      const text = escaped(atom.text)
      return atom.ignoresCase ? `(?i:${text})` : text
    }
    case 'range':
      return `[${escaped(atom.from)}-${escaped(atom.to)}]`
    case 'regex':
      return `(?${atom.flags}:${atom.source})`
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|\-&~#/]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`).replaceAll('\r', String.raw`\r`).replaceAll('\t', String.raw`\t`)
}

/** @throws LarkError before a text becomes longer than is allowed. */
function joined(parts: readonly string[], separator = ''): string {
  let length = 0
  for (const part of parts) length += part.length + separator.length
  if (length > MOST_LENGTH) throw new LarkError(1, `With its rules written out the grammar has more than ${MOST_LENGTH} characters.`)
  return parts.join(separator)
}
