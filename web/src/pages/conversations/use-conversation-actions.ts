// The chosen conversation, what is done with it, and what came of it.

import type { ConversationRow, EraseReceipt, LowerTierName } from 'attentionstore/protocol'
import { shallowRef, watch, type ShallowRef } from 'vue'
import type { HttpClient } from '../../http/client.js'
import { messageOf } from '../../http/failure.js'
import * as act from './actions.js'
import type { Conversations } from './use-conversations.js'

export interface Notice {
  readonly kind: 'good' | 'bad'
  readonly text: string
}

export interface ConversationActions {
  readonly chosen: Readonly<ShallowRef<ConversationRow | null>>
  /** One action at a time. */
  readonly isBusy: Readonly<ShallowRef<boolean>>
  readonly notice: Readonly<ShallowRef<Notice | null>>
  readonly receipt: Readonly<ShallowRef<EraseReceipt | null>>
  choose(row: ConversationRow | null): void
  dismiss(): void
  warm(): Promise<void>
  demote(to: LowerTierName): Promise<void>
  fork(): Promise<void>
  erase(): Promise<void>
}

export function useConversationActions(http: HttpClient, list: Conversations): ConversationActions {
  const chosen = shallowRef<ConversationRow | null>(null)
  const isBusy = shallowRef(false)
  const notice = shallowRef<Notice | null>(null)
  const receipt = shallowRef<EraseReceipt | null>(null)

  // The chosen row is the newest that was read of it.
  watch(list.version, () => {
    if (chosen.value) chosen.value = list.find(chosen.value) ?? chosen.value
  })

  const dismiss = () => {
    notice.value = null
    receipt.value = null
  }
  const perform = async (action: (row: ConversationRow) => Promise<string | null>) => {
    const row = chosen.value
    if (!row || isBusy.value) return
    dismiss()
    isBusy.value = true
    try {
      const text = await action(row)
      if (text !== null) notice.value = { kind: 'good', text }
    } catch (thrown) {
      notice.value = { kind: 'bad', text: messageOf(thrown) }
    } finally {
      isBusy.value = false
    }
  }
  const performAndUpdate = (action: (row: ConversationRow) => Promise<string>) =>
    perform(async (row) => {
      const text = await action(row)
      await list.update(row)
      return text
    })

  return {
    chosen,
    isBusy,
    notice,
    receipt,
    choose: (row) => {
      chosen.value = row
    },
    dismiss,
    warm: () => performAndUpdate((row) => act.warm(http, row)),
    demote: (to) => performAndUpdate((row) => act.demote(http, row, to)),
    fork: () =>
      perform(async (row) => {
        const text = await act.fork(http, row)
        list.reload()
        return text
      }),
    erase: () =>
      perform(async (row) => {
        receipt.value = await act.erase(http, row)
        chosen.value = null
        list.remove(row)
        return null
      }),
  }
}
