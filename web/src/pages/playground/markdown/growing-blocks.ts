// Markdown that grows at its end, as blocks of HTML. Blocks that can change no more are neither read nor drawn again, so
// that an answer costs what its text costs, however many pieces it comes in.

import { Lexer, type MarkedOptions, type Token } from 'marked'

type Links = Lexer['tokens']['links']

export class GrowingBlocks {
  #text = ''
  /** Characters of the text that can change no more, and their blocks. */
  #settledChars = 0
  #settled: string[] = []
  #links: Links = {}
  #isWhole = false
  #shown: readonly string[] = []

  /** @param render HTML of one block. */
  constructor(
    private readonly options: MarkedOptions,
    private readonly render: (token: Token) => string,
  ) {}

  /** @param isWhole No more comes: the text is read once as a whole, for links that are defined below their use. */
  update(text: string, isWhole: boolean): readonly string[] {
    const clean = text.replaceAll(/\r\n|\r/g, '\n')
    if (clean === this.#text && isWhole === this.#isWhole) return this.#shown
    if (isWhole || !clean.startsWith(this.#text)) this.#restart()
    this.#text = clean
    this.#isWhole = isWhole
    const lexer = new Lexer(this.options)
    lexer.tokens.links = this.#links
    const tokens = lexer.lex(clean.slice(this.#settledChars))
    if (isWhole) return (this.#shown = this.#htmlOf(tokens))
    const open = firstOpen(tokens)
    this.#settled.push(...this.#htmlOf(tokens.slice(0, open)))
    this.#settledChars += tokens.slice(0, open).reduce((chars, { raw }) => chars + raw.length, 0)
    this.#links = lexer.tokens.links
    return (this.#shown = [...this.#settled, ...this.#htmlOf(tokens.slice(open))])
  }

  #htmlOf(tokens: readonly Token[]): string[] {
    return tokens.filter(({ type }) => type !== 'space' && type !== 'def').map((token) => this.render(token))
  }

  #restart(): void {
    this.#settled = []
    this.#settledChars = 0
    this.#links = {}
  }
}

/**
 * The first block that further text may change: the last one, and the one before it until the last has a whole line, which
 * says what it is (`2` after a list is a paragraph, `2. b` goes on with the list).
 */
function firstOpen(tokens: readonly Token[]): number {
  const blocks = tokens.flatMap(({ type }, index) => (type === 'space' ? [] : [index]))
  const last = blocks.at(-1) ?? 0
  return tokens[last]?.raw.includes('\n') ? last : (blocks.at(-2) ?? 0)
}
