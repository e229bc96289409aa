// Checks that come before and after the schemas, the same for a message and for its length.

import { ApiError } from '../../../protocol/errors.js'
import { MAX_TOOLS } from '../../limits.js'
import { checkListLength, checkMessageLists } from '../../list-bounds.js'
import type { SurfaceContext } from '../../surface.js'
import { messageFields } from '../fields.js'
import { MAX_STOPS } from '../schemas/messages.js'

/**
 * @returns names of fields that the server does not know.
 * @throws ApiError naming the field.
 */
export function checkBody(body: unknown, { engine, service, strictFields }: SurfaceContext): readonly string[] {
  checkMessageLists(body, { field: 'messages', parts: 'content', maxModelLen: service.modelContext, isTruncated: false })
  checkListLength(body, 'tools', MAX_TOOLS)
  checkListLength(body, 'stop_sequences', MAX_STOPS)
  if (engine.info.hasChatTemplate) return messageFields.check(body, strictFields)
  throw new ApiError('invalid_value', 'messages: The model has no chat template. Use /v1/completions.', 'messages')
}
