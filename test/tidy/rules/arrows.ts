// The arrows of docs/architecture.md, "The house": nothing below knows what is above.

import { posix } from 'node:path'
import { importsOf } from './imports.js'
import type { Finding, SourceFile } from './tree.js'

/** Folder of ts/ → the other folders it may import. Folders that are not named (cli, and files beside) may import all. */
const TS_ARROWS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  config: ['protocol', 'engine'],
  engine: ['protocol'],
  placement: ['engine', 'protocol'],
  directory: ['placement', 'engine', 'protocol'],
  conversations: ['engine', 'protocol'],
  scheduler: ['service', 'directory', 'placement', 'conversations', 'engine', 'protocol'],
  service: ['scheduler', 'directory', 'placement', 'conversations', 'engine', 'protocol'],
  simulator: ['service', 'scheduler', 'directory', 'placement', 'engine', 'protocol'],
  evaluation: ['engine', 'protocol'],
  telemetry: ['service', 'engine', 'protocol'],
  auth: ['config', 'protocol'],
  api: ['auth', 'service', 'telemetry', 'config', 'engine', 'protocol'],
}

/** Crate → crates of this workspace that it may depend on. */
const CRATE_ARROWS: Readonly<Record<string, readonly string[]>> = {
  uring: [],
  cuda: [],
  kv: ['uring'],
  model: ['kv', 'cuda'],
  engine: ['model', 'kv', 'uring'],
  binding: ['engine', 'model', 'kv', 'uring', 'cuda'],
}

/** What the page may import besides its own files. */
const WEB_PACKAGES = /^(attentionstore\/protocol|vue|vue-router|reka-ui|@tanstack\/vue-virtual|uplot(\/.*)?|socket\.io-client|vite|@vitejs\/.*|node:.*)$/

function tsFinding(file: SourceFile, specifier: string, line: number): Finding[] {
  const from = /^ts\/(\w+)\//.exec(file.path)?.[1]
  const allowed = from === undefined ? undefined : TS_ARROWS[from]
  if (from === undefined || allowed === undefined || !specifier.startsWith('.')) return []
  const target = posix.join(posix.dirname(file.path), specifier)
  const to = /^ts\/(\w+)\//.exec(target)?.[1] ?? target
  if (to === from || to === 'native' || allowed.includes(to)) return []
  return [{ path: file.path, line, message: `${from}/ may import ${allowed.join(', ') || 'nothing'}; not ${to}` }]
}

function webFinding(file: SourceFile, specifier: string, line: number): Finding[] {
  const inside = specifier.startsWith('.') && posix.join(posix.dirname(file.path), specifier).startsWith('web/')
  if (inside || WEB_PACKAGES.test(specifier)) return []
  return [{ path: file.path, line, message: `web/ imports attentionstore/protocol only; not ${specifier}` }]
}

/** Imports of TypeScript and Vue files that go against an arrow. Tests may import what they test with. */
export function importArrowFindings(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => !path.endsWith('.test.ts'))
    .flatMap((file) =>
      importsOf(file).flatMap(({ specifier, line }) => {
        if (file.path.startsWith('ts/')) return tsFinding(file, specifier, line)
        return file.path.startsWith('web/') ? webFinding(file, specifier, line) : []
      }),
    )
}

/** Dependencies between crates that go against an arrow; `files` are their Cargo.toml. */
export function crateArrowFindings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const crate = /^crates\/(\w+)\/Cargo\.toml$/.exec(file.path)?.[1]
    if (crate === undefined) return []
    const allowed = CRATE_ARROWS[crate]
    if (!allowed) return [{ path: file.path, line: 0, message: `a new crate: say in ${ARROWS_HERE} what it may use` }]
    return file.text.split('\n').flatMap((text, index) => {
      const used = /^attentionstore-(\w+)\b/.exec(text)?.[1]
      if (used === undefined || allowed.includes(used)) return []
      const message = `${crate} may depend on ${allowed.join(', ') || 'no crate of ours'}; not ${used}`
      return [{ path: file.path, line: index + 1, message }]
    })
  })
}

const ARROWS_HERE = 'test/tidy/rules/arrows.ts'
