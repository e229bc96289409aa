// Why there is no addon for this process, and what to do.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ExitError } from '../../protocol/errors.js'

/** Where the process runs. */
export interface System {
  /** As `process.platform`. */
  readonly platform: string
  /** As `process.arch`. */
  readonly arch: string
  /** The C library of a Linux: `gnu` or `musl`; elsewhere empty. */
  readonly libc: 'gnu' | 'musl' | ''
  /** The program runs from a clone, where the addon is built. */
  readonly isClone: boolean
  /** The program's version, which the addon must have. */
  readonly version: string
}

/** Optional packages with a prebuilt addon, by platform and architecture. All are for glibc. */
export const PREBUILT: Readonly<Record<string, string>> = { 'linux-x64': 'attentionstore-linux-x64-gnu' }

/**
 * Takes some 20 ms: a system is read once something is wrong.
 * @param root The folder of the program's package.
 */
export function readSystem(root: string): System {
  const isClone = existsSync(join(root, '../Cargo.toml'))
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
  const { platform, arch } = process
  return { platform, arch, libc: platform === 'linux' ? libcOf() : '', isClone, version }
}

/** Node names the glibc that it runs on, and no other C library. */
function libcOf(): 'gnu' | 'musl' {
  // With the network, the report asks for the name of each address of the machine.
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report
  report.excludeNetwork = true
  const { header } = report.getReport() as unknown as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
}

/** @param found The version of the optional package that is there, or null. */
export function missingAddon(system: System, found: string | null): ExitError {
  const { platform, arch, libc, version } = system
  return new ExitError(3, 'addon_missing', sentence(system, found), { platform, arch, libc, found, wanted: version })
}

function sentence({ platform, arch, libc, isClone, version }: System, found: string | null): string {
  const place = `${platform}-${arch}`
  if (platform !== 'linux') return `AttentionStore runs on Linux, and this is ${place}: use a Linux machine, WSL 2 or the container image`
  if (isClone) return 'the native addon is not built: run make build in the clone'
  if (libc === 'musl') {
    return 'the prebuilt addon needs glibc, and this Linux has musl (as Alpine does): use a system or an image with glibc 2.28 or later, such as node:22-bookworm-slim'
  }
  const name = PREBUILT[place]
  if (name === undefined) return `there is no prebuilt addon for ${place}: build AttentionStore from a clone with make build`
  if (found !== null) return `the package ${name} is of version ${found}, and ${version} is needed: npm install ${name}@${version}`
  return `the optional package ${name}, which has the native addon, is not installed; npm leaves it out with --omit=optional, or by a lock file from another system: npm install ${name}@${version} (with -g if attentionstore was installed so)`
}
