// Checks that come before and after the schemas, the same for a message and for its length.

import { ApiError } from '../../../protocol/errors.js'
import { checkListLength, checkMessageLists } from '../../list-bounds.js'
import type { SurfaceContext } from '../../surface.js'
import { MAX_TOOLS } from '../../tool-fields.js'
import { MAX_STOPS } from '../schemas/messages.js'
import { refuseUnsupported } from '../unsupported.js'

/** @throws ApiError naming the field. */
export function checkBody(body: unknown, { engine, service }: SurfaceContext): void {
  checkMessageLists(body, { field: 'messages', parts: 'content', maxModelLen: service.modelContext, isTruncated: false })
  checkListLength(body, 'tools', MAX_TOOLS)
  checkListLength(body, 'stop_sequences', MAX_STOPS)
  refuseUnsupported(body)
  if (engine.info.hasChatTemplate) return
  throw new ApiError('invalid_value', 'messages: The model has no chat template. Use /v1/completions.', 'messages')
}
