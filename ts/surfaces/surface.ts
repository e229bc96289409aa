// A surface: one wire format in which clients ask for turns. It turns bodies into the service's neutral turn, and turns'
// events into its own. Routing, guards, limits and the writing of streams are the API's, the same for all surfaces.

import type { z } from 'zod'
import type { Engine } from '../engine/types.js'
import type { ApiError } from '../protocol/errors.js'
import type { InferenceService, Turn } from '../service/types.js'
import type { GenerationDefaults } from './generation-defaults.js'

/** The parts of the server that a surface uses: turns, tokens, and the names of the model. */
export interface SurfaceContext {
  readonly service: Pick<InferenceService, 'start' | 'countPrompt' | 'tokenizeChat' | 'responses' | 'modelContext'>
  readonly engine: Pick<Engine, 'info' | 'text'>
  readonly telemetry: TurnObserver
  /** Of sampling. The engine's `info.defaults` are `api` of it. */
  readonly generation: GenerationDefaults
  /** Names of the model; the first is the default. */
  readonly models: readonly string[]
  /** Seconds since the Unix epoch: `created` of the model. */
  readonly startedAtS: number
  /** Of the server. */
  readonly version: string
  /** Whether a field that the server does not know is refused. */
  readonly strictFields: boolean
  /** Whether a request may bring a chat template. */
  readonly trustRequestTemplates: boolean
}

export interface TurnObserver {
  /** The same turn, measured. `startedAt` as `performance.now()` tells it. */
  observed(turn: Turn, startedAt: number): Turn
}

export interface SurfaceRequest {
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
  /** The `:name` parts of the path, and the query, as texts; of a `*name` part a list of texts, one a segment. */
  readonly params: unknown
  readonly query: unknown
  /** Whose key the request came with. */
  readonly caller: { readonly tenant: string }
  readonly requestId: string
  /** The `x-conversation-id` header, or else `x-session-id`. */
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

/** Server-sent events, written as the surface's `events` say. */
export interface StreamReply {
  readonly kind: 'stream'
  readonly events: AsyncIterable<unknown>
  readonly headers: Readonly<Record<string, string>>
}

export type Reply = JsonReply | TextReply | StreamReply

export function json(body: unknown, headers: Readonly<Record<string, string>> = {}): JsonReply {
  return { kind: 'json', body, headers }
}

/** A row of the route table: schemas validate in the handler, and describe the route in the OpenAPI document. */
export interface SurfaceRoute {
  readonly method: 'get' | 'post' | 'delete'
  /** As express writes it: `/admin/conversations/:id`. */
  readonly path: string
  readonly handler: (request: SurfaceRequest, context: SurfaceContext) => Reply | Promise<Reply>
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly request?: z.ZodType
  /** undefined: not JSON. */
  readonly response?: z.ZodType
  /** One event of a stream. */
  readonly chunk?: z.ZodType
}

/** How errors look. Codes and statuses are the same everywhere. */
export interface ErrorShape {
  readonly schema: z.ZodType
  body(error: ApiError, status: number): unknown
}

/** Text of server-sent events, each with the empty line that ends it. */
export interface EventFormat {
  /** One item of a `StreamReply`. */
  event(item: unknown): string
  /** After the last item. */
  readonly end: string
  /** In the place of `end` where the stream fails after its first byte; `body` as the surface's `errors` make it. */
  failure(body: unknown): string
  /** While nothing else is written. */
  readonly keepAlive: string
}

export interface Surface {
  /** Requests of these routes need an API key, where the server has keys. */
  readonly routes: readonly SurfaceRoute[]
  readonly errors: ErrorShape
  readonly events: EventFormat
  /** Headers of every answer, errors included, besides those of the server. */
  readonly headers?: (requestId: string) => Readonly<Record<string, string>>
}
