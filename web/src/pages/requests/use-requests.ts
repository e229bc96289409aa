// The requests that the page shows: what the server remembers at every connect, then what it tells.

import type { RequestList, RequestRecord } from 'attentionstore/protocol'
import { computed, shallowRef, watch, type ComputedRef, type ShallowRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import { useTopic } from '../../connection/use-topic.js'
import type { HttpClient } from '../../http/client.js'
import { messageOf } from '../../http/failure.js'
import { MAX_REQUESTS, RequestStore } from './request-store.js'

export interface Requests {
  /** Newest first; stands still while `isHeld`. */
  readonly shown: Readonly<ShallowRef<readonly RequestRecord[]>>
  /** Requests that came since the list stands still, newest first. */
  readonly unseen: ComputedRef<readonly RequestRecord[]>
  readonly failure: Readonly<ShallowRef<string>>
  readonly isLoading: Readonly<ShallowRef<boolean>>
  /** Rows do not move under someone who reads them. */
  hold(isHeld: boolean): void
}

export function useRequests(live: Live, http: HttpClient): Requests {
  const store = new RequestStore()
  const shown = shallowRef<readonly RequestRecord[]>([])
  const latest = shallowRef<readonly RequestRecord[]>([])
  const failure = shallowRef('')
  const isLoading = shallowRef(true)
  let isHeld = false

  const show = () => {
    const list = store.list()
    latest.value = list
    if (!isHeld) shown.value = list
  }
  const load = async () => {
    try {
      const { requests } = await http.json<RequestList>(`/admin/requests?limit=${MAX_REQUESTS}`)
      store.take(requests)
      failure.value = ''
      show()
    } catch (thrown) {
      failure.value = messageOf(thrown)
    } finally {
      isLoading.value = false
    }
  }

  // First the topic, then the list: nothing that ends between them is missed.
  useTopic(live, 'requests', ({ records }) => {
    store.take(records)
    show()
  })
  // A server that started anew counts anew.
  watch(live.info, (info, before) => {
    if (before && info?.startedAtMs !== before.startedAtMs) store.clear()
  })
  watch(
    live.status,
    (status) => {
      if (status === 'live') void load()
    },
    { immediate: true },
  )

  return {
    shown,
    unseen: computed(() => {
      const top = shown.value[0]?.seq ?? Infinity
      return latest.value.filter(({ seq }) => seq > top)
    }),
    failure,
    isLoading,
    hold: (held) => {
      isHeld = held
      show()
    },
  }
}
