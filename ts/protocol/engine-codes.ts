// The codes of errors that come from the engine, each with the cause that it names. A test holds the list to the crates',
// in both directions: a code that only one side knows is a wrong answer to somebody.

/**
 * `configuration`: the model or the options; at the start the exit code is 2. `device`: it is missing or cannot be used.
 * `engine`: a fault of ours or of the machine. `{ field }`: the request; the field of its body that is at fault.
 */
export type EngineCause = 'configuration' | 'device' | 'engine' | { readonly field: string }

const messages = { field: 'messages' } as const
const constraint = { field: 'response_format' } as const

/** What the crates report: `EngineError::code` of crates/engine and the lists below it. */
export const NATIVE_CODES = {
  // crates/engine
  protocol: 'engine',
  invalid_option: 'configuration',
  engine_closed: 'engine',
  memory_low: 'configuration',
  grammars_busy: 'engine',
  // crates/grammar; the surface says which of its fields asked for the constraint
  grammar_too_large: constraint,
  grammar_unsupported: constraint,
  grammar_invalid: constraint,
  grammar_too_complex: constraint,
  // crates/model
  model_io: 'configuration',
  model_malformed: 'configuration',
  model_unsupported: 'configuration',
  model_invalid: 'configuration',
  model_memory: 'configuration',
  template: 'configuration',
  model_device: 'device',
  // crates/model, of one request's text
  template_missing: messages,
  template_refused: messages,
  template_failed: messages,
  template_fuel: messages,
  template_output: messages,
  template_untraceable: messages,
  template_values: messages,
  template_not_continuable: messages,
  template_argument: { field: 'chat_template_kwargs' },
  invalid_role: messages,
  prompt_too_long: messages,
  invalid_stop: { field: 'stop' },
  unknown_token: { field: 'prompt' },
  tokenizer: 'engine',
  // crates/kv
  kv_invalid: 'configuration',
  kv_damaged: 'engine',
  kv_foreign: 'engine',
  kv_io: 'configuration',
  kv_no_space: 'engine',
  kv_bound: 'engine',
  kv_memory: 'configuration',
  kv_queue_full: 'engine',
  kv_locked: 'configuration',
  kv_ssd_locked: 'configuration',
  kv_closed: 'engine',
} as const satisfies Readonly<Record<string, EngineCause>>

/** `native`: thrown by the addon's frame, for instance for an argument of the wrong type. */
export type EngineCode = keyof typeof NATIVE_CODES | 'native'

/** The cause that a code names; one that is not in the list is a fault of ours. */
export function causeOf(code: string): EngineCause {
  return Object.hasOwn(NATIVE_CODES, code) ? NATIVE_CODES[code as keyof typeof NATIVE_CODES] : 'engine'
}
