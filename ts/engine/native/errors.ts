// The one place where what Rust reports becomes an error object.

import { causeOf, type EngineCode } from '../../protocol/engine-codes.js'
import { type AttentionStoreError, EngineError, ExitError } from '../../protocol/errors.js'

interface NativeErrorBody {
  readonly code: string
  readonly message: string
  readonly context: Readonly<Record<string, string | number | boolean | null>>
}

function isBody(value: unknown): value is NativeErrorBody {
  return typeof value === 'object' && value !== null && 'code' in value && 'message' in value
}

/** Rust packs `{code, message, context}` into the message of what it throws. */
export function bodyOf(thrown: unknown): NativeErrorBody {
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
  return new EngineError(code as EngineCode, message, context, { cause: thrown })
}

/** The option to change, where the sentence of the crates does not say. */
const ADVICE: Readonly<Record<string, string>> = {
  kv_locked: 'give this server another --data-dir',
  kv_ssd_locked: 'give this server another --ssd-path',
  kv_io: '--data-dir and --ssd-path say where the server writes',
  kv_memory: 'give a smaller --dram-bytes or --hbm-bytes',
  memory_low: 'free some, raise the bound of the control group, or give a smaller --model',
  model_memory: 'give a smaller --hbm-bytes or --dram-bytes, or a smaller --model',
  model_io: '--model says where the model is',
}

/** An error of starting: wrong model or configuration exits 2, a missing device 3, anything else is passed on. */
export function startError(thrown: unknown): AttentionStoreError {
  const { code, message, context } = bodyOf(thrown)
  const cause = causeOf(code)
  if (cause === 'device') return new ExitError(3, code, message, context, { cause: thrown })
  const advice = ADVICE[code]
  if (cause === 'configuration') return new ExitError(2, code, advice === undefined ? message : `${message}; ${advice}`, context, { cause: thrown })
  return engineError(thrown)
}
