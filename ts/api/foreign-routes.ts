// Routes of other servers' APIs that clients try: told by name, with the routes that this server has in their place.

import { ApiError } from '../protocol/errors.js'

const TURNS = 'POST /v1/chat/completions, /v1/completions, /v1/responses and /v1/messages'

interface Foreign {
  readonly path: RegExp
  /** The end of a sentence. */
  readonly lacks: string
}

const FOREIGN: readonly Foreign[] = [
  { path: /^\/(v1\/)?embeddings?$|^\/api\/embed(dings)?$/, lacks: 'does not make embeddings' },
  { path: /^\/(v1\/|v2\/)?(rerank|score)$|^\/v1\/(classify|moderations)$/, lacks: 'does not rank, score or moderate texts' },
  { path: /^\/v1\/(audio|realtime)(\/|$)/, lacks: 'does not work with audio' },
  { path: /^\/v1\/(images|videos)(\/|$)/, lacks: 'does not work with images or videos' },
  { path: /^\/v1\/(files|uploads|batches|vector_stores|containers|skills)(\/|$)|^\/v1\/messages\/batches(\/|$)/, lacks: 'keeps no files and runs no batches' },
  { path: /^\/v1\/(assistants|threads|conversations|evals|fine_tuning)(\/|$)/, lacks: 'has no assistants, conversations of that API, or training' },
  { path: /^\/api\/(chat|generate|tags|show|ps|pull|push|create|copy|delete|version|blobs)(\/|$)/, lacks: "does not speak Ollama's API" },
  { path: /^\/(completion|completions|infill|apply-template|slots|props|generate|generate_stream|invocations)$/, lacks: 'has no native API of another server' },
  { path: /^\/(chat\/completions|messages|responses|models)$/, lacks: 'has its API under /v1' },
  { path: /^\/v1\/complete$|^\/v1beta(\/|$)/, lacks: 'does not speak this API' },
]

/** @throws ApiError `not_found` for a route that another server has. */
export function refuseForeignRoute(path: string): void {
  const foreign = FOREIGN.find((candidate) => candidate.path.test(path))
  if (foreign) throw new ApiError('not_found', `The server ${foreign.lacks}. It answers ${TURNS}; GET /openapi.json lists the routes.`)
}
