import type { ModelList, ModelRow } from '../../../protocol/index.js'
import type { SamplingDefaults, Sourced } from '../../generation-defaults.js'
import { json, type SurfaceContext, type SurfaceRoute } from '../../surface.js'
import { checkModel, samplingParams } from '../../turn-fields.js'
import { validate } from '../../validate.js'
import { ModelParams } from '../schemas/models.js'

/** GET /v1/models */
export const models: SurfaceRoute['handler'] = (_, context) => {
  const body: ModelList = { object: 'list', data: context.models.map((id) => row(id, context)) }
  return json(body)
}

/** GET /v1/models/{id}: a name with slashes may be sent with its slashes encoded or not. */
export const model: SurfaceRoute['handler'] = ({ params }, context) => {
  const { id } = validate(ModelParams, params)
  return json(row(checkModel(id.join('/'), context.models), context))
}

function row(id: string, { engine, service, startedAtS, generation }: SurfaceContext): ModelRow {
  const defaults = samplingParams({}, engine.info)
  return {
    id,
    object: 'model',
    created: startedAtS,
    owned_by: 'attentionstore',
    max_model_len: service.modelContext,
    default_sampling: {
      temperature: defaults.temperature,
      top_p: defaults.topP,
      top_k: defaults.topK,
      min_p: defaults.minP,
      repetition_penalty: defaults.repetitionPenalty,
      presence_penalty: defaults.presencePenalty,
      frequency_penalty: defaults.frequencyPenalty,
    },
    generation_defaults: {
      api: samplingBody(generation.api),
      chat: { ...samplingBody(generation.chat), max_tokens: generation.chatMaxTokens },
    },
  }
}

/** No model's files name these two. */
const UNPENALISED: Sourced = { value: 0, source: 'openai' }

function samplingBody({ temperature, topP, topK, minP, repetitionPenalty }: SamplingDefaults): ModelRow['generation_defaults']['api'] {
  return {
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    presence_penalty: UNPENALISED,
    frequency_penalty: UNPENALISED,
  }
}
