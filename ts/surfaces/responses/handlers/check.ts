// Checks that come before the schema, the same for a response and for its length.

import { MAX_TOOLS } from '../../limits.js'
import { checkListLength, checkMessageLists, rawField } from '../../list-bounds.js'
import type { SurfaceContext } from '../../surface.js'
import { checkTemplate } from '../../turn-fields.js'
import { responseFields } from '../fields.js'

/**
 * @returns names of fields that the server does not know.
 * @throws ApiError naming the field.
 */
export function checkBody(body: unknown, { engine, service, strictFields }: SurfaceContext): readonly string[] {
  const isTruncated = rawField(body, 'truncation') === 'auto'
  checkMessageLists(body, { field: 'input', parts: 'content', maxModelLen: service.modelContext, isTruncated })
  checkListLength(body, 'tools', MAX_TOOLS)
  checkTemplate(engine.info, 'input')
  return responseFields.check(body, strictFields)
}
