import { ApiError } from '../../../protocol/errors.js'
import { json, type SurfaceRoute } from '../../surface.js'
import { validate } from '../../validate.js'
import { foundOrThrow } from '../kept.js'
import { ItemsQuery, ResponseParams } from '../schemas/request.js'
import type { ResponseBody } from '../schemas/response.js'

/** GET /v1/responses/:id */
export const getResponse: SurfaceRoute['handler'] = ({ params, query, caller }, { service }) => {
  const { id } = validate(ResponseParams, params)
  if ((query as Readonly<Record<string, string>>)['stream'] === 'true') {
    throw new ApiError('unsupported_parameter', 'stream: The server does not send the events of a response again.', 'stream')
  }
  return json(JSON.parse(foundOrThrow(service.responses.find(caller.tenant, id)).body) as ResponseBody)
}

/** DELETE /v1/responses/:id */
export const deleteResponse: SurfaceRoute['handler'] = async ({ params, caller }, { service }) => {
  const { id } = validate(ResponseParams, params)
  foundOrThrow(service.responses.forget(caller.tenant, id) || null)
  await service.responses.flushed()
  return json({ id, object: 'response', deleted: true })
}

interface Item {
  readonly id: string
}

/** GET /v1/responses/:id/input_items: those that the request itself brought. */
export const listInputItems: SurfaceRoute['handler'] = ({ params, query, caller }, { service }) => {
  const { id } = validate(ResponseParams, params)
  const { limit, order, after } = validate(ItemsQuery, query)
  const oldestFirst = JSON.parse(foundOrThrow(service.responses.find(caller.tenant, id)).input) as Item[]
  const items = order === 'asc' ? oldestFirst : oldestFirst.toReversed()
  const at = after === undefined ? -1 : items.findIndex((item) => item.id === after)
  if (after !== undefined && at < 0) throw new ApiError('invalid_value', 'after: The response has no input item of this id.', 'after')
  const data = items.slice(at + 1, at + 1 + limit)
  return json({
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: at + 1 + limit < items.length,
  })
}
