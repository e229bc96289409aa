// The arrows of docs/architecture.md, "The house": nothing below knows what is above.

import { posix } from 'node:path'
import { importsOf } from './imports.js'
import type { Finding, SourceFile } from './tree.js'

/**
 * Folder of ts/ → the other folders it may import. Those of ts/scheduler are told by room; `scheduler` stands for all of
 * them. Each folder of ts/surfaces is a surface: it may import what all of them share, and nothing of another. Folders that are not named (cli, and files beside) may import all.
 */
const TS_ARROWS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  config: ['protocol', 'engine'],
  engine: ['protocol'],
  placement: ['engine', 'protocol'],
  directory: ['placement', 'engine', 'protocol'],
  conversations: ['engine', 'protocol'],
  'scheduler/costs': ['engine', 'protocol'],
  'scheduler/accounts': ['scheduler/costs', 'directory', 'placement', 'engine', 'protocol'],
  'scheduler/core': ['scheduler/accounts', 'scheduler/costs', 'conversations', 'directory', 'placement', 'engine', 'protocol'],
  'scheduler/sequence': ['scheduler/core', 'scheduler/accounts', 'conversations', 'directory', 'placement', 'engine', 'protocol'],
  'scheduler/moves': ['scheduler/sequence', 'scheduler/core', 'scheduler/accounts', 'scheduler/costs', 'directory', 'placement', 'engine', 'protocol'],
  'scheduler/loop': ['scheduler', 'directory', 'engine', 'protocol'],
  service: ['scheduler', 'directory', 'conversations', 'placement', 'engine', 'protocol'],
  simulator: ['service', 'scheduler/core', 'scheduler/costs', 'directory', 'placement', 'engine', 'protocol'],
  evaluation: ['engine', 'protocol'],
  telemetry: ['service', 'scheduler/core', 'engine', 'protocol'],
  auth: ['config', 'protocol'],
  surfaces: ['service', 'engine', 'protocol'],
  api: ['surfaces', 'auth', 'service', 'telemetry', 'config', 'engine', 'protocol'],
}

/** The contract between the API and the service: what it imports holds types, or belongs to the protocol. */
const CONTRACT = 'ts/service/types.ts'
const CONTRACT_MAY = new Set(['ts/engine/types.ts', 'ts/placement/retention.ts', 'ts/conversations/query.ts', 'ts/protocol/index.ts'])
/** Of the service these folders see the contract alone. */
const SEES_CONTRACT_ONLY = new Set(['api', 'surfaces', 'telemetry'])

/** The published types: it may import the bodies of surfaces, which lie with the surfaces. */
const PUBLISHED = 'ts/protocol/index.ts'
const SURFACE_BODIES = /^ts\/surfaces\/[\w-]+\/schemas\//

/** Crate → crates of this workspace that it may depend on. */
const CRATE_ARROWS: Readonly<Record<string, readonly string[]>> = {
  uring: [],
  cuda: [],
  output: [],
  kv: ['uring'],
  store: ['kv'],
  model: ['kv', 'cuda', 'output'],
  grammar: [],
  engine: ['model', 'output', 'grammar', 'kv', 'uring'],
  binding: ['engine', 'store', 'model', 'output', 'kv', 'uring', 'cuda'],
}

/** Packages that the page may import besides its own files. */
const WEB_PACKAGES =
  /^(attentionstore\/protocol|vue|vue-router|reka-ui|@tanstack\/vue-virtual|uplot(\/.*)?|marked|dompurify|highlight\.js\/lib\/.*|idb|socket\.io-client|vite|@vitejs\/.*|node:.*)$/

/** The folder of ts/ that a path lies in; of ts/scheduler the room, of ts/surfaces the surface, where it lies in one. */
function partOf(path: string): string | undefined {
  return /^ts\/((?:scheduler|surfaces)\/[\w-]+(?=\/)|\w+(?=\/))/.exec(path)?.[1]
}

/** `surfaces` of `surfaces/openai`. */
const folderOf = (part: string) => part.replace(/\/.*/, '')

function allowedFor(part: string): readonly string[] | undefined {
  if (!part.startsWith('surfaces/')) return TS_ARROWS[part]
  return ['surfaces', ...(TS_ARROWS['surfaces'] ?? [])]
}

/** `to` is named, or the folder that it is a room of; of another surface nothing is seen. */
function isAllowed(from: string, to: string, allowed: readonly string[]): boolean {
  if (from.startsWith('surfaces/') && to.startsWith('surfaces/')) return false
  return allowed.includes(to) || allowed.includes(folderOf(to))
}

function tsFinding(file: SourceFile, specifier: string, line: number): Finding[] {
  const from = partOf(file.path)
  if (from === undefined || !specifier.startsWith('.')) return []
  const target = posix.join(posix.dirname(file.path), specifier).replace(/\.js$/, '.ts')
  if (file.path === PUBLISHED && SURFACE_BODIES.test(target)) return []
  const message = contractMessage(file.path, from, target) ?? arrowMessage(from, target)
  return message === null ? [] : [{ path: file.path, line, message }]
}

function arrowMessage(from: string, target: string): string | null {
  const allowed = allowedFor(from)
  const to = partOf(target) ?? target
  if (allowed === undefined || to === from || to === 'native') return null
  if (isAllowed(from, to, allowed)) return null
  return `${from}/ may import ${allowed.join(', ') || 'nothing'}; not ${to}`
}

function contractMessage(path: string, from: string, target: string): string | null {
  if (path === CONTRACT && !CONTRACT_MAY.has(target)) return `the contract imports types alone; not ${target}`
  if (!SEES_CONTRACT_ONLY.has(folderOf(from)) || partOf(target) !== 'service' || target === CONTRACT) return null
  return `${from}/ sees ${CONTRACT} of the service; not ${target}`
}

/** Files of the scheduler that lie in no room, or in one that has no arrows. */
export function roomlessFindings(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => path.startsWith('ts/scheduler/') && TS_ARROWS[partOf(path) ?? ''] === undefined)
    .map(({ path }) => ({ path, line: 0, message: `no room of the scheduler: say in ${ARROWS_HERE} what it may import` }))
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
