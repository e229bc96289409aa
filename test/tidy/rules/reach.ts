// Dead files: what no entry point leads to.

import { posix } from 'node:path'
import { importsOf } from './imports.js'
import type { Finding, SourceFile } from './tree.js'

type Files = ReadonlyMap<string, SourceFile>
type Links = (file: SourceFile, files: Files) => string[]

/** Files that no entry reaches. `links` names what a file leads to; unknown paths are ignored. */
function unreached(files: Files, entries: readonly string[], links: Links): Finding[] {
  const seen = new Set(entries)
  const queue = [...entries]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const file = files.get(path)
    const next = file ? links(file, files).filter((target) => !seen.has(target)) : []
    for (const target of next) seen.add(target)
    queue.push(...next)
  }
  return [...files.keys()]
    .filter((path) => !seen.has(path))
    .map((path) => ({ path, line: 0, message: 'a dead file: nothing leads here; use it or remove it' }))
}

const TS_ENTRY =
  /\.test\.ts$|\.config\.(js|ts)$|^ts\/(index|protocol\/index)\.ts$|^ts\/bin\/|^scripts\/[^/]+\.ts$|^benches\/run\.ts$|^test\/clients\/run\.ts$|^web\/src\/main\.ts$|\.d\.ts$/

/** Import specifiers name build outputs (`.js`); the sources have other endings. */
function resolveImport(from: string, specifier: string, files: Files): string[] {
  if (!specifier.startsWith('.')) return []
  const target = posix.join(posix.dirname(from), specifier).replace(/^ts\/dist\//, 'ts/')
  const candidates = [target, target.replace(/\.js$/, '.ts'), `${target}.ts`, posix.join(target, 'index.ts')]
  return candidates.filter((path) => files.has(path))
}

/** Dead TypeScript, JavaScript and Vue files. */
export function deadScripts(sources: readonly SourceFile[]): Finding[] {
  const files = new Map(sources.map((file) => [file.path, file]))
  const entries = [...files.keys()].filter((path) => TS_ENTRY.test(path))
  return unreached(files, entries, (file, all) => importsOf(file).flatMap(({ specifier }) => resolveImport(file.path, specifier, all)))
}

const RUST_ENTRY = /^crates\/\w+\/(build\.rs|src\/(lib|main)\.rs|src\/bin\/\w+\.rs|(tests|benches|examples)\/(\w+|\w+\/main)\.rs)$/
const MOD = /^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;/gm
const PATH_ATTRIBUTE = /#\[path\s*=\s*"([^"]+)"\]/g

/** Folder in which the modules that a Rust file declares lie. */
function moduleFolder(path: string): string {
  const folder = posix.dirname(path)
  const name = posix.basename(path, '.rs')
  return RUST_ENTRY.test(path) || name === 'mod' ? folder : posix.join(folder, name)
}

function declaredModules(file: SourceFile, files: Files): string[] {
  const folder = moduleFolder(file.path)
  const named = [...file.text.matchAll(MOD)].flatMap((match) => {
    const name = match[1] ?? ''
    return [posix.join(folder, `${name}.rs`), posix.join(folder, name, 'mod.rs')]
  })
  const attributed = [...file.text.matchAll(PATH_ATTRIBUTE)].map((match) =>
    posix.join(posix.dirname(file.path), match[1] ?? ''),
  )
  return [...named, ...attributed].filter((path) => files.has(path))
}

/** Dead Rust files. */
export function deadRust(sources: readonly SourceFile[]): Finding[] {
  const files = new Map(sources.map((file) => [file.path, file]))
  return unreached(files, [...files.keys()].filter((path) => RUST_ENTRY.test(path)), declaredModules)
}
