// Fields, tools and parts of the Responses API that this server does not serve: refused by name, because the answer would be
// another one without them.

import { ApiError } from '../../protocol/errors.js'
import { rawField } from '../list-bounds.js'

/** Field → the reason, as the end of a sentence. */
const FIELDS: Readonly<Record<string, string>> = {
  conversation: 'conversations of the Responses API. x-conversation-id names one of this server',
  prompt: 'stored prompts',
  context_management: 'compaction by the server',
  moderation: 'moderation',
}

/** Items that tools of a server leave behind. */
const SERVED_ITEMS = new Set(['message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output', 'reasoning', 'item_reference'])
const SERVED_TOOLS = new Set(['function', 'custom'])
const PARTS: Readonly<Record<string, string>> = { input_image: 'images', input_file: 'files', input_audio: 'audio' }
const SERVED_TIERS = new Set(['auto', 'default'])

/** @throws ApiError `unsupported_parameter` naming the field. */
export function refuseUnsupported(body: unknown): void {
  for (const [field, what] of Object.entries(FIELDS)) if (asksForSomething(rawField(body, field))) throw unsupported(field, what)
  if (rawField(body, 'background') === true) throw unsupported('background', 'responses in the background')
  const tier = rawField(body, 'service_tier')
  if (typeof tier === 'string' && !SERVED_TIERS.has(tier)) throw unsupported('service_tier', 'tiers of service. Leave the field out, or send auto')
  refuseTools(body)
  for (const [index, item] of listOf(body, 'input').entries()) refuseItem(item, `input.${index}`)
}

function refuseTools(body: unknown): void {
  for (const [index, tool] of listOf(body, 'tools').entries()) {
    const type = rawField(tool, 'type')
    if (typeof type === 'string' && !SERVED_TOOLS.has(type)) throw unsupported(`tools.${index}.type`, 'tools that the server itself runs')
    if (rawField(rawField(tool, 'format'), 'type') === 'grammar') throw unsupported(`tools.${index}.format`, 'grammars for the input of custom tools')
  }
  const choice = rawField(rawField(body, 'tool_choice'), 'type')
  if (typeof choice === 'string' && !SERVED_TOOLS.has(choice) && choice !== 'allowed_tools') {
    throw unsupported('tool_choice.type', 'tools that the server itself runs')
  }
}

function refuseItem(item: unknown, path: string): void {
  const type = rawField(item, 'type')
  if (typeof type === 'string' && !SERVED_ITEMS.has(type)) throw unsupported(`${path}.type`, 'items of this type')
  for (const field of ['content', 'output']) {
    for (const [index, part] of listOf(item, field).entries()) {
      const kind = rawField(part, 'type')
      const what = typeof kind === 'string' && Object.hasOwn(PARTS, kind) ? PARTS[kind] : undefined
      if (what !== undefined) throw unsupported(`${path}.${field}.${index}.type`, what)
    }
  }
}

function asksForSomething(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)
}

function listOf(owner: unknown, field: string): readonly unknown[] {
  const list = rawField(owner, field)
  return Array.isArray(list) ? list : []
}

function unsupported(param: string, what: string): ApiError {
  return new ApiError('unsupported_parameter', `${param}: The server does not support ${what}.`, param)
}
