// The newest map; the one before is forgotten.

import type { CacheMap } from 'attentionstore/protocol'
import { shallowRef, type ShallowRef } from 'vue'
import { useTopic } from '../../connection/use-topic.js'
import type { Live } from '../../connection/use-connection.js'

export function useMap(live: Live): Readonly<ShallowRef<CacheMap | null>> {
  const map = shallowRef<CacheMap | null>(null)
  useTopic(live, 'map', (next) => {
    map.value = next
  })
  return map
}
