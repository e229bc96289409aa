// The one hierarchy of errors that cross a boundary: HTTP bodies, socket events, exit codes.

import type { EngineCode } from './engine-codes.js'

/** Codes of the HTTP API, as docs/interface.md lists them. */
export type ApiErrorCode =
  | 'invalid_value'
  | 'context_length_exceeded'
  | 'unsupported_parameter'
  | 'invalid_api_key'
  | 'forbidden'
  | 'model_not_found'
  | 'not_found'
  | 'previous_response_not_found'
  | 'method_not_allowed'
  | 'tier_disabled'
  | 'in_use'
  | 'body_too_large'
  | 'misdirected'
  | 'queue_full'
  | 'too_many_attempts'
  | 'engine_error'
  | 'engine_stopped'
  | 'draining'
  | 'out_of_memory'

/** An error with a stable code, a sentence that names the thing and the limit, and named context. */
export class AttentionStoreError extends Error {
  override readonly name: string = 'AttentionStoreError'
  constructor(
    readonly code: string,
    message: string,
    readonly context: Readonly<Record<string, string | number | boolean | null>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** An error that a client of the HTTP API sees. `param` names the field of the request at fault. */
export class ApiError extends AttentionStoreError {
  override readonly name = 'ApiError'
  constructor(
    override readonly code: ApiErrorCode,
    message: string,
    readonly param: string | null = null,
    context: Readonly<Record<string, string | number | boolean | null>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options)
  }
}

/** Wrong usage, configuration or model (exit 2), or something outside that is missing (exit 3). */
export class ExitError extends AttentionStoreError {
  override readonly name = 'ExitError'
  constructor(
    readonly exitCode: 1 | 2 | 3,
    code: string,
    message: string,
    context: Readonly<Record<string, string | number | boolean | null>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options)
  }
}

/** What Rust reports, as `{code, message, context}`; made in one place, ts/engine/native/errors.ts. */
export class EngineError extends AttentionStoreError {
  override readonly name = 'EngineError'
  constructor(
    override readonly code: EngineCode,
    message: string,
    context: Readonly<Record<string, string | number | boolean | null>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options)
  }
}
