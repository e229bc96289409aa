// The fields of a surface's bodies, as one table: served, accepted without effect, or refused by name because the answer
// would differ. A field that is in no list is told to the client, or refused where the server is strict.

import { ApiError } from '../protocol/errors.js'
import { isObject } from './json-bounds.js'

export type FieldList = 'served' | 'accepted' | 'refused'

export interface FieldRow {
  /** Names from the body's root, joined by dots; `[]` stands for each item of a list: `messages[].name`. */
  readonly field: string
  readonly list: FieldList
  /**
   * The values that pass; of a refused field, those that ask for nothing. null always passes.
   * @default of a refused field false, and an empty text, list or object; of another one every value
   */
  readonly passes?: (value: unknown) => boolean
  /** The sentence of the refusal. */
  readonly reason?: string
}

interface Node {
  row?: FieldRow
  /** By name; undefined: the table says nothing of what lies below. */
  children?: Map<string, Node>
  /** Of each item of a list. */
  items?: Node
}

/** Of names that the server does not know, as many and as long ones as are told. */
const MAX_TOLD = 16
const MAX_TOLD_LENGTH = 64

export class FieldTable {
  readonly #root: Node = {}

  constructor(readonly rows: readonly FieldRow[]) {
    for (const row of rows) this.#nodeOf(row.field).row = row
  }

  #nodeOf(field: string): Node {
    let node = this.#root
    for (const part of field.split('.')) {
      const name = part.replace('[]', '')
      node.children ??= new Map()
      const next = node.children.get(name) ?? {}
      node.children.set(name, next)
      node = part === name ? next : (next.items ??= {})
    }
    return node
  }

  /**
   * @returns names that no list has, each once.
   * @throws ApiError `unsupported_parameter` with the path of a refused field; where `isStrict`, of an unknown one too.
   */
  check(body: unknown, isStrict: boolean): readonly string[] {
    const unknown = new UnknownFields()
    walk(body, { node: this.#root, path: '', field: '' }, unknown)
    const [first] = unknown.paths.values()
    if (isStrict && first !== undefined) {
      throw new ApiError('unsupported_parameter', `${first}: The server knows no field of this name, and --strict-fields refuses it.`, first)
    }
    return [...unknown.paths.keys()]
  }
}

/** A value in the body: `path` has the numbers of items, `field` has `[]`. */
interface Place {
  readonly node: Node
  readonly path: string
  readonly field: string
}

function walk(value: unknown, { node: { children, items }, ...place }: Place, unknown: UnknownFields): void {
  if (Array.isArray(value)) {
    if (items === undefined) return
    for (const [index, item] of value.entries()) {
      walk(item, { node: items, path: join(place.path, String(index)), field: `${place.field}[]` }, unknown)
    }
    return
  }
  if (!isObject(value) || children === undefined) return
  for (const name of Object.keys(value)) {
    const child = children.get(name)
    if (child === undefined) unknown.add(name, children, place)
    else {
      const inner = { node: child, path: join(place.path, name), field: join(place.field, name) }
      checkRow(child.row, value[name], inner.path)
      walk(value[name], inner, unknown)
    }
  }
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** Hundreds of thousands of names may be unknown: all but the first few cost a look-up. */
class UnknownFields {
  /** Field → path of its first use, as they are told. */
  readonly paths = new Map<string, string>()
  /** As the client wrote them, by the table's names beside which they stand. */
  readonly #seen = new Map<Node['children'], Set<string>>()

  add(name: string, beside: Node['children'], { path, field }: Omit<Place, 'node'>): void {
    if (this.paths.size > MAX_TOLD) return
    const seen = this.#seen.get(beside) ?? new Set()
    if (seen.has(name)) return
    this.#seen.set(beside, seen.add(name))
    const told = join(field, safe(name))
    if (!this.paths.has(told)) this.paths.set(told, join(path, safe(name)))
  }
}

/** Names are the client's text: they go into a header and an error in few, harmless characters. */
function safe(name: string): string {
  return name.slice(0, MAX_TOLD_LENGTH).replace(/[^\w$-]/g, '?')
}

function checkRow(row: FieldRow | undefined, value: unknown, path: string): void {
  if (row === undefined || value === null || value === undefined) return
  const passes = row.passes ?? (row.list === 'refused' ? asksForNothing : () => true)
  if (passes(value)) return
  throw new ApiError('unsupported_parameter', `${path}: ${row.reason ?? 'The server does not support this value.'}`, path)
}

export function asksForNothing(value: unknown): boolean {
  if (value === false || value === '') return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The response header that tells which fields were ignored; no header where none was. */
export function ignoredFieldsHeader(ignored: readonly string[]): Readonly<Record<string, string>> {
  if (ignored.length === 0) return {}
  const told = ignored.slice(0, MAX_TOLD)
  return { 'x-ignored-fields': [...told, ...(ignored.length > MAX_TOLD ? ['...'] : [])].join(', ') }
}
