import { randomUUID } from 'node:crypto'
import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel } from '../../turn-fields.js'
import { readAnswer, startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { messageBody, messageEvents, type MessageOptions } from '../format/message.js'
import { cacheWish } from '../retention.js'
import { MessagesRequest } from '../schemas/messages.js'
import { turnRequest } from '../turn-request.js'
import { checkBody } from './check.js'

/** POST /v1/messages */
export const messages: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation, signal }, context) => {
  const ignored = checkBody(body, context)
  const fields = validate(MessagesRequest, body)
  const model = checkModel(fields.model, context.models)
  const request = turnRequest(fields, context.engine.info, { requestId, tenant: caller.tenant, conversation })
  const [turn] = await startTurns([request], signal, context)
  if (turn === undefined) throw new Error('one request, no turn')
  const { thinking } = fields
  const options: MessageOptions = {
    id: `msg_${randomUUID().replaceAll('-', '')}`,
    model,
    isMarked: cacheWish(fields).isMarked,
    omitsThinking: thinking !== null && thinking !== undefined && thinking.type !== 'disabled' && thinking.display === 'omitted',
  }
  const headers = { 'x-conversation-id': turn.conversation, ...ignoredFieldsHeader(ignored) }
  if (!fields.stream) return json(messageBody(await readAnswer(turn), options), headers)
  return { kind: 'stream', headers, events: messageEvents(turn, options) }
}
