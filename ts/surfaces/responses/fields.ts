// The three lists of docs/interface.md, "Responses": a test compares them with that page and with the schemas.

import { asksForNothing, FieldTable, type FieldList, type FieldRow } from '../fields.js'
import { ITEM_TYPES, PART_TYPES } from './schemas/items.js'

function rows(list: FieldList, names: string, rule: Pick<FieldRow, 'passes' | 'reason'> = {}): FieldRow[] {
  return names.trim().split(/\s+/).map((field) => ({ field, list, ...rule }))
}

/** Of a field whose text names a kind; another kind of value is the schema's to refuse. */
const isKind =
  (...kinds: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value !== 'string' || kinds.includes(value)

const ONLY_TEXT = 'The model reads and writes text; parts of this type are not supported.'
const NO_TOOLS = 'The server runs no tools of its own: tools are those that the client runs.'

export const FIELDS: readonly FieldRow[] = [
  ...rows('served', `
    model input input[].role input[].content input[].content[].text input[].content[].refusal input[].call_id input[].name
    input[].arguments input[].input input[].output input[].output[].text input[].summary input[].summary[].type
    input[].summary[].text input[].encrypted_content input[].id
    instructions previous_response_id tools tools[].name tools[].description tools[].parameters tools[].strict tools[].format tools[].format.syntax tools[].format.definition
    tool_choice tool_choice.name tool_choice.mode tool_choice.tools tool_choice.tools[].name parallel_tool_calls
    text text.format text.format.type text.format.name text.format.schema text.format.strict
    reasoning reasoning.effort max_output_tokens temperature top_p top_k min_p presence_penalty frequency_penalty seed
    top_logprobs include truncation store stream metadata prompt_cache_key prompt_cache_retention cache_salt`),
  ...rows('served', 'input[].type', { passes: isKind(...ITEM_TYPES), reason: 'The server does not support items of this type.' }),
  ...rows('served', 'input[].content[].type', { passes: isKind(...PART_TYPES, 'reasoning_text'), reason: ONLY_TEXT }),
  ...rows('served', 'input[].output[].type', { passes: isKind(...PART_TYPES), reason: ONLY_TEXT }),
  ...rows('served', 'tools[].type tool_choice.tools[].type', { passes: isKind('function', 'custom'), reason: NO_TOOLS }),
  ...rows('served', 'tool_choice.type', { passes: isKind('function', 'custom', 'allowed_tools'), reason: NO_TOOLS }),
  ...rows('served', 'tools[].format.type', { passes: isKind('text', 'grammar'), reason: 'The input of a custom tool is a text, free or of a grammar.' }),
  ...rows('accepted', `
    user safety_identifier max_tool_calls reasoning.summary text.verbosity text.format.description stream_options
    client_metadata input[].status input[].phase input[].content[].annotations input[].content[].logprobs
    tools[].defer_loading tools[].output_schema tools[].allowed_callers reasoning.generate_summary reasoning.context
    prompt_cache_options`),
  ...rows('accepted', 'service_tier', { passes: isKind('auto', 'default'), reason: 'The server has one tier of service: auto, or default.' }),
  ...rows('refused', 'conversation', { reason: 'The server has no conversations of the Responses API. The header x-conversation-id names one of its own.' }),
  ...rows('refused', 'background', { passes: asksForNothing, reason: 'A response is made while its client waits.' }),
  ...rows('refused', 'prompt', { reason: 'The server keeps no prompts.' }),
  ...rows('refused', 'context_management', { reason: 'The server does not compact conversations. "truncation": "auto" goes on with a part of one.' }),
  ...rows('refused', 'moderation', { reason: 'The server does not moderate.' }),
]

export const responseFields = new FieldTable(FIELDS)
