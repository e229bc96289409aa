// Import circles: files of which each leads back to itself. Imports of types count, because a reader follows them too.

import { posix } from 'node:path'
import { importsOf } from './imports.js'
import { rustLinks } from './rust-imports.js'
import type { Finding, SourceFile } from './tree.js'

/** Each file that lies on a circle, with a shortest way back to it. */
export function circleFindings(files: readonly SourceFile[]): Finding[] {
  return findings(new Map(files.map((file) => [file.path, linksOf(file)])))
}

/** The same of Rust files, each crate for itself. */
export function rustCircleFindings(files: readonly SourceFile[]): Finding[] {
  return findings(rustLinks(files))
}

function findings(links: ReadonlyMap<string, readonly string[]>): Finding[] {
  return [...links.keys()].flatMap((path) => {
    const way = wayBack(path, links)
    return way ? [{ path, line: 0, message: `an import circle: ${way.join(' → ')}` }] : []
  })
}

/** Paths that the file imports. Specifiers name outputs (`.js`), the sources have another ending. */
function linksOf(file: SourceFile): string[] {
  const own = importsOf(file).filter(({ specifier }) => specifier.startsWith('.'))
  return own.map(({ specifier }) => posix.join(posix.dirname(file.path), specifier).replace(/\.js$/, '.ts'))
}

function wayBack(start: string, links: ReadonlyMap<string, readonly string[]>): string[] | null {
  const cameFrom = new Map<string, string>()
  const queue = [start]
  for (const path of queue) {
    for (const target of links.get(path) ?? []) {
      if (target === start) return wayTo(path, cameFrom, [start])
      if (cameFrom.has(target)) continue
      cameFrom.set(target, path)
      queue.push(target)
    }
  }
  return null
}

function wayTo(path: string, cameFrom: ReadonlyMap<string, string>, rest: readonly string[]): string[] {
  const before = cameFrom.get(path)
  return before === undefined ? [path, ...rest] : wayTo(before, cameFrom, [path, ...rest])
}
