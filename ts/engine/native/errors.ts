// The one place where what Rust reports becomes an error object.

import { type AttentionStoreError, EngineError, ExitError } from '../../protocol/errors.js'

interface NativeErrorBody {
  readonly code: string
  readonly message: string
  readonly context: Readonly<Record<string, string | number | boolean | null>>
}

/** Codes that say: the model or the configuration is wrong (exit 2). */
const CONFIGURATION_CODES: ReadonlySet<string> = new Set([
  'model_io',
  'model_malformed',
  'model_unsupported',
  'model_invalid',
  'model_memory',
  'invalid_option',
  'kv_locked',
  'kv_no_space',
  'kv_io',
  'kv_invalid',
  'kv_memory',
])

function isBody(value: unknown): value is NativeErrorBody {
  return typeof value === 'object' && value !== null && 'code' in value && 'message' in value
}

/** Rust packs `{code, message, context}` into the message of what it throws. */
function bodyOf(thrown: unknown): NativeErrorBody {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  try {
    const parsed: unknown = JSON.parse(message)
    if (isBody(parsed)) return { code: parsed.code, message: parsed.message, context: parsed.context ?? {} }
  } catch {
    // Not ours: thrown by napi itself, for instance for an argument of the wrong type.
  }
  return { code: 'native', message, context: {} }
}

/** An error of a running engine. */
export function engineError(thrown: unknown): AttentionStoreError {
  const { code, message, context } = bodyOf(thrown)
  return new EngineError(code, message, context, { cause: thrown })
}

/** What a device answers that is not there, or cannot be used. */
const DEVICE_CODE = 'model_device'

/** An error of starting: wrong model or configuration exits 2, a missing device 3, anything else is passed on. */
export function startError(thrown: unknown): AttentionStoreError {
  const { code, message, context } = bodyOf(thrown)
  if (code === DEVICE_CODE) return new ExitError(3, code, message, context, { cause: thrown })
  if (!CONFIGURATION_CODES.has(code)) return engineError(thrown)
  return new ExitError(2, code, message, context, { cause: thrown })
}
