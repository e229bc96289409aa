// The chats of the playground: those of earlier visits out of the store, and each change of one back into it.

import { computed, onScopeDispose, shallowRef, watch, type ComputedRef, type ShallowRef } from 'vue'
import { messageOf } from '../../../http/failure.js'
import { NEW_SETTINGS } from '../settings/chat-settings.js'
import { forkOf, newChat, type Chat } from './chat.js'
import { readRecord, recordOf } from './chat-record.js'
import type { ChatStore } from './chat-store.js'

/** Chats that are kept; the one that was left alone the longest goes first. */
export const MAX_CHATS = 100
/** A chat that changes all the time is stored this often. */
const SAVE_MS = 1000

export interface Chats {
  /** The last changed first. */
  readonly chats: Readonly<ShallowRef<readonly Chat[]>>
  readonly current: ComputedRef<Chat>
  /** Why chats are not kept as they should be, in words; ''. */
  readonly trouble: Readonly<ShallowRef<string>>
  /** Resolves once the chats of earlier visits are there, or cannot be had. */
  readonly loaded: Promise<void>
  open(id: string): void
  /** A new chat with the settings of the current one. */
  begin(): void
  fork(last: number): void
  /** Soon: the change is one of many, and is stored with the next ones. */
  change(id: string, update: (chat: Chat) => Chat, when?: 'now' | 'soon'): void
  rename(id: string, title: string): void
  remove(id: string): void
  removeAll(): void
  /** Stores what is not stored yet. */
  flush(): void
}

export interface ChatsOptions {
  /** @throws if the browser stores nothing. */
  readonly openStore: () => Promise<ChatStore>
  readonly lastOpen: LastOpen
  readonly newId: () => string
  /** Milliseconds. */
  readonly now: () => number
}

/** The chat that was open when the page was left. */
export interface LastOpen {
  get(): string | null
  set(id: string): void
}

export function useChats({ openStore, lastOpen, newId, now }: ChatsOptions): Chats {
  const first = newChat(newId(), NEW_SETTINGS, now())
  const leftAt = lastOpen.get()
  const chats = shallowRef<readonly Chat[]>([first])
  const currentId = shallowRef(first.id)
  const trouble = shallowRef('')
  const current = computed(() => chats.value.find(({ id }) => id === currentId.value) ?? first)
  const unsaved = new Set<string>()
  let store: ChatStore | null = null
  let timer: ReturnType<typeof setTimeout> | null = null
  let isOver = false

  const keep = (work: Promise<void> | undefined) => {
    work?.catch((thrown: unknown) => {
      trouble.value = `This browser did not keep the last change: ${messageOf(thrown)}`
    })
  }
  const flush = () => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (store === null) return
    for (const chat of chats.value) if (unsaved.has(chat.id)) keep(store.save(recordOf(chat)))
    unsaved.clear()
  }
  const mark = (id: string, when: 'now' | 'soon') => {
    unsaved.add(id)
    if (when === 'now') flush()
    else timer ??= setTimeout(flush, SAVE_MS)
  }
  const add = (chat: Chat) => {
    const sorted = [chat, ...chats.value.filter(({ entries }) => entries.length > 0)]
    chats.value = sorted.slice(0, MAX_CHATS)
    currentId.value = chat.id
    forget(sorted.slice(MAX_CHATS))
  }
  const forget = (gone: readonly Chat[]) => {
    for (const { id } of gone) unsaved.delete(id)
    if (gone.length > 0) keep(store?.remove(gone.map(({ id }) => id)))
  }
  const begin = () => {
    if (current.value.entries.length > 0) add(newChat(newId(), current.value.settings, now()))
  }

  const open = (id: string) => {
    currentId.value = id
    // An empty chat is gone once another one is opened.
    chats.value = chats.value.filter((chat) => chat.id === id || chat.entries.length > 0)
  }
  const change: Chats['change'] = (id, update, when = 'now') => {
    const chat = chats.value.find((one) => one.id === id)
    if (!chat) return
    const changed = update(chat)
    const isNewer = changed.changedAtMs !== chat.changedAtMs
    const others = chats.value.filter((one) => one.id !== id)
    chats.value = isNewer ? [changed, ...others] : chats.value.map((one) => (one.id === id ? changed : one))
    if (changed.entries.length > 0) mark(id, when)
  }

  async function load(): Promise<void> {
    const opened = await openStore()
    if (isOver) return opened.close()
    const found = (await opened.load()).map(readRecord)
    const read = found.filter((chat) => typeof chat !== 'string')
    const known = new Set(chats.value.map(({ id }) => id))
    const earlier = read.filter(({ id }) => !known.has(id)).toSorted((a, b) => b.changedAtMs - a.changedAtMs)
    chats.value = [...chats.value, ...earlier].slice(0, MAX_CHATS)
    store = opened
    // One that was new and empty is not stored: a new one stands for it.
    const wanted = leftAt === null ? earlier[0] : earlier.find(({ id }) => id === leftAt)
    if (wanted && current.value.entries.length === 0) open(wanted.id)
    trouble.value = troubleOf(found)
    flush()
  }
  const loaded = load().catch((thrown: unknown) => {
    trouble.value = `This browser keeps no chats, they end with this page: ${messageOf(thrown)}`
  })

  watch(currentId, (id) => lastOpen.set(id), { immediate: true, flush: 'sync' })
  onScopeDispose(() => {
    flush()
    isOver = true
    store?.close()
  })
  return {
    chats,
    current,
    trouble,
    loaded,
    begin,
    flush,
    open,
    change,
    fork(last) {
      const chat = forkOf(current.value, last, newId(), now())
      add(chat)
      mark(chat.id, 'now')
    },
    rename(id, title) {
      if (title.trim() !== '') change(id, (chat) => ({ ...chat, title: title.trim().slice(0, 200), isNamed: true }))
    },
    remove(id) {
      forget(chats.value.filter((chat) => chat.id === id))
      const { settings } = current.value
      const left = chats.value.filter((chat) => chat.id !== id)
      chats.value = left.length > 0 ? left : [newChat(newId(), settings, now())]
      if (currentId.value === id) currentId.value = chats.value[0]?.id ?? ''
    },
    removeAll() {
      unsaved.clear()
      chats.value = [newChat(newId(), NEW_SETTINGS, now())]
      currentId.value = chats.value[0]?.id ?? ''
      keep(store?.removeAll())
    },
  }
}

function troubleOf(found: ReadonlyArray<Chat | 'newer' | 'damaged'>): string {
  const damaged = found.filter((chat) => chat === 'damaged').length
  const newer = found.filter((chat) => chat === 'newer').length
  const sentences = [
    damaged > 0 ? `${damaged} stored ${damaged === 1 ? 'chat is' : 'chats are'} damaged and cannot be shown.` : '',
    newer > 0 ? `${newer} stored ${newer === 1 ? 'chat is' : 'chats are'} of a later version of this page.` : '',
  ]
  return sentences.filter((sentence) => sentence !== '').join(' ')
}
