// Routes of other servers' APIs: 404 with the routes that are there in their place.

import test from 'ava'
import { ROUTES } from '../../ts/api/routes.js'
import { refuseForeignRoute } from '../../ts/api/foreign-routes.js'
import { openTestApi, rawRequest } from './support/api.js'

const FOREIGN = [
  ['POST', '/v1/embeddings', /does not make embeddings/],
  ['POST', '/api/embed', /does not make embeddings/],
  ['POST', '/v1/rerank', /does not rank/],
  ['POST', '/v1/moderations', /moderate/],
  ['POST', '/v1/audio/transcriptions', /audio/],
  ['POST', '/v1/audio/speech', /audio/],
  ['POST', '/v1/images/generations', /images/],
  ['POST', '/v1/videos', /videos/],
  ['POST', '/v1/files', /keeps no files/],
  ['GET', '/v1/files/file_1/content', /keeps no files/],
  ['POST', '/v1/batches', /runs no batches/],
  ['POST', '/v1/messages/batches', /runs no batches/],
  ['POST', '/v1/conversations', /conversations of that API/],
  ['POST', '/v1/threads', /no assistants/],
  ['POST', '/v1/fine_tuning/jobs', /training/],
  ['POST', '/api/chat', /Ollama/],
  ['POST', '/api/generate', /Ollama/],
  ['GET', '/api/tags', /Ollama/],
  ['POST', '/completion', /native API/],
  ['POST', '/infill', /native API/],
  ['POST', '/chat/completions', /under \/v1/],
  ['POST', '/messages', /under \/v1/],
  ['POST', '/v1/complete', /does not speak this API/],
  ['POST', '/v1beta/models/m:generateContent', /does not speak this API/],
] as const

test('a route of another API is 404, and names the routes that answer', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const [method, path, sentence] of FOREIGN) {
    const reply = await rawRequest(api.url + path, method, { 'content-type': 'multipart/form-data; boundary=x' }, method === 'GET' ? '' : 'x')
    t.is(reply.status, 404, path)
    const { error } = JSON.parse(reply.body) as { error: { code: string; message: string } }
    t.is(error.code, 'not_found')
    t.regex(error.message, sentence, path)
    t.regex(error.message, /POST \/v1\/chat\/completions, \/v1\/completions, \/v1\/responses and \/v1\/messages/)
  }
})

test('no route of the server, and no path that only looks like one of another, is taken for foreign', (t) => {
  const own = ROUTES.map(({ path }) => path.replace(/:\w+/g, 'x').replace(/\*\w+/g, 'a/b'))
  for (const path of [...own, '/v1', '/v1/embedding-models', '/api', '/api/chatter', '/v1/responses/resp_1', '/v1/models/v1/embeddings', '/']) {
    t.notThrows(() => refuseForeignRoute(path), path)
  }
})
