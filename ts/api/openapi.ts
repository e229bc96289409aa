// The OpenAPI description, made from the same schemas that validate.

import { OpenApiGeneratorV31, OpenAPIRegistry, type RouteConfig } from '@asteasolutions/zod-to-openapi'
import type { z } from 'zod'
import { ErrorBody } from '../protocol/schemas/error.js'
import type { Route } from './route.js'

export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>

function jsonContent(schema: z.ZodType) {
  return { 'application/json': { schema } }
}

function routeConfig(route: Route): RouteConfig {
  const { method, path, summary, request, response, chunk } = route
  const content = {
    ...(response ? jsonContent(response) : {}),
    ...(chunk ? { 'text/event-stream': { schema: chunk } } : {}),
  }
  return {
    method,
    path,
    summary,
    ...(request ? { request: { body: { required: true, content: jsonContent(request) } } } : {}),
    responses: {
      200: Object.keys(content).length > 0 ? { description: summary, content } : { description: summary },
      default: { description: 'An error', content: jsonContent(ErrorBody) },
    },
  }
}

export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const registry = new OpenAPIRegistry()
  for (const route of routes) registry.registerPath(routeConfig(route))
  const info = { title: 'AttentionStore', version, description: 'The OpenAI API, with conversations that are never computed twice.' }
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({ openapi: '3.1.0', info })
}
