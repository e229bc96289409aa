import { ignoredFieldsHeader } from '../../fields.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { checkModel } from '../../turn-fields.js'
import { validate } from '../../validate.js'
import { CountTokensRequest } from '../schemas/messages.js'
import { turnRequest } from '../turn-request.js'
import { checkBody } from './check.js'

/** POST /v1/messages/count_tokens: of the prompt that the same fields make in /v1/messages. */
export const countTokens: SurfaceRoute['handler'] = async ({ body, caller, requestId, conversation }, context) => {
  const ignored = checkBody(body, context)
  const fields = validate(CountTokensRequest, body)
  checkModel(fields.model, context.models)
  const request = turnRequest(fields, context.engine.info, { requestId, tenant: caller.tenant, conversation })
  return json({ input_tokens: await context.service.countPrompt(request) }, ignoredFieldsHeader(ignored))
}
