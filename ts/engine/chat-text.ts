// Conversations and prompts as the engine's text side takes and gives them.

/** The tokens that an answer was generated with. */
export interface StoredTokens {
  /** Those that lie wholly inside of the answer, markers of reasoning and of calls included. */
  readonly tokens: Uint32Array
  /** UTF-8 bytes of their text, in which a marker stands for itself. */
  readonly bytes: number
  /** Leading tokens that are the answer's reasoning, with its markers. @default 0 */
  readonly reasoning?: number
  /** Nothing of the answer lies behind the tokens. @default false */
  readonly whole?: boolean
}

export interface ToolCallText {
  readonly id: string
  readonly name: string
  /** JSON text of an object. */
  readonly arguments: string
}

export interface ChatMessageText {
  readonly role: string
  readonly content: string
  readonly name?: string
  /** Of an assistant's message. */
  readonly reasoning?: string
  readonly toolCalls?: readonly ToolCallText[]
  /** Of a tool's message: the call whose result it is. */
  readonly toolCallId?: string
  /** Of an assistant's message that repeats an answer. */
  readonly stored?: StoredTokens
}

/** A tool as a template and the reader of an answer know it. */
export interface ToolText {
  readonly name: string
  readonly description?: string
  /** JSON Schema of the arguments; null: none are described. */
  readonly parameters: Readonly<Record<string, unknown>> | null
}

/** A conversation for a template. */
export interface ChatText {
  readonly messages: readonly ChatMessageText[]
  readonly tools?: readonly ToolText[]
  /** Variables that the template gets to see besides its own, by name: JSON values. */
  readonly templateArguments?: Readonly<Record<string, unknown>>
  /**
   * `answer`: the prompt ends with the beginning of an assistant's message; `open`: with the last message's content, which
   * the answer goes on with; `closed`: with the last message as the template ends it. @default 'answer'
   */
  readonly ending?: 'answer' | 'open' | 'closed'
  /** The source of a template in the place of the model's own. */
  readonly template?: string
}

/** Tokens [from, to). */
export type TokenRange = readonly [from: number, to: number]

export interface EncodedPrompt {
  readonly tokens: Uint32Array
  /** Tokens of the system prompt's head, for the view. */
  readonly systemTokens: number
  /** The answer begins inside of its reasoning. */
  readonly startsInReasoning: boolean
  /** Tokens of answers that were generated behind reasoning which the prompt does not have. */
  readonly withoutReasoning: readonly TokenRange[]
  /**
   * Of an open prompt: its last so many tokens are the message that the answer goes on with, from where an answer would
   * begin; `inReasoning`: they end inside of its reasoning. `startsInReasoning` is then of that message.
   */
  readonly prefill?: { readonly tokens: number; readonly inReasoning: boolean }
}
