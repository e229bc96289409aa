// The house's rule for sentences: a concrete noun as the subject, an active verb, one claim a sentence, a number with its
// unit. This finds the worst breaches of it.

import { textsOf, type Text } from './texts.js'
import type { Finding, SourceFile } from './tree.js'

interface Pattern {
  readonly pattern: RegExp
  readonly instead: string
  /** A sentence that ends in a question mark may do it. */
  readonly inQuestions?: true
}

/** A text's beginning, or the end of the sentence, cell, list mark, heading, tag or quotation before. */
const START = String.raw`(?:(?<=^|[.!?;]["')*]*\s+|[|#>*-]\s+|\*\*|>|["'(])\s*)`

const PATTERNS: readonly Pattern[] = [
  {
    // "What if" and "what-if" are the name of a page.
    pattern: new RegExp(String.raw`${START}What(?!-|\s+if\b)\s+\w+`, 'g'),
    instead: 'a clause as the subject: name the thing ("The blocks that …")',
    inQuestions: true,
  },
  { pattern: /\b(whoever|nobody|somebody)\b/gi, instead: 'a subject without a name: say which client, request, sequence or page' },
  { pattern: /\bso (many|much)\b/gi, instead: 'a number without a number: name it, with its unit ("N tokens")' },
]

/** Most files have none of the words: they need no parsing. */
const ANY = /\bWhat\b|\b([Ww]hoever|[Nn]obody|[Ss]omebody|[Ss]o\s+(many|much))\b/

/** Documents that users read from beginning to end. */
const FOR_USERS = /^(README|CHANGELOG)\.md$|^docs\/(interface|glossary|README)\.md$/
/** Code whose string literals users may read. */
const SHIPPED = /^(ts|web\/src|benches|scripts)\/.*\.(ts|vue)$|^crates\/\w+\/src\/.*\.rs$|^benches\/native\/src\/.*\.rs$/
const TESTS = /\.test\.ts$|^web\/src\/testing\/|(^|\/)tests?\//
/** Sentences for a model to read, not for people. */
const TEST_DATA = /^ts\/evaluation\/needles\.ts$|^benches\/support\/prompts\.ts$/

const startsWithOneOf = (path: string, held: readonly string[]) =>
  held.some((prefix) => (prefix.endsWith('/') ? path.startsWith(prefix) : path === prefix))

/** `held`: documents, files and folders (with a slash at the end) whose every comment and sentence follows the rule. */
export function plainFindings(files: readonly SourceFile[], held: readonly string[]): Finding[] {
  return files.flatMap((file) => {
    const all = startsWithOneOf(file.path, held)
    const messages = SHIPPED.test(file.path) && !TESTS.test(file.path) && !TEST_DATA.test(file.path)
    if ((!all && !messages && !FOR_USERS.test(file.path)) || !ANY.test(file.text)) return []
    return textsOf(file)
      .filter(({ kind }) => (kind === 'comment' ? all : kind === 'prose' || messages))
      .flatMap((text) => findingsIn(file.path, text))
      .toSorted((a, b) => a.line - b.line)
  })
}

/** Entries of `held` that name nothing: a file that moved takes its entry along. */
export function unknownEntries(paths: readonly string[], held: readonly string[]): string[] {
  return held.filter((entry) => !paths.some((path) => startsWithOneOf(path, [entry])))
}

function findingsIn(path: string, { line, text }: Text): Finding[] {
  return PATTERNS.flatMap(({ pattern, instead, inQuestions }) =>
    [...text.matchAll(pattern)]
      .filter(({ index }) => !(inQuestions && /^[^.!?|]*\?/.test(text.slice(index))))
      .map(({ index, 0: found }) => ({
        path,
        line: line + text.slice(0, index + found.length - found.trimStart().length).split('\n').length - 1,
        message: `"${found.trim().replace(/\s+/g, ' ')}": ${instead}`,
      })),
  )
}
