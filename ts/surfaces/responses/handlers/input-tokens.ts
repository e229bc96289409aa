import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel } from '../../turn-fields.js'
import { validate } from '../../validate.js'
import { historyOf } from '../history.js'
import { ResponseRequest } from '../schemas/request.js'
import { turnRequest } from '../turn-request.js'
import { checkBody } from './check.js'

/** POST /v1/responses/input_tokens: of the prompt that the same fields make in /v1/responses. */
export const countInputTokens: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation }, context) => {
  const ignored = checkBody(body, context)
  const fields = validate(ResponseRequest, body)
  checkModel(fields.model, context.models)
  const { tenant } = caller
  const history = historyOf(fields, tenant, context.service.responses)
  const sender = { requestId, tenant, conversation, earlierConversation: history.conversation }
  const request = turnRequest(fields, history.items, context.engine.info, sender)
  const input_tokens = await context.service.countPrompt(request)
  return json({ object: 'response.input_tokens', input_tokens }, ignoredFieldsHeader(ignored))
}
