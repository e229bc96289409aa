// Names of the defaults of an answer's sampling, and of the places that they come from.

/**
 * What requests get that leave fields of sampling out. `model`: the model's own, else OpenAI's; `openai`: OpenAI's; `chat`: the
 * model's own, else the set for chats.
 */
export const GENERATION_CHOICES = ['model', 'openai', 'chat'] as const
export type GenerationChoice = (typeof GENERATION_CHOICES)[number]

/** `model`: its files, or its publisher's advice; `server`: the set for chats; `openai`: the API's own. */
export const GENERATION_SOURCES = ['model', 'server', 'openai'] as const
export type GenerationSource = (typeof GENERATION_SOURCES)[number]

/** Tokens of the longest answer in `chat` and the playground, where the user sets no other bound. */
export const CHAT_MAX_TOKENS = 1024
