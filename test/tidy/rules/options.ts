// docs/interface.md against the command line: nothing undocumented, nothing promised, nothing early.

import type { Finding } from './tree.js'

const DOCUMENT = 'docs/interface.md'

interface Documented {
  /** Options named in the first column of the table: they must exist. */
  readonly promised: ReadonlySet<string>
  /** Options marked †: they must not exist yet. */
  readonly later: ReadonlySet<string>
  /** Every option that the section names. */
  readonly named: ReadonlySet<string>
}

/** `--flag`s in text, each with whether its code span is followed by †. */
function* flagsOf(text: string): Generator<readonly [flag: string, later: boolean]> {
  for (const [, span = '', dagger] of text.matchAll(/`([^`]+)`(†?)/g)) {
    for (const [flag] of span.matchAll(/--[a-z][a-z-]*/g)) yield [flag, dagger === '†']
  }
}

export function documentedOptions(markdown: string): Documented {
  const section = /\n## Command line\n([\s\S]*?)(\n## |$)/.exec(markdown)?.[1] ?? ''
  const firstColumns = section
    .split('\n')
    .filter((line) => line.startsWith('| `--'))
    .map((line) => line.slice(1, line.search(/[^\\]\|(?=.*\|$)/) + 1))
    .join('\n')
  const columns = [...flagsOf(firstColumns)]
  return {
    promised: new Set(columns.filter(([, later]) => !later).map(([flag]) => flag)),
    later: new Set([...flagsOf(section)].filter(([, later]) => later).map(([flag]) => flag)),
    named: new Set([...flagsOf(section)].map(([flag]) => flag)),
  }
}

/** `help`: what `attentionstore serve --help` prints. */
export function optionFindings(markdown: string, help: string): Finding[] {
  const { promised, later, named } = documentedOptions(markdown)
  const accepted = new Set([...help.matchAll(/^\s+(?:-\w, )?(--[a-z][a-z-]*)/gm)].map(([, flag = '']) => flag))
  accepted.delete('--help')
  const finding = (message: string): Finding => ({ path: DOCUMENT, line: 0, message })
  return [
    ...[...promised].filter((flag) => !accepted.has(flag)).map((flag) => finding(`${flag} is documented, but serve does not know it`)),
    ...[...accepted].filter((flag) => !named.has(flag)).map((flag) => finding(`${flag} is accepted, but not documented`)),
    ...[...later].filter((flag) => accepted.has(flag)).map((flag) => finding(`${flag} is accepted, but marked † as not there yet`)),
  ]
}
