// The list's choice in the address: it outlives a reload, and can be sent.

import { computed, type WritableComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { addressOf, queryOf, type RequestQuery } from './query.js'

export function useQuery(): WritableComputedRef<RequestQuery> {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => queryOf(route.query),
    set: (query) => void router.replace({ query: addressOf(query) }),
  })
}
