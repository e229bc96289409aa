// JSON that a request carries for others to read: schemas, template arguments. It is bounded before anything walks
// through it.

import { ApiError } from '../protocol/errors.js'
import { wellFormed } from './turn-fields.js'

export interface JsonBounds {
  /** Most lists and objects inside each other. */
  readonly depth: number
  /** Most bytes of the value as JSON text in UTF-8. */
  readonly bytes: number
}

/** Of a JSON Schema: of a tool's arguments, or of a whole answer. A level of a schema takes two of these. */
export const SCHEMA_BOUNDS: JsonBounds = { depth: 128, bytes: 256 * 1024 }

/**
 * The same JSON value with well-formed texts.
 * @throws ApiError `invalid_value` naming `param` and the bound that the value is over.
 */
export function boundedJson(value: unknown, { depth, bytes }: JsonBounds, param: string): unknown {
  const tooDeep = (): never => {
    throw new ApiError('invalid_value', `${param}: At most ${depth} lists and objects may lie inside each other.`, param)
  }
  const copy = copyOf(value, depth, tooDeep)
  const size = Buffer.byteLength(JSON.stringify(copy) ?? '')
  if (size <= bytes) return copy
  throw new ApiError('invalid_value', `${param}: The JSON has ${size} bytes; the limit is ${bytes}.`, param)
}

function copyOf(value: unknown, levels: number, tooDeep: () => never): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (typeof value !== 'object' || value === null) return value
  if (levels === 0) return tooDeep()
  if (Array.isArray(value)) return value.map((item) => copyOf(item, levels - 1, tooDeep))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [wellFormed(key), copyOf(item, levels - 1, tooDeep)]))
}

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
