// A handler of the server's own routes: a function from a request's data to a reply's data, as a surface's. Handlers know
// no web framework.

import type { Logger } from 'pino'
import type { Access, AccessControl, Caller, Credentials } from '../auth/access-control.js'
import type { InferenceService } from '../service/types.js'
import type { Reply, Surface, SurfaceContext, SurfaceRequest, SurfaceRoute } from '../surfaces/surface.js'
import type { Telemetry } from '../telemetry/telemetry.js'

export interface ApiContext extends SurfaceContext {
  readonly service: InferenceService
  readonly telemetry: Telemetry
  readonly auth: AccessControl
  readonly log: Logger
  /** The OpenAPI document. */
  readonly description: unknown
}

export interface ApiRequest extends SurfaceRequest {
  /** The caller that the route's access let through. */
  readonly caller: Caller
  readonly credentials: Credentials
  /** The client's address. */
  readonly address: string
  /** The Host guard lets the request through; false only on routes that take any Host. */
  readonly isKnownHost: boolean
}

export type Handler = (request: ApiRequest, context: ApiContext) => Reply | Promise<Reply>

/** A route of the server itself. */
export interface OwnRoute extends Omit<SurfaceRoute, 'handler'> {
  readonly access: Access
  /** Answers under a Host that the guard refuses: for probes, which send what their load balancer knows. */
  readonly anyHost?: true
  readonly handler: Handler
}

/** A row of the route table. */
export interface Route extends OwnRoute {
  /** How its errors and streams are written. */
  readonly shape: Pick<Surface, 'errors' | 'events' | 'headers'>
}
