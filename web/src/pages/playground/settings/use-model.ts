// The model that answers, as the server describes it.

import type { ModelList, ModelRow } from 'attentionstore/protocol'
import { shallowRef, type ShallowRef } from 'vue'
import type { HttpClient } from '../../../http/client.js'

/** null: not known yet, or the server does not say. Questions without a model's name go to the first. */
export function useModel(http: HttpClient): Readonly<ShallowRef<ModelRow | null>> {
  const model = shallowRef<ModelRow | null>(null)

  async function load(): Promise<void> {
    // A chat needs no description: a server that cannot be reached says so at the first question.
    const list = await http.json<ModelList>('/v1/models').catch(() => null)
    model.value = list?.data[0] ?? null
  }

  void load()
  return model
}
