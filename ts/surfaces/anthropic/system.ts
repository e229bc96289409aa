// The system prompt: one text, without the line that changes with every request.

import { wellFormed } from '../turn-fields.js'
import type { CountTokensRequest } from './schemas/messages.js'

/**
 * Claude Code's first system block is a line for Anthropic's accounts. Its checksum is another one in each request; left in
 * place it would make every prompt new from its first token on.
 */
const BILLING_LINE = /^x-anthropic-billing-header:[^\n]*\n?/

/** null: there is none. */
export function systemText(system: CountTokensRequest['system']): string | null {
  const texts = typeof system === 'string' ? [system] : (system ?? []).map(({ text }) => text)
  const text = texts.map((piece) => piece.replace(BILLING_LINE, '')).join('')
  return text === '' ? null : wellFormed(text)
}
