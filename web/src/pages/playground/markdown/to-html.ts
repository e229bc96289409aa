// Blocks of Markdown as HTML. HTML in an answer is shown as the text that it is; images are links, since a picture from
// elsewhere would tell that host who reads. Everything is sanitised before it reaches the page.

import { Marked, Parser, type MarkedOptions, type Token, type Tokens } from 'marked'
import { highlighted } from './highlight.js'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? character)

/** The first word after the fence. */
const languageOf = (info: string | undefined) => /^[\w+#.-]{1,32}/.exec(info ?? '')?.[0] ?? ''

const marked = new Marked({
  gfm: true,
  // A line end is one, as in the question: poems and addresses keep their lines.
  breaks: true,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escaped(text),
    image({ href, text }: Tokens.Image) {
      return `<a href="${escaped(href)}">${escaped(text === '' ? href : text)}</a>`
    },
    code({ text, lang }: Tokens.Code) {
      const language = languageOf(lang)
      const html = highlighted(text, language) ?? escaped(text)
      const head = `<div class="code-head"><span>${language === '' ? 'code' : escaped(language)}</span><button type="button" class="button small">Copy</button></div>`
      return `<div class="code-block">${head}<pre tabindex="0"><code>${html}\n</code></pre></div>`
    },
    // The boxes of a list of tasks are shown, not used.
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
})

/** Those of the reader and of the writer are the same. */
export const MARKDOWN_OPTIONS: MarkedOptions = marked.defaults

/** Not sanitised yet. */
export function blockHtml(token: Token): string {
  const html = Parser.parse([token], MARKDOWN_OPTIONS)
  return token.type === 'table' ? `<div class="table" role="region" aria-label="Table" tabindex="0">${html}</div>` : html
}
