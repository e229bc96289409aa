// Where chats outlive the page: in this browser, and nowhere else.

import type { ChatRecord } from './chat-record.js'

export interface ChatStore {
  /** Every record, as it was found. */
  load(): Promise<readonly unknown[]>
  save(record: ChatRecord): Promise<void>
  remove(ids: readonly string[]): Promise<void>
  removeAll(): Promise<void>
  close(): void
}
