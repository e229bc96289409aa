import { randomUUID } from 'node:crypto'
import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel } from '../../turn-fields.js'
import { startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { openedResponse } from '../format/response.js'
import { responseEvents, wholeResponse, type StreamOptions } from '../format/stream.js'
import { historyOf } from '../history.js'
import { keptResponse } from '../kept.js'
import { LOGPROBS, REASONING, ResponseRequest } from '../schemas/request.js'
import { turnRequest } from '../turn-request.js'
import { checkBody } from './check.js'

/** POST /v1/responses */
export const createResponse: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation, signal }, context) => {
  const ignored = checkBody(body, context)
  const fields = validate(ResponseRequest, body)
  const model = checkModel(fields.model, context.models)
  const { responses } = context.service
  const { tenant } = caller
  const history = historyOf(fields, tenant, responses)
  const sender = { requestId, tenant, conversation, earlierConversation: history.conversation }
  const request = turnRequest(fields, history.items, context.engine.info, sender)
  const [turn] = await startTurns([request], signal, context)
  if (turn === undefined) throw new Error('one request, no turn')
  const id = `resp_${randomUUID().replaceAll('-', '')}`
  const opened = openedResponse({ id, model, createdAt: Math.floor(Date.now() / 1000) }, fields, request)
  const options: StreamOptions = {
    text: context.engine.text,
    withLogprobs: fields.include?.includes(LOGPROBS) ?? false,
    withOpaqueReasoning: fields.include?.includes(REASONING) ?? false,
    customTools: new Set((fields.tools ?? []).flatMap(({ type, name }) => (type === 'custom' ? [name] : []))),
    onEnded: (response) => {
      const kept = { tenant, conversation: turn.conversation }
      if (response.store) responses.keep(keptResponse(response, history.own, kept), history.thread)
    },
  }
  const headers = { 'x-conversation-id': turn.conversation, ...ignoredFieldsHeader(ignored) }
  if (!fields.stream) return json(await wholeResponse(turn, opened, options), headers)
  return { kind: 'stream', headers, events: responseEvents(turn, opened, options) }
}
