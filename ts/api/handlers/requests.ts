import type { RequestList } from '../../protocol/index.js'
import { RequestQuery } from '../../protocol/schemas/requests.js'
import { json } from '../../surfaces/surface.js'
import { validate } from '../../surfaces/validate.js'
import type { Handler } from '../route.js'

/** GET /admin/requests */
export const listRequests: Handler = ({ query }, { service }) => {
  const { cursor, limit } = validate(RequestQuery, query)
  const { records, next } = service.records.page(cursor, limit)
  const body: RequestList = { requests: [...records], next_cursor: next }
  return json(body)
}
