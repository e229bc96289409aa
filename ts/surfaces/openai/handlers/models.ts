import type { ModelList } from '../../../protocol/index.js'
import { json, type SurfaceRoute } from '../../surface.js'

/** GET /v1/models */
export const models: SurfaceRoute['handler'] = (_, { models, service, startedAtS }) => {
  const data = models.map((id) => ({
    id,
    object: 'model' as const,
    created: startedAtS,
    owned_by: 'attentionstore',
    max_model_len: service.modelContext,
  }))
  const body: ModelList = { object: 'list', data }
  return json(body)
}
