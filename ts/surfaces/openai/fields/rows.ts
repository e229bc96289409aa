// The three lists of docs/interface.md, "Fields": a test compares them with that page.

import type { FieldList, FieldRow } from '../../fields.js'
import { TEXT_PARTS } from '../schemas/messages.js'

export type FieldRoute = 'chat' | 'completions'

export interface OpenAiField extends FieldRow {
  readonly routes: readonly FieldRoute[]
}

const ROUTES = { chat: ['chat'], completions: ['completions'], both: ['chat', 'completions'] } as const
type Of = keyof typeof ROUTES

interface Rule {
  readonly passes?: (value: unknown) => boolean
  readonly reason?: string
}

function rows(list: FieldList, of: Of, names: string, rule: Rule = {}): OpenAiField[] {
  return names.trim().split(/\s+/).map((field) => ({ field, list, routes: ROUTES[of], ...rule }))
}

const is =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value)

/** Of a field whose text names a kind; another kind of value is the schema's to refuse. */
const isKind =
  (...kinds: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value !== 'string' || kinds.includes(value)

const ONLY_TEXT = 'The model reads and writes text.'
const ONLY_FUNCTIONS = 'The server runs no tools: tools are functions that the client calls.'

const SERVED = [
  ...rows('served', 'both', `
    model stream stream_options stream_options.include_usage max_tokens temperature top_p top_k min_p repetition_penalty
    presence_penalty frequency_penalty logit_bias seed stop stop_token_ids ignore_eos min_tokens min_new_tokens bad_words
    include_stop_str_in_output no_stop_trim logprobs prompt_logprobs cache_salt conversation session_id
    prompt_cache_key prompt_cache_retention truncation truncate_prompt_tokens
    response_format response_format.schema response_format.json_schema response_format.json_schema.name
    response_format.json_schema.schema response_format.json_schema.strict
    structured_outputs structured_outputs.json structured_outputs.regex structured_outputs.choice structured_outputs.grammar
    structured_outputs.json_object guided_json guided_regex guided_choice guided_grammar grammar json_schema`),
  ...rows('served', 'both', 'response_format.type', {
    passes: isKind('text', 'json_object', 'json_schema'),
    reason: 'The server knows text, json_object and json_schema.',
  }),
  ...rows('served', 'completions', 'prompt echo add_special_tokens parse_special'),
  ...rows('served', 'chat', `
    max_completion_tokens top_logprobs include_reasoning
    messages messages[].role messages[].content messages[].content[].text messages[].content[].refusal
    messages[].content[].thinking messages[].name messages[].refusal messages[].reasoning_content messages[].reasoning
    messages[].tool_call_id messages[].tool_calls messages[].tool_calls[].id messages[].tool_calls[].function
    messages[].tool_calls[].function.name messages[].tool_calls[].function.arguments
    messages[].function_call messages[].function_call.name messages[].function_call.arguments
    tools tools[].function tools[].function.name tools[].function.description tools[].function.parameters tools[].function.strict
    tool_choice tool_choice.function tool_choice.function.name tool_choice.allowed_tools tool_choice.allowed_tools.mode
    tool_choice.allowed_tools.tools tool_choice.allowed_tools.tools[].function tool_choice.allowed_tools.tools[].function.name
    parallel_tool_calls functions functions[].name functions[].description functions[].parameters function_call
    function_call.name reasoning_effort enable_thinking chat_template_kwargs chat_template
    add_generation_prompt continue_final_message messages[].prefix messages[].partial`),
  ...rows('served', 'chat', 'messages[].content[].type', { passes: isKind(...TEXT_PARTS), reason: ONLY_TEXT }),
  ...rows('served', 'chat', 'tools[].type messages[].tool_calls[].type tool_choice.allowed_tools.tools[].type', {
    passes: isKind('function'),
    reason: ONLY_FUNCTIONS,
  }),
  ...rows('served', 'chat', 'tool_choice.type', { passes: isKind('function', 'allowed_tools'), reason: ONLY_FUNCTIONS }),
]

const ACCEPTED = [
  ...rows('accepted', 'both', `
    user metadata safety_identifier store request_id priority cache_prompt id_slot timings_per_token return_progress
    stream_options.include_obfuscation stream_options.continuous_usage_stats response_format.json_schema.description
    structured_outputs.disable_fallback guided_decoding_backend spaces_between_special_tokens length_penalty early_stopping
    repeat_last_n mirostat_tau mirostat_eta dynatemp_exponent dry_base dry_allowed_length dry_penalty_last_n
    dry_sequence_breakers xtc_threshold`),
  ...rows('accepted', 'both', 'service_tier', {
    passes: is('auto', 'default'),
    reason: 'The server has one tier of service: auto, or default.',
  }),
  ...rows('accepted', 'chat', `
    verbosity messages[].annotations messages[].cache_control messages[].content[].cache_control
    messages[].content[].annotations messages[].reasoning_details messages[].thinking_blocks messages[].provider_specific_fields
    messages[].tool_calls[].index messages[].tool_calls[].cache_control messages[].tool_calls[].extra_content
    tools[].cache_control`),
]

const SAMPLING = 'The server does not sample this way.'
const SEPARATE = 'Reasoning is always told apart from the content.'

const REFUSED = [
  ...rows('refused', 'both', 'n best_of', { passes: is(1), reason: 'The server gives one answer a prompt.' }),
  ...rows('refused', 'both', 'use_beam_search', { reason: 'The server gives one answer a prompt.' }),
  ...rows('refused', 'both', 'skip_special_tokens', { passes: is(true), reason: 'Special tokens are no part of the text of an answer.' }),
  ...rows('refused', 'chat', 'echo', { reason: 'The prompt is not repeated before the answer.' }),
  ...rows('refused', 'both', 'suffix', { reason: 'The server continues a prompt, and fills in no middle.' }),
  ...rows('refused', 'both', 'allowed_token_ids logits_processors logits_processor', { reason: 'Use logit_bias.' }),
  ...rows('refused', 'both', 'return_tokens_as_token_ids return_token_ids return_tokens post_sampling_probs', {
    reason: 'An answer is told as text.',
  }),
  ...rows('refused', 'both', 'n_probs', { passes: is(0), reason: 'Use logprobs.' }),
  ...rows('refused', 'both', 'n_predict', { passes: is(-1), reason: 'Use max_tokens.' }),
  ...rows('refused', 'both', 'n_keep n_discard', { passes: is(0), reason: 'Use truncation.' }),
  ...rows('refused', 'both', 'repeat_penalty', { passes: is(1), reason: 'Use repetition_penalty.' }),
  ...rows('refused', 'both', 'typical_p', { passes: is(1), reason: SAMPLING }),
  ...rows('refused', 'both', 'top_n_sigma', { passes: is(-1), reason: SAMPLING }),
  ...rows('refused', 'both', 'mirostat dynatemp_range dry_multiplier xtc_probability min_keep', { passes: is(0), reason: SAMPLING }),
  ...rows('refused', 'both', 'samplers', { reason: SAMPLING }),
  ...rows('refused', 'both', 't_max_predict_ms', { passes: is(0), reason: 'An answer has no limit in time.' }),
  ...rows('refused', 'both', 'lora lora_path', { reason: 'The server has no adapters.' }),
  ...rows('refused', 'both', 'kv_transfer_params vllm_xargs custom_params', { reason: 'The field belongs to another server.' }),
  ...rows('refused', 'both', 'regex', { reason: 'Use structured_outputs.regex.' }),
  ...rows('refused', 'both', 'ebnf', { reason: 'Use structured_outputs.grammar.' }),
  ...rows('refused', 'both', 'structural_tag guided_whitespace_pattern grammar_lazy grammar_triggers', {
    reason: 'A constraint holds from the beginning of the answer to its end.',
  }),
  ...rows('refused', 'both', `
    structured_outputs.structural_tag structured_outputs.whitespace_pattern structured_outputs.disable_any_whitespace
    structured_outputs.disable_additional_properties`, { reason: 'The server does not support this rule of a constraint.' }),
  ...rows('refused', 'completions', 'tools tool_choice functions function_call', { reason: 'Tools are called in chat completions.' }),
  ...rows('refused', 'chat', 'add_special_tokens parse_special', { reason: 'The template writes the special tokens.' }),
  ...rows('refused', 'chat', 'prediction', { reason: 'An answer is not predicted by the client.' }),
  ...rows('refused', 'chat', 'documents web_search_options plugins', { reason: 'The server searches nothing.' }),
  ...rows('refused', 'chat', `
    audio messages[].audio messages[].images messages[].content[].image_url messages[].content[].input_image
    messages[].content[].image messages[].content[].input_audio messages[].content[].audio_url messages[].content[].video_url
    messages[].content[].file mm_processor_kwargs media_io_kwargs`, { reason: ONLY_TEXT }),
  ...rows('refused', 'chat', 'modalities', {
    passes: (value) => Array.isArray(value) && value.every((kind) => kind === 'text'),
    reason: ONLY_TEXT,
  }),
  ...rows('refused', 'chat', 'tools[].custom messages[].tool_calls[].custom', { reason: ONLY_FUNCTIONS }),
  ...rows('refused', 'chat', 'separate_reasoning', { passes: is(true), reason: SEPARATE }),
  ...rows('refused', 'chat', 'reasoning_format', { passes: is('auto', 'deepseek'), reason: SEPARATE }),
  ...rows('refused', 'chat', 'reasoning', { reason: 'Use reasoning_effort.' }),
  ...rows('refused', 'chat', 'thinking thinking_budget thinking_token_budget', {
    reason: 'Use enable_thinking, or the variables that the template reads, in chat_template_kwargs.',
  }),
]

export const FIELDS: readonly OpenAiField[] = [...SERVED, ...ACCEPTED, ...REFUSED]
