// The list that the page shows: searched on the server, read as far as someone scrolls, fresh while at its top.

import type { ConversationPage, ConversationRow } from 'attentionstore/protocol'
import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import type { HttpClient } from '../../http/client.js'
import { messageOf } from '../../http/failure.js'
import { ConversationList, isSame } from './conversation-list.js'

const PAGE_ROWS = 500
const SEARCH_DELAY_MS = 200
/** Samples come twice a second. */
const REFRESH_SAMPLES = 4

export interface Conversations {
  readonly query: ShallowRef<string>
  /** Of all that match, read or not. */
  readonly total: Readonly<ShallowRef<number>>
  /** Grows whenever rows have come; they themselves are not reactive. */
  readonly version: Readonly<ShallowRef<number>>
  readonly isLoading: Readonly<ShallowRef<boolean>>
  readonly failure: Readonly<ShallowRef<string>>
  row(index: number): ConversationRow | undefined
  find(row: Pick<ConversationRow, 'id' | 'tenant'>): ConversationRow | undefined
  /** Reads on until row `index` is there. */
  ensure(index: number): void
  /** Reads one conversation again. */
  update(row: Pick<ConversationRow, 'id' | 'tenant'>): Promise<void>
  remove(row: Pick<ConversationRow, 'id' | 'tenant'>): void
  reload(): void
}

export function useConversations(live: Live, http: HttpClient): Conversations {
  const query = shallowRef('')
  const total = shallowRef(0)
  const version = shallowRef(0)
  const isLoading = shallowRef(true)
  const failure = shallowRef('')
  let list = newList()

  function newList(): ConversationList {
    const q = query.value.trim()
    const fresh: ConversationList = new ConversationList(
      (cursor) => fetchPage(http, q, cursor),
      () => {
        if (fresh !== list) return
        total.value = fresh.total
        version.value += 1
      },
    )
    return fresh
  }

  const guarded = async (reading: Promise<void>, from: ConversationList) => {
    try {
      await reading
      if (from === list) failure.value = ''
    } catch (thrown) {
      if (from === list) failure.value = messageOf(thrown)
    } finally {
      if (from === list) isLoading.value = false
    }
  }
  const ensure = (index: number) => void guarded(list.ensure(index), list)
  const reload = () => {
    list = newList()
    ensure(0)
  }

  let timer: ReturnType<typeof setTimeout> | undefined
  watch(query, () => {
    clearTimeout(timer)
    timer = setTimeout(reload, SEARCH_DELAY_MS)
  })
  let samples = 0
  watch(live.sample, () => {
    samples += 1
    if (samples % REFRESH_SAMPLES === 0) void guarded(list.refresh(), list)
  })
  watch(live.status, (status) => status === 'live' && reload())
  onScopeDispose(() => clearTimeout(timer))
  reload()

  return {
    query,
    total,
    version,
    isLoading,
    failure,
    row: (index) => list.row(index),
    find: (row) => list.find(row),
    ensure,
    async update(row) {
      const page = await fetchPage(http, row.id, null)
      const fresh = page.conversations.find((found) => isSame(found, row))
      if (fresh) list.replace(fresh)
    },
    remove: (row) => list.remove(row),
    reload,
  }
}

function fetchPage(http: HttpClient, q: string, cursor: string | null): Promise<ConversationPage> {
  const parameters = new URLSearchParams({ limit: String(PAGE_ROWS) })
  if (q !== '') parameters.set('q', q)
  if (cursor !== null) parameters.set('cursor', cursor)
  return http.json<ConversationPage>(`/admin/conversations?${parameters}`)
}
