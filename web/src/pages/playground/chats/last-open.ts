// Which chat this window had open: a reload comes back to it, and another window has its own.

import type { LastOpen } from './use-chats.js'

const KEY = 'attentionstore.playground.open'

/** A browser that stores nothing remembers nothing. */
export const windowsLastOpen: LastOpen = {
  get() {
    try {
      return sessionStorage.getItem(KEY)
    } catch {
      return null
    }
  },
  set(id) {
    try {
      sessionStorage.setItem(KEY, id)
    } catch {
      // The next visit then opens the latest chat.
    }
  },
}
