import { randomUUID } from 'node:crypto'
import { ApiError } from '../../../protocol/errors.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel, checkTemplate } from '../../turn-fields.js'
import { readAnswer, startTurns } from '../../turns.js'
import { validate } from '../../validate.js'
import { checkLengths } from '../bounds.js'
import { chatBody, chatChunks } from '../format/chat.js'
import { turnMessages } from '../messages.js'
import { ChatRequest } from '../schemas/chat.js'
import { turnRequest } from '../turn-request.js'
import { refuseUnsupported } from '../unsupported.js'

/** POST /v1/chat/completions */
export const chatCompletions: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation, signal }, context) => {
  refuseUnsupported(body)
  checkLengths(body, context.service.modelContext)
  const fields = validate(ChatRequest, body)
  const model = checkModel(fields.model, context.models)
  const { info, text } = context.engine
  checkTemplate(info)
  const logprobs = fields.logprobs ?? false
  if (!logprobs && fields.top_logprobs) {
    throw new ApiError('invalid_value', 'top_logprobs: The field needs "logprobs": true.', 'top_logprobs')
  }
  const request = turnRequest(fields, info, {
    requestId,
    tenant: caller.tenant,
    conversation,
    prompt: { kind: 'chat', messages: turnMessages(fields.messages) },
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens ?? null,
    logprobs: logprobs ? (fields.top_logprobs ?? 0) : null,
  })
  const [turn] = await startTurns([request], signal, context)
  if (turn === undefined) throw new Error('one request, no turn')
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model }
  const headers = { 'x-conversation-id': turn.conversation }
  if (!fields.stream) return json(chatBody(head, await readAnswer(turn), logprobs, text), headers)
  const includeUsage = fields.stream_options?.include_usage ?? false
  return { kind: 'stream', headers, events: chatChunks(head, turn, { logprobs, includeUsage }, text) }
}
