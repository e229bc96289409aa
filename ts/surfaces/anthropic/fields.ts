// The three lists of docs/interface.md, "Messages": a test compares them with that page and with the schemas.

import { FieldTable, type FieldList, type FieldRow } from '../fields.js'
import { BLOCK_TYPES } from './schemas/blocks.js'

function rows(list: FieldList, names: string, rule: Pick<FieldRow, 'passes' | 'reason'> = {}): FieldRow[] {
  return names.trim().split(/\s+/).map((field) => ({ field, list, ...rule }))
}

/** Of a field whose text names a kind; another kind of value is the schema's to refuse. */
const isKind =
  (...kinds: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value !== 'string' || kinds.includes(value)

const ONLY_TEXT = 'The model reads and writes text; blocks of this type are not supported.'
const ONLY_CUSTOM = 'The server runs no tools of its own: tools are those that the client runs.'

/** Of the prompt: count_tokens has them too. */
const PROMPT = `
  model messages messages[].role messages[].content messages[].content[].text messages[].content[].thinking
  messages[].content[].signature messages[].content[].data messages[].content[].id messages[].content[].name
  messages[].content[].input messages[].content[].tool_use_id messages[].content[].content messages[].content[].content[].text
  messages[].content[].is_error messages[].content[].cache_control messages[].content[].cache_control.type
  messages[].content[].cache_control.ttl messages[].content[].content[].cache_control
  messages[].content[].content[].cache_control.type messages[].content[].content[].cache_control.ttl
  system system[].text system[].cache_control system[].cache_control.type system[].cache_control.ttl
  tools tools[].name tools[].description tools[].input_schema tools[].strict tools[].cache_control tools[].cache_control.type
  tools[].cache_control.ttl tool_choice tool_choice.type tool_choice.name tool_choice.disable_parallel_tool_use
  thinking thinking.type thinking.display output_config output_config.effort output_config.format output_config.format.type
  output_config.format.schema output_format output_format.type output_format.schema cache_control cache_control.type
  cache_control.ttl cache_salt conversation`

export const FIELDS: readonly FieldRow[] = [
  ...rows('served', PROMPT),
  ...rows('served', 'messages[].content[].type', { passes: isKind(...BLOCK_TYPES), reason: ONLY_TEXT }),
  ...rows('served', 'messages[].content[].content[].type system[].type', { passes: isKind('text'), reason: ONLY_TEXT }),
  ...rows('served', 'tools[].type', { passes: isKind('custom'), reason: ONLY_CUSTOM }),
  ...rows('served', 'max_tokens stop_sequences stream temperature top_k top_p seed'),
  ...rows('accepted', `
    metadata metadata.user_id thinking.budget_tokens inference_geo speed context_management betas diagnostics
    messages[].id messages[].content[].citations messages[].content[].caller messages[].content[].toolset_name
    messages[].content[].content[].citations system[].citations tools[].input_examples tools[].eager_input_streaming
    tools[].defer_loading tools[].allowed_callers user_profile_id workspace_id billing_policy fallbacks fallback_credit_token
    output_config.task_budget messages[].clear_at messages[].output_config cache_control.scope system[].cache_control.scope
    tools[].cache_control.scope messages[].content[].cache_control.scope messages[].content[].content[].cache_control.scope`),
  ...rows('accepted', 'service_tier', {
    passes: isKind('auto', 'standard_only'),
    reason: 'The server has one tier of service: auto, or standard_only.',
  }),
  ...rows('refused', 'mcp_servers', { reason: 'The server connects to no other server.' }),
  ...rows('refused', 'compaction thread', { reason: 'The server keeps no messages, and compacts no conversation.' }),
  ...rows('refused', 'container', { reason: 'The server has no containers.' }),
]

export const messageFields = new FieldTable(FIELDS)
