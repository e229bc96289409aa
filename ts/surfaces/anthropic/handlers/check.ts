// Checks that come before and after the schemas, the same for a message and for its length.

import { MAX_TOOLS } from '../../limits.js'
import { checkListLength, checkMessageLists } from '../../list-bounds.js'
import type { SurfaceContext } from '../../surface.js'
import { checkTemplate } from '../../turn-fields.js'
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
  checkTemplate(engine.info)
  return messageFields.check(body, strictFields)
}
