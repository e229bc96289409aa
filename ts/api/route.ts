// What a handler is: a function from a request's data to a reply's data. Handlers know no web framework.

import type { Logger } from 'pino'
import type { z } from 'zod'
import type { Access, AccessControl, Caller, Credentials } from '../auth/access-control.js'
import type { Engine } from '../engine/types.js'
import type { InferenceService } from '../service/types.js'
import type { Telemetry } from '../telemetry/telemetry.js'

export interface ApiContext {
  readonly service: InferenceService
  readonly engine: Pick<Engine, 'info' | 'text'>
  readonly telemetry: Telemetry
  readonly auth: AccessControl
  readonly log: Logger
  /** Names of the model; the first is the default. */
  readonly models: readonly string[]
  /** Seconds since the Unix epoch: `created` of the model. */
  readonly startedAtS: number
  readonly version: string
  /** The OpenAPI document. */
  readonly description: unknown
}

export interface ApiRequest {
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
  /** The `:name` parts of the path, and the query, as texts. */
  readonly params: unknown
  readonly query: unknown
  /** Who the route's access let through. */
  readonly caller: Caller
  readonly credentials: Credentials
  /** The client's address. */
  readonly address: string
  readonly requestId: string
  /** The `x-conversation-id` header. */
  readonly conversation: string | null
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
}

export interface JsonReply {
  readonly kind: 'json'
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface TextReply {
  readonly kind: 'text'
  readonly contentType: string
  readonly text: string
}

/** Server-sent events: each item becomes one `data:` line of JSON, then `[DONE]`. */
export interface StreamReply {
  readonly kind: 'stream'
  readonly events: AsyncIterable<unknown>
  readonly headers: Readonly<Record<string, string>>
}

export type Reply = JsonReply | TextReply | StreamReply

export type Handler = (request: ApiRequest, context: ApiContext) => Reply | Promise<Reply>

export function json(body: unknown, headers: Readonly<Record<string, string>> = {}): JsonReply {
  return { kind: 'json', body, headers }
}

export interface Route {
  readonly method: 'get' | 'post' | 'delete'
  /** As express writes it: `/admin/conversations/:id`. */
  readonly path: string
  readonly access: Access
  readonly handler: Handler
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly request?: z.ZodType
  /** undefined: not JSON. */
  readonly response?: z.ZodType
  /** What one event of a stream is. */
  readonly chunk?: z.ZodType
}
