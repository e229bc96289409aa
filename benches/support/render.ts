// A report as Markdown: the same on the terminal and in the README.

import type { Report, Table } from './bench.js'

export function renderTable({ title, columns, rows }: Table): string {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)))
  const line = (cells: readonly string[]) => `| ${widths.map((width, index) => (cells[index] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [`${title}:`, '', line(columns), rule, ...rows.map(line)].join('\n')
}

export function renderReport({ tables, notes }: Report): string {
  return [...tables.map(renderTable), notes.map((note) => `- ${note}`).join('\n')].filter(Boolean).join('\n\n')
}
