// Fields that clients of OpenAI's API know and this server does not serve: refused by name, never silently ignored.

import { ApiError } from '../../protocol/errors.js'

type Json = Readonly<Record<string, unknown>>

/** Field → whether a value asks for nothing beyond what the server does anyway. */
const HARMLESS: Readonly<Record<string, (value: unknown) => boolean>> = {
  tools: () => false,
  response_format: () => false,
  n: (value) => value === 1,
  best_of: (value) => value === 1,
  echo: (value) => value === false,
  suffix: (value) => value === '',
}

/** @throws ApiError `unsupported_parameter` naming the field. */
export function refuseUnsupported(body: unknown): void {
  if (!isObject(body)) return
  for (const [field, isHarmless] of Object.entries(HARMLESS)) {
    const value = Object.hasOwn(body, field) ? body[field] : undefined
    if (value === undefined || value === null || isHarmless(value)) continue
    throw new ApiError('unsupported_parameter', `${field}: The server does not support this value.`, field)
  }
}

function isObject(body: unknown): body is Json {
  return typeof body === 'object' && body !== null
}
