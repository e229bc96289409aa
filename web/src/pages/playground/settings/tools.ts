// The tools that a model may call, as the user writes them: JSON, in OpenAI's form or bare.

import type { ChatRequest } from 'attentionstore/protocol'

export type Tool = NonNullable<ChatRequest['tools']>[number]
export type ParsedTools = { readonly ok: true; readonly tools: Tool[] } | { readonly ok: false; readonly message: string }

/** One tool or a list of them, each as `{"type": "function", "function": {…}}` or the function alone. Blank: none. */
export function parseTools(text: string): ParsedTools {
  if (text.trim() === '') return { ok: true, tools: [] }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (thrown) {
    return { ok: false, message: `not valid JSON (${thrown instanceof Error ? thrown.message : String(thrown)})` }
  }
  const tools: Tool[] = []
  for (const [index, item] of (Array.isArray(parsed) ? parsed : [parsed]).entries()) {
    const described = functionOf(item)
    if (described === null) return { ok: false, message: `tool ${index + 1} has no function with a name` }
    tools.push({ type: 'function', function: described })
  }
  return { ok: true, tools }
}

/** The rest is checked by the server, which says what is wrong. */
function functionOf(item: unknown): Tool['function'] | null {
  if (typeof item !== 'object' || item === null) return null
  const described: unknown = 'function' in item ? item.function : item
  if (typeof described !== 'object' || described === null || !('name' in described)) return null
  return typeof described.name === 'string' && described.name !== '' ? (described as Tool['function']) : null
}
