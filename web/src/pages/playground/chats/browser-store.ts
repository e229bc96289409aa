// Chats in the browser's IndexedDB: one record a chat, so that two windows do not overwrite each other's chats.

import { openDB, type DBSchema } from 'idb'
import type { ChatRecord } from './chat-record.js'
import type { ChatStore } from './chat-store.js'

interface Schema extends DBSchema {
  chats: { key: string; value: ChatRecord }
}

/** Holders of logins who share a browser see their own chats alone. Blank: no login is needed. */
export const databaseOf = (holder: string): string => `attentionstore.playground${holder === '' ? '' : `.${holder}`}`

/** Of the database's layout; a record counts its own version. */
const LAYOUT = 1

/**
 * @param holder Whose login the page has; blank: none is needed.
 * @throws if the browser stores nothing, in a private window for instance.
 */
export async function openBrowserStore(holder: string): Promise<ChatStore> {
  const database = await openDB<Schema>(databaseOf(holder), LAYOUT, {
    upgrade: (opened) => void opened.createObjectStore('chats', { keyPath: 'id' }),
    // A window with a later layout waits for this one: its wish goes first.
    blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
  })
  return {
    load: () => database.getAll('chats'),
    save: async (record) => void (await database.put('chats', record)),
    async remove(ids) {
      const change = database.transaction('chats', 'readwrite')
      await Promise.all([...ids.map((id) => change.store.delete(id)), change.done])
    },
    removeAll: () => database.clear('chats'),
    close: () => database.close(),
  }
}
