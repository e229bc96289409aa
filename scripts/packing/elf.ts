// The part of a shared object (ELF, 64 bit, little endian) that says which libraries, and which versions of them, it needs
// when it is loaded. Format: System V ABI, and "Linux Standard Base Core", chapter "Symbol Versioning".

/** A version of a library, with the symbols that ask for it. */
export interface NeededVersion {
  readonly library: string
  /** Such as `GLIBC_2.28`. */
  readonly version: string
  readonly symbols: readonly string[]
}

export interface SharedObject {
  /** `EM_X86_64` is 62, `EM_AARCH64` 183. */
  readonly machine: number
  readonly libraries: readonly string[]
  readonly versions: readonly NeededVersion[]
}

const DYNAMIC = 6
const DYNAMIC_SYMBOLS = 11
const NEEDED_VERSIONS = 0x6ffffffe
const SYMBOL_VERSIONS = 0x6fffffff

/** Entry of the dynamic section: a library's name. */
const DT_NEEDED = 1
const DYNAMIC_ENTRY_BYTES = 16
const SYMBOL_BYTES = 24
/** The bit of a symbol's version that hides it. */
const VERSION_INDEX = 0x7fff

interface Section {
  readonly type: number
  readonly bytes: Buffer
  /** Index of the section that has its names. */
  readonly link: number
}

/** @throws Error if the bytes are no 64-bit little-endian ELF file with sections. */
export function readSharedObject(file: Buffer): SharedObject {
  const isElf = file.length >= 64 && file.readUInt32BE(0) === 0x7f454c46
  if (!isElf || file[4] !== 2 || file[5] !== 1) throw new Error('not an ELF file of 64 bits, little endian')
  const sections = readSections(file)
  if (sections.length === 0) throw new Error('an ELF file without section headers: nothing tells what it needs')
  const symbols = symbolsByVersion(sections)
  return { machine: file.readUInt16LE(18), libraries: readLibraries(sections), versions: readVersions(sections, symbols) }
}

function readSections(file: Buffer): Section[] {
  const start = Number(file.readBigUInt64LE(40))
  const [entryBytes, count] = [file.readUInt16LE(58), file.readUInt16LE(60)]
  return Array.from({ length: count }, (_, index) => {
    const header = file.subarray(start + index * entryBytes)
    const [offset, bytes] = [Number(header.readBigUInt64LE(24)), Number(header.readBigUInt64LE(32))]
    return { type: header.readUInt32LE(4), bytes: file.subarray(offset, offset + bytes), link: header.readUInt32LE(40) }
  })
}

function readLibraries(sections: readonly Section[]): string[] {
  const dynamic = sections.find(({ type }) => type === DYNAMIC)
  if (!dynamic) throw new Error('an ELF file without a dynamic section: no shared object')
  const libraries: string[] = []
  for (let at = 0; at + DYNAMIC_ENTRY_BYTES <= dynamic.bytes.length; at += DYNAMIC_ENTRY_BYTES) {
    if (dynamic.bytes.readBigInt64LE(at) !== BigInt(DT_NEEDED)) continue
    libraries.push(nameAt(sections, dynamic, Number(dynamic.bytes.readBigUInt64LE(at + 8))))
  }
  return libraries
}

/** Names of undefined and defined symbols, by the index of their version. */
function symbolsByVersion(sections: readonly Section[]): ReadonlyMap<number, string[]> {
  const [table, versions] = [DYNAMIC_SYMBOLS, SYMBOL_VERSIONS].map((wanted) => sections.find(({ type }) => type === wanted))
  const symbols = new Map<number, string[]>()
  if (!table || !versions) return symbols
  for (let index = 0; (index + 1) * 2 <= versions.bytes.length; index++) {
    const version = versions.bytes.readUInt16LE(index * 2) & VERSION_INDEX
    const name = nameAt(sections, table, table.bytes.readUInt32LE(index * SYMBOL_BYTES))
    symbols.set(version, [...(symbols.get(version) ?? []), name])
  }
  return symbols
}

function readVersions(sections: readonly Section[], symbols: ReadonlyMap<number, readonly string[]>): NeededVersion[] {
  const needs = sections.find(({ type }) => type === NEEDED_VERSIONS)
  if (!needs) return []
  const { bytes } = needs
  const versions: NeededVersion[] = []
  for (let entry = 0, isLast = false; !isLast; entry += bytes.readUInt32LE(entry + 12)) {
    const library = nameAt(sections, needs, bytes.readUInt32LE(entry + 4))
    let part = entry + bytes.readUInt32LE(entry + 8)
    for (let left = bytes.readUInt16LE(entry + 2); left > 0; left--, part += bytes.readUInt32LE(part + 12)) {
      const version = nameAt(sections, needs, bytes.readUInt32LE(part + 8))
      versions.push({ library, version, symbols: symbols.get(bytes.readUInt16LE(part + 6)) ?? [] })
    }
    isLast = bytes.readUInt32LE(entry + 12) === 0
  }
  return versions
}

/** The text that ends with a zero byte, at `offset` of the names that belong to `section`. */
function nameAt(sections: readonly Section[], section: Section, offset: number): string {
  const names = sections[section.link]?.bytes ?? Buffer.alloc(0)
  const end = names.indexOf(0, offset)
  if (end === -1) throw new Error(`a name at ${offset} of an ELF file does not end`)
  return names.toString('latin1', offset, end)
}
