// Names that variables for a chat template may have.

/** Set by the server for every template. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'messages',
  'tools',
  'documents',
  'add_generation_prompt',
  'continue_final_message',
  'chat_template',
  'tokenize',
  'bos_token',
  'eos_token',
  'unk_token',
  'pad_token',
  'raise_exception',
  'strftime_now',
  'namespace',
  'range',
  'dict',
  'loop',
  'self',
])

export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
