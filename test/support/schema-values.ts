// Random values of a JSON Schema as OpenAPI 3.1 writes it, and values that are nearly of it.

import type { Random } from './random.js'

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly prefixItems?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
}

const WORDS = ['', 'a', 'Hello there.', 'user', 'system', 'auto', '\u0000', '\ud800', '🏳️‍🌈', '<|im_end|>', '{"a": [1', '^(a+)+$', 'x'.repeat(3000)]
const NUMBERS = [0, 1, -1, 0.5, 2, 7, 64, 4096, 2 ** 31, -(2 ** 31), 2 ** 53, 1e308, -0, 1e-320]
const STRANGE = [null, true, '', 'strange', 0, -1, 1.5, [], {}, [[]], [null], { a: null }]
/** Deeper values are cut: a schema may contain itself. */
const DEEPEST = 7

export class SchemaValues {
  constructor(
    private readonly random: Random,
    private readonly definitions: Readonly<Record<string, Schema>>,
    /** The share of places that get a value of another kind, or lose or gain a field. */
    private readonly strangeness: number,
  ) {}

  of(schema: Schema, depth = 0): unknown {
    const { random } = this
    if (this.#isStrange()) return random.pick(STRANGE)
    if (schema.$ref !== undefined) return this.of(this.definitions[schema.$ref.split('/').at(-1) ?? ''] ?? {}, depth)
    if (schema.const !== undefined) return schema.const
    if (schema.enum) return random.pick(schema.enum)
    const branches = schema.anyOf ?? schema.oneOf
    if (branches) return this.of(random.pick(branches), depth)
    if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => this.of(part, depth)))
    const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? this.#guessed(schema))
    return this.#ofType(random.pick(types), schema, depth)
  }

  #guessed(schema: Schema): readonly string[] {
    if (schema.properties) return ['object']
    return schema.items ? ['array'] : ['null', 'boolean', 'number', 'string', 'object', 'array']
  }

  #ofType(type: string, schema: Schema, depth: number): unknown {
    const { random } = this
    if (type === 'object') return depth > DEEPEST ? {} : this.#object(schema, depth)
    if (type === 'array') return depth > DEEPEST ? [] : this.#array(schema, depth)
    if (type === 'string') return random.pick(WORDS)
    if (type === 'boolean') return random.below(2) === 0
    if (type === 'null') return null
    return this.#number(type, schema)
  }

  #object({ properties = {}, required = [], additionalProperties }: Schema, depth: number): object {
    const { random } = this
    const object: Record<string, unknown> = {}
    // Few of the optional fields at a time: with all of them some field always ends the request first.
    const share = 1 / (1 + random.below(6))
    for (const [name, schema] of Object.entries(properties)) {
      const isWanted = required.includes(name) ? !this.#isStrange() : random.next() < share / 2
      if (isWanted) object[name] = this.of(schema, depth + 1)
    }
    if (typeof additionalProperties === 'object' && random.below(3) === 0) object[random.pick(WORDS)] = this.of(additionalProperties, depth + 1)
    if (this.#isStrange()) object[random.pick(['__proto__', 'constructor', 'unknown_field', '', 'a.b[]'])] = random.pick(STRANGE)
    return object
  }

  #array({ items, prefixItems }: Schema, depth: number): unknown[] {
    if (prefixItems) return prefixItems.map((item) => this.of(item, depth + 1))
    const length = this.random.below(this.#isStrange() ? 40 : 3)
    return Array.from({ length }, () => this.of(items ?? {}, depth + 1))
  }

  #number(type: string, { minimum = -Infinity, maximum = Infinity }: Schema): number {
    const value = this.random.pick(NUMBERS)
    if (this.#isStrange()) return value
    const bounded = Math.min(Math.max(value, minimum), maximum)
    return type === 'integer' ? Math.trunc(bounded) : bounded
  }

  #isStrange(): boolean {
    return this.random.next() < this.strangeness
  }
}
