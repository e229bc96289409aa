// Import specifiers of a TypeScript, JavaScript or Vue file.

import type { SourceFile } from './tree.js'

export interface Import {
  readonly specifier: string
  readonly line: number
}

// `from '…'`, `import '…'`, `import('…')`; the statement may span lines, the specifier never does.
const IMPORT = /\b(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g

export function importsOf(file: SourceFile): Import[] {
  return [...file.text.matchAll(IMPORT)].map((match) => ({
    specifier: match[2] ?? '',
    line: file.text.slice(0, match.index).split('\n').length,
  }))
}
