// Whether an addon can be loaded on every Linux on x86-64 with a glibc of a given version or later.

import { readSharedObject, type NeededVersion } from './elf.js'

const X86_64 = 62

/** Parts of glibc itself: they are wherever glibc is. GCC's runtime library is there with Node, which links to it. */
const EVERYWHERE = /^(libc|libm|libdl|libpthread|librt|libutil|libgcc_s|ld-linux-x86-64)\.so\.\d+$/

const SHOWN_SYMBOLS = 3

/**
 * A sentence a reason against it; none: the addon is portable.
 * @param glibc The oldest version that must do, such as `2.28`.
 */
export function portabilityProblems(addon: Buffer, glibc: string): string[] {
  const { machine, libraries, versions } = readSharedObject(addon)
  return [
    ...(machine === X86_64 ? [] : [`it is built for the machine ${machine}, not for x86-64 (${X86_64})`]),
    ...libraries.filter((name) => !EVERYWHERE.test(name)).map((name) => `it needs ${name}, which is no part of glibc`),
    ...versions.filter(({ version }) => isNewer(version, glibc)).map((needed) => newerSentence(needed, glibc)),
  ]
}

/** `GLIBC_PRIVATE`, and other versions without a number, belong to one build of glibc. */
function isNewer(version: string, glibc: string): boolean {
  if (!version.startsWith('GLIBC_')) return false
  const parts = version.slice('GLIBC_'.length).split('.').map(Number)
  if (parts.some(Number.isNaN)) return true
  const bound = glibc.split('.').map(Number)
  const first = [0, 1, 2].find((index) => (parts[index] ?? 0) !== (bound[index] ?? 0))
  return first !== undefined && (parts[first] ?? 0) > (bound[first] ?? 0)
}

function newerSentence({ library, version, symbols }: NeededVersion, glibc: string): string {
  const shown = symbols.slice(0, SHOWN_SYMBOLS).join(', ')
  const more = symbols.length > SHOWN_SYMBOLS ? ` and ${symbols.length - SHOWN_SYMBOLS} more` : ''
  return `it needs ${version} of ${library} for ${shown}${more}; glibc ${glibc} does not have it`
}
