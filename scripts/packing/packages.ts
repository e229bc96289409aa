// The two packages of a release: the program without Rust, and the addon for one platform, which the first asks npm for as
// an optional dependency. Both are staged in a folder of their own, so the clone's own package.json names nothing that is
// not published yet, and is private: published as it is it would have no addon.

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { portabilityProblems } from './portable.js'

interface PackageDescription {
  readonly name: string
  readonly version: string
  readonly main?: string
  readonly devDependencies?: unknown
  readonly [field: string]: unknown
}

export interface PackOptions {
  /** The repository's root. */
  readonly root: string
  /** The addon's file. */
  readonly addon: string
  /** Folder for the tarballs; tarballs of earlier runs in it go. */
  readonly into: string
  /** The oldest glibc that the addon must run with, such as `2.28`; null: it is not looked at. */
  readonly glibc: string | null
}

/** Folder below `npm/`. */
const PLATFORM = 'linux-x64-gnu'

/** Parts of the program, with a file that shows that the part is built. */
const PARTS: Readonly<Record<string, string>> = { bin: 'attentionstore.js', dist: 'cli/main.js', 'web-dist': 'index.html' }

/** Of use to a compiler or a debugger in a clone alone. */
const LEFT_OUT = /^\.|\.map$/

/**
 * Packs both packages.
 * @returns paths of the tarballs, the program's first.
 * @throws Error with a sentence that names what is missing or not portable.
 */
export function packAll({ root, addon, into, glibc }: PackOptions): string[] {
  if (!existsSync(addon)) throw new Error(`the addon ${addon} is not there: it is built first`)
  const problems = glibc === null ? [] : portabilityProblems(readFileSync(addon), glibc)
  if (problems.length > 0) throw new Error(`${addon} is not portable: ${problems.join('; ')}`)
  mkdirSync(into, { recursive: true })
  for (const name of readdirSync(into)) if (name.endsWith('.tgz')) rmSync(join(into, name))
  const staged = join(into, 'staged')
  rmSync(staged, { recursive: true, force: true })
  const platform = stagePlatform(root, addon, staged)
  const program = stageProgram(root, platform, staged)
  return [program, platform].map((description) => pack(join(staged, description.name), into))
}

function stagePlatform(root: string, addon: string, staged: string): PackageDescription {
  const source = join(root, 'npm', PLATFORM)
  const description = describe(source)
  if (description.main === undefined) throw new Error(`${source}/package.json names no main file`)
  const folder = join(staged, description.name)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(source)) copyFileSync(join(source, name), join(folder, name))
  copyFileSync(addon, join(folder, description.main))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  return description
}

function stageProgram(root: string, platform: PackageDescription, staged: string): PackageDescription {
  const source = join(root, 'ts')
  const { devDependencies: _, private: __, ...description } = describe(source)
  if (platform.version !== description.version) {
    throw new Error(`${platform.name} is of version ${platform.version}, ${description.name} of ${description.version}: they are released together`)
  }
  const folder = join(staged, description.name)
  for (const [part, proof] of Object.entries(PARTS)) {
    if (!existsSync(join(source, part, proof))) throw new Error(`ts/${part}/${proof} is not built: run make build`)
    cpSync(join(source, part), join(folder, part), { recursive: true, filter: (path) => !LEFT_OUT.test(basename(path)) })
  }
  for (const name of ['README.md', 'LICENSE']) copyFileSync(join(root, name), join(folder, name))
  const optionalDependencies = { [platform.name]: platform.version }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ ...description, optionalDependencies }, null, 2)}\n`)
  return description
}

function describe(folder: string): PackageDescription {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageDescription
}

function pack(folder: string, into: string): string {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into, folder]
  const [packed] = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })) as Array<{ filename: string }>
  if (!packed) throw new Error(`npm packed nothing of ${folder}`)
  return join(into, packed.filename)
}
