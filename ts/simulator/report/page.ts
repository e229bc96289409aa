// A report as one HTML page that needs nothing else: no script, no style sheet, no picture from elsewhere.

import { escaped } from './escape.js'

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
svg{width:100%;height:auto;font-size:12px}table{border-collapse:collapse;width:100%}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}`

export interface Section {
  readonly title: string
  /** HTML. */
  readonly body: string
}

/** `name` and `about` are text. */
export function page(name: string, about: string, sections: readonly Section[]): string {
  const parts = sections.map(({ title, body }) => `<h2>${escaped(title)}</h2>\n${body}`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(name)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(name)}</h1>
<p>${escaped(about)}</p>
${parts.join('\n')}
</body></html>
`
}

/** Cells are text. */
export function table(heading: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const row = (cells: readonly string[], tag: 'th' | 'td'): string => `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<table>${row(heading, 'th')}${rows.map((cells) => row(cells, 'td')).join('\n')}</table>`
}
