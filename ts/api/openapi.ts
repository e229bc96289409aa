// The OpenAPI description, made from the same schemas that validate.

import { OpenApiGeneratorV31, OpenAPIRegistry, type RouteConfig } from '@asteasolutions/zod-to-openapi'
import type { z } from 'zod'
import type { Route } from './route.js'

export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>

function jsonContent(schema: z.ZodType) {
  return { 'application/json': { schema } }
}

/** `/a/:id` and `/a/*id` in express are `/a/{id}` in OpenAPI. */
export function openApiPath(path: string): string {
  return path.replace(/[:*](\w+)/g, '{$1}')
}

/** Both ways to send a key; the cookie of a login serves the page only. */
const SECURITY = [{ bearer: [] }, { apiKey: [] }]

function routeConfig(route: Route): RouteConfig {
  const { method, path, summary, access, params, query, request, response, chunk, shape } = route
  const content = {
    ...(response ? jsonContent(response) : {}),
    ...(chunk ? { 'text/event-stream': { schema: chunk } } : {}),
  }
  return {
    method,
    path: openApiPath(path),
    summary,
    ...(access === 'open' ? {} : { security: SECURITY }),
    request: {
      ...(params ? { params } : {}),
      ...(query ? { query } : {}),
      ...(request ? { body: { required: true, content: jsonContent(request) } } : {}),
    },
    responses: {
      200: Object.keys(content).length > 0 ? { description: summary, content } : { description: summary },
      default: { description: 'An error', content: jsonContent(shape.errors.schema) },
    },
  }
}

export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const registry = new OpenAPIRegistry()
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  registry.registerComponent('securitySchemes', 'apiKey', { type: 'apiKey', in: 'header', name: 'x-api-key' })
  for (const route of routes) registry.registerPath(routeConfig(route))
  const info = { title: 'AttentionStore', version, description: 'The OpenAI API, with conversations that are never computed twice.' }
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({ openapi: '3.1.0', info })
}
