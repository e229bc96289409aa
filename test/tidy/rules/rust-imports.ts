// The files of a Rust crate that a file names in its paths: `crate::`, `super::`, and modules declared in the file.

import type { SourceFile } from './tree.js'

/** Path of a file → paths of the files of the same crate that it uses. Declaring a module, or passing a name on, is no use. */
export function rustLinks(files: readonly SourceFile[]): Map<string, string[]> {
  const modules = new Map<string, Module>()
  for (const file of files) {
    const path = moduleOf(file.path)
    if (path) modules.set(path.join('::'), readModule(file, path))
  }
  return new Map([...modules.values()].map((module) => [module.file, linksOf(module, modules)]))
}

interface Module {
  readonly file: string
  /** The paths that the file names, from the crate's root. */
  readonly uses: ReadonlyArray<readonly string[]>
  /** The place of each name that it passes on. */
  readonly exports: ReadonlyMap<string, readonly string[]>
}

/** `crates/engine/src/wire/words.rs` → engine, wire, words. */
function moduleOf(path: string): string[] | null {
  const found = /^(?:crates|benches)\/([^/]+)\/src\/(.+)\.rs$/.exec(path)
  if (!found) return null
  const [, crate = '', inside = ''] = found
  return [crate, ...inside.split('/').filter((part, at, all) => !(at === all.length - 1 && /^(lib|main|mod)$/.test(part)))]
}

function readModule({ path, text }: SourceFile, own: readonly string[]): Module {
  const code = withoutTests(withoutComments(text))
  const children = new Set([...code.matchAll(/^\s*(?:pub(?:\([^)]*\))? )?mod (\w+);/gm)].map(([, name]) => name ?? ''))
  const from = (named: readonly string[][]): string[][] => named.flatMap((name) => absolute(name, own, children) ?? [])
  const passedOn = from(usePaths(code, /^pub(?:\([^)]*\))? use ([^;]+);/gm))
  return {
    file: path,
    uses: from([...usePaths(code, /^use ([^;]+);/gm), ...inlinePaths(code)]),
    exports: new Map(passedOn.map((place) => [place.at(-1) ?? '', place])),
  }
}

function linksOf({ file, uses }: Module, modules: ReadonlyMap<string, Module>): string[] {
  const targets = uses.flatMap((path) => fileOf(path, modules) ?? [])
  return [...new Set(targets)].filter((path) => path !== file)
}

/** The file of the deepest module that the path passes through; where that passes the name on, the file it has it from. */
function fileOf(path: readonly string[], modules: ReadonlyMap<string, Module>, steps = 8): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const found = modules.get(path.slice(0, length).join('::'))
    if (!found) continue
    const place = found.exports.get(path[length] ?? '')
    return place && steps > 0 ? fileOf(place, modules, steps - 1) : found.file
  }
  return undefined
}

function absolute(path: readonly string[], own: readonly string[], children: ReadonlySet<string>): string[][] | null {
  const [first = '', ...rest] = path
  if (first === 'crate') return [[own[0] ?? '', ...rest]]
  if (first === 'self') return [[...own, ...rest]]
  if (first === 'super') return [climbed(path, own)]
  return children.has(first) ? [[...own, ...path]] : null
}

function climbed(path: readonly string[], own: readonly string[]): string[] {
  const levels = path.findIndex((part) => part !== 'super')
  const up = levels === -1 ? path.length : levels
  return [...own.slice(0, own.length - up), ...path.slice(up)]
}

function usePaths(text: string, statement: RegExp): string[][] {
  return [...text.matchAll(statement)].flatMap(([, tree]) => branches((tree ?? '').replaceAll(/\s+/g, ' ')))
}

/** `a::{b, c::{d, e}}` → a b, a c d, a c e. */
function branches(tree: string): string[][] {
  const open = tree.indexOf('{')
  if (open === -1) return [tree.replace(/ as \w+$/, '').trim().split('::')]
  const before = tree.slice(0, open).split('::').map((part) => part.trim()).filter(Boolean)
  return parts(tree.slice(open + 1, tree.lastIndexOf('}'))).flatMap((part) => branches(part).map((rest) => [...before, ...rest]))
}

/** Split at commas outside braces. */
function parts(list: string): string[] {
  const found: string[] = ['']
  let depth = 0
  for (const letter of list) {
    if (letter === '{') depth++
    if (letter === '}') depth--
    if (letter === ',' && depth === 0) found.push('')
    else found[found.length - 1] += letter
  }
  return found.map((part) => part.trim()).filter(Boolean)
}

function inlinePaths(text: string): string[][] {
  const body = text.replaceAll(/^(?:pub(?:\([^)]*\))? )?use [^;]+;/gm, '')
  return [...body.matchAll(/\b(?:crate|super)(?:::\w+)+/g)].map(([path]) => path.split('::'))
}

/** Tests of a file stand at its end. */
function withoutTests(text: string): string {
  return text.replace(/^#\[cfg\((?:all\()?test\b[^\n]*\]\nmod \w+ \{[^]*/m, '')
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\/.*$/gm, '')
}
