// The web page's static files.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import express, { type RequestHandler } from 'express'

const NOT_BUILT =
  'AttentionStore is running. Its page is not built: `make build` makes it. The API is at /v1; /openapi.json describes it.\n'

/** Serves the files of `directory`; without them, `/` says so and the rest passes by. */
export function webPage(directory: string): RequestHandler {
  if (existsSync(join(directory, 'index.html'))) {
    return express.static(directory, { dotfiles: 'ignore', redirect: false })
  }
  return (request, response, next) => {
    if (request.path !== '/' || !['GET', 'HEAD'].includes(request.method)) return next()
    response.type('text/plain').send(NOT_BUILT)
  }
}
