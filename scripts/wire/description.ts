// The wire's description, `crates/engine/wire.json`, read and checked.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

export const ROOT = join(import.meta.dirname, '../..')

/** `words` is a `u32[]` that crosses whole: a `Vec<u32>` and a `Uint32Array`. `key`: the 32 bytes of a block key. */
const PRIMITIVES = ['u32', 'f32', 'u64', 'bool', 'text', 'key', 'words'] as const
export type Primitive = (typeof PRIMITIVES)[number]

export type WireType =
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'list'; readonly of: WireType }
  | { readonly kind: 'pair'; readonly of: readonly [WireType, WireType] }

export interface Field {
  /** In snake_case, as in Rust. */
  readonly name: string
  readonly type: WireType
  /** Packed only where the record's word of flags has the field's bit. */
  readonly optional: boolean
}

export type Definition = { readonly name: string; readonly module: string } & (
  | { readonly kind: 'record'; readonly fields: readonly Field[] }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'union'; readonly variants: readonly Variant[] }
)

export type Variant = { readonly name: string } & (
  | { readonly kind: 'fields'; readonly fields: readonly Field[] }
  /** A whole value: `Finish::StopToken(u32)`, `EngineEvent::Step(StepReply)`. */
  | { readonly kind: 'value'; readonly type: WireType }
)

export interface Description {
  /** Types that TypeScript packs and Rust reads, and the other way round; all that they consist of goes with them. */
  readonly sent: readonly string[]
  readonly told: readonly string[]
  readonly types: ReadonlyMap<string, Definition>
}

const Fields = z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.string())
const Types = z.record(
  z.string().regex(/^[A-Z]\w*$/),
  z.union([
    z.strictObject({ in: z.string(), fields: Fields }),
    z.strictObject({ in: z.string(), values: z.array(z.string()).min(1) }),
    z.strictObject({ in: z.string(), variants: z.record(z.string(), z.union([z.string(), Fields])) }),
  ]),
)
const File = z.strictObject({ sent: z.array(z.string()), told: z.array(z.string()), types: Types })

/** @throws where the description names a type that it does not have. */
export function parseDescription(text: string): Description {
  const file = File.parse(JSON.parse(text))
  const known = new Set(Object.keys(file.types))
  const types = new Map(Object.entries(file.types).map(([name, given]) => [name, definition(name, given, known)]))
  for (const root of [...file.sent, ...file.told]) {
    if (!known.has(root)) throw new Error(`the wire has no type ${root}`)
  }
  return { sent: file.sent, told: file.told, types }
}

export function readDescription(): Description {
  return parseDescription(readFileSync(join(ROOT, 'crates/engine/wire.json'), 'utf8'))
}

/** The types that values of `roots` consist of, in the order of the description. */
export function reachable(description: Description, roots: readonly string[]): Definition[] {
  const found = new Set<string>()
  const visit = (type: WireType): void => {
    if (type.kind === 'list') return visit(type.of)
    if (type.kind === 'pair') return type.of.forEach(visit)
    if (type.kind === 'primitive' || found.has(type.name)) return
    found.add(type.name)
    parts(definitionOf(description, type.name)).forEach(visit)
  }
  roots.forEach((name) => visit({ kind: 'named', name }))
  return [...description.types.values()].filter(({ name }) => found.has(name))
}

export function definitionOf(description: Description, name: string): Definition {
  const found = description.types.get(name)
  if (!found) throw new Error(`the wire has no type ${name}`)
  return found
}

function parts(definition: Definition): WireType[] {
  if (definition.kind === 'record') return definition.fields.map(({ type }) => type)
  if (definition.kind === 'enum') return []
  return definition.variants.flatMap((variant) =>
    variant.kind === 'value' ? [variant.type] : variant.fields.map(({ type }) => type),
  )
}

function definition(name: string, given: z.infer<typeof Types>[string], known: ReadonlySet<string>): Definition {
  const common = { name, module: given.in }
  if ('fields' in given) return { ...common, kind: 'record', fields: fields(given.fields, known) }
  if ('values' in given) return { ...common, kind: 'enum', values: given.values }
  const variants = Object.entries(given.variants).map(([variant, held]): Variant => {
    if (typeof held === 'string') return { name: variant, kind: 'value', type: wireType(held, known) }
    return { name: variant, kind: 'fields', fields: fields(held, known) }
  })
  return { ...common, kind: 'union', variants }
}

function fields(given: Readonly<Record<string, string>>, known: ReadonlySet<string>): Field[] {
  return Object.entries(given).map(([name, text]) => {
    const optional = text.endsWith('?')
    return { name, type: wireType(optional ? text.slice(0, -1) : text, known), optional }
  })
}

/** `T[]`, `(T, T)`, a primitive or a type of the description. */
function wireType(text: string, known: ReadonlySet<string>): WireType {
  if (text.endsWith('[]')) return { kind: 'list', of: wireType(text.slice(0, -2), known) }
  const pair = /^\((.+), (.+)\)$/.exec(text)
  if (pair) return { kind: 'pair', of: [wireType(pair[1] ?? '', known), wireType(pair[2] ?? '', known)] }
  const primitive = PRIMITIVES.find((name) => name === text)
  if (primitive) return { kind: 'primitive', name: primitive }
  if (!known.has(text)) throw new Error(`the wire has no type ${text}`)
  return { kind: 'named', name: text }
}

export const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
export const pascal = (name: string): string => camel(`_${name}`)
