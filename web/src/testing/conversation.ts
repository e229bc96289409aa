// A conversation's row for tests: everything nothing but what is given.

import { perTier, type ConversationRow } from 'attentionstore/protocol'

const none = { blocks: 0, tokens: 0 }

export function conversationRow(id: string, given: Partial<ConversationRow> = {}): ConversationRow {
  return {
    id,
    tenant: '',
    turns: 1,
    tokens: 0,
    created_at_ms: 0,
    last_used_at_ms: 0,
    forked_from: null,
    active_turns: 0,
    tiers: perTier(() => none),
    strip: [],
    ...given,
  }
}
