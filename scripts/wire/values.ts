// Values of the description that seeds give, and the words that they are packed into, straight from the description.
// Both halves are tested with them: each must pack the same value into the same words.

import { camel, definitionOf, type Description, type Field, type WireType } from './description.js'

/** A value in TypeScript's form: camelCase, `kind` beside a variant's fields, `undefined` where an option is absent. */
export type Value = number | boolean | string | undefined | Uint32Array | readonly Value[] | ValueRecord
export interface ValueRecord {
  readonly [field: string]: Value
}

/** A source of numbers 0 ≤ x < 1. */
export type Source = () => number

const TEXTS = ['', 'a', 'kv_io', 'grüße', '東京', '🏳', 'line\nbreak "and" \\']

class Values {
  constructor(
    readonly description: Description,
    readonly random: Source,
  ) {}

  of(type: WireType): Value {
    switch (type.kind) {
      case 'list':
        return Array.from({ length: this.#below(4) }, () => this.of(type.of))
      case 'pair':
        return type.of.map((part) => this.of(part))
      case 'named':
        return this.named(type.name)
      case 'primitive':
        return this.#primitive(type.name)
    }
  }

  /** A value of a type; `variant`: which one of a union's, or of the union beside a record's fields. */
  named(name: string, variant?: number): Value {
    const definition = definitionOf(this.description, name)
    if (definition.kind === 'record') return this.#record(definition.fields, variant)
    if (definition.kind === 'enum') return this.#pick(definition.values)
    const chosen = variant === undefined ? this.#pick(definition.variants) : definition.variants[variant]
    if (!chosen) throw new Error(`${name} has no variant ${variant}`)
    if (chosen.kind === 'fields') return { kind: chosen.name, ...this.#record(chosen.fields) }
    const value = this.of(chosen.type)
    return isRecord(this.description, chosen.type) ? { kind: chosen.name, ...(value as ValueRecord) } : { kind: chosen.name, value }
  }

  #record(fields: readonly Field[], variant?: number): ValueRecord {
    return Object.assign({}, ...fields.map((field) => this.#field(field, variant))) as ValueRecord
  }

  #field(field: Field, variant?: number): ValueRecord {
    const { name, type, optional } = field
    if (isSpread(this.description, field) && type.kind === 'named') return this.named(type.name, variant) as ValueRecord
    return { [camel(name)]: optional && this.random() < 0.5 ? undefined : this.of(type) }
  }

  #primitive(name: Extract<WireType, { kind: 'primitive' }>['name']): Value {
    switch (name) {
      case 'u32':
        return this.#pick([this.#below(8), this.#below(2 ** 32), 2 ** 32 - 1])
      case 'f32':
        return Math.fround((this.random() - 0.5) * 2 ** this.#below(20))
      case 'u64':
        return Math.floor(this.random() * 2 ** 53)
      case 'bool':
        return this.random() < 0.5
      case 'text':
        return this.#pick(TEXTS)
      case 'key':
        return String.fromCharCode(...Array.from({ length: 32 }, () => this.#below(256)))
      case 'words':
        return Uint32Array.from({ length: this.#below(5) }, () => this.#below(2 ** 32))
    }
  }

  #below(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }
}

/** How many variants the values of a type have, where they have any. */
function variantsOf(description: Description, name: string): number {
  const definition = definitionOf(description, name)
  if (definition.kind === 'union') return definition.variants.length
  const spread = definition.kind === 'record' ? definition.fields.find((field) => isSpread(description, field)) : undefined
  return spread?.type.kind === 'named' ? variantsOf(description, spread.type.name) : 1
}

/** `each` values of each variant of a type. */
export function valuesOf(description: Description, name: string, each: number, random: Source): ValueRecord[] {
  const values = new Values(description, random)
  return Array.from({ length: variantsOf(description, name) * each }, (_, at) =>
    values.named(name, Math.floor(at / each)) as ValueRecord,
  )
}

/** The words of a value of type `type`. */
export function pack(description: Description, type: WireType, value: Value): number[] {
  const words = (type: WireType, value: Value): number[] => {
    if (type.kind === 'list') return [(value as Value[]).length, ...(value as Value[]).flatMap((item) => words(type.of, item))]
    if (type.kind === 'pair') return type.of.flatMap((part, at) => words(part, (value as Value[])[at]))
    if (type.kind === 'primitive') return primitive(type.name, value)
    return named(type.name, value)
  }
  const fieldWords = (fields: readonly Field[], value: ValueRecord): number[] => {
    const optional = fields.filter((field) => field.optional)
    const flags = optional.reduce((sum, { name }, bit) => sum + (value[camel(name)] === undefined ? 0 : 2 ** bit), 0)
    const packed = fields.flatMap((field) => {
      const held = isSpread(description, field) ? value : value[camel(field.name)]
      return held === undefined ? [] : words(field.type, held)
    })
    return optional.length === 0 ? packed : [flags, ...packed]
  }
  const named = (name: string, value: Value): number[] => {
    const definition = definitionOf(description, name)
    if (definition.kind === 'record') return fieldWords(definition.fields, value as ValueRecord)
    if (definition.kind === 'enum') return [definition.values.indexOf(value as string)]
    const union = value as ValueRecord
    const number = definition.variants.findIndex((variant) => variant.name === union['kind'])
    const variant = definition.variants[number]
    if (!variant) throw new Error(`${name} has no variant ${String(union['kind'])}`)
    if (variant.kind === 'fields') return [number, ...fieldWords(variant.fields, union)]
    return [number, ...words(variant.type, isRecord(description, variant.type) ? union : union['value'])]
  }
  return words(type, value)
}

function primitive(name: Extract<WireType, { kind: 'primitive' }>['name'], value: Value): number[] {
  switch (name) {
    case 'u32':
      return [value as number]
    case 'bool':
      return [value ? 1 : 0]
    case 'f32':
      return [...new Uint32Array(Float32Array.of(value as number).buffer)]
    case 'u64':
      return [...new Uint32Array(BigUint64Array.of(BigInt(value as number)).buffer)]
    case 'words':
      return [(value as Uint32Array).length, ...(value as Uint32Array)]
    case 'text': {
      const bytes = Buffer.from(value as string)
      return [bytes.length, ...wholeWords(bytes)]
    }
    case 'key':
      return wholeWords(Buffer.from(value as string, 'latin1'))
  }
}

function wholeWords(bytes: Uint8Array): number[] {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  padded.set(bytes)
  return [...new Uint32Array(padded.buffer)]
}

export function isRecord(description: Description, type: WireType): boolean {
  return type.kind === 'named' && definitionOf(description, type.name).kind === 'record'
}

/** A union in a field named `kind` has its variants' fields beside those of the record. */
export function isSpread(description: Description, { name, type }: Field): boolean {
  return name === 'kind' && type.kind === 'named' && definitionOf(description, type.name).kind === 'union'
}
