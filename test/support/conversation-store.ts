// Conversations alone, without a service around them.

import { Conversations, type ConversationOptions } from '../../ts/conversations/conversations.js'

/** In memory and on a clock that stands, unless `given` says otherwise; its ids are c1, c2, …. */
export function conversationStore(given: Partial<ConversationOptions> = {}): Conversations {
  let made = 0
  return new Conversations({
    database: null,
    secret: Buffer.alloc(32, 7),
    textFingerprint: 'text',
    maxRecordBytes: 1 << 20,
    maxConversations: 100,
    newId: () => `c${++made}`,
    now: () => Date.UTC(2026, 2, 1),
    ...given,
  })
}
