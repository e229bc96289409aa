// What a scripted model says, before a family gives it a form.

/** A call, its arguments as the model writes them. */
export interface SaidCall {
  readonly name: string
  readonly arguments: string
}

export interface Said {
  readonly reasoning?: string
  readonly content?: string
  readonly calls?: readonly SaidCall[]
}

/** The text of an answer as a model of a family writes it, markers included. */
export type Writer = (said: Said) => string

/** Calls as `<tool_call>` and JSON around them. */
function tagged({ content = '', calls = [] }: Said): string {
  const written = calls.map(({ name, arguments: text }) => `<tool_call>\n{"name": "${name}", "arguments": ${text}}\n</tool_call>`)
  return [...(content === '' ? [] : [content]), ...written].join('\n')
}

export const hermes: Writer = tagged

/** As the server tells a model to write calls whose template has no words for them. */
export const generic: Writer = tagged

export const thinking: Writer = ({ reasoning = '', ...rest }) => `<think>\n${reasoning}\n</think>\n\n${tagged(rest)}`

/** Behind a text only a token says that a call begins. */
export const llama: Writer = ({ content = '', calls = [] }) => {
  const written = calls.map(({ name, arguments: text }) => `{"name": "${name}", "parameters": ${text}}`).join('; ')
  return content !== '' && written !== '' ? `${content}<|python_tag|>${written}` : `${content}${written}`
}

export const mistral: Writer = ({ content = '', calls = [] }) => {
  const list = calls.map(({ name, arguments: text }) => `{"name": "${name}", "arguments": ${text}}`)
  return list.length === 0 ? content : `${content}[TOOL_CALLS][${list.join(', ')}]`
}

/** Harmony: a channel for reasoning, one for the text, one for a call. An answer has one call. */
export const harmony: Writer = ({ reasoning, content = '', calls: [call] = [] }) => {
  const channels = [
    ...(reasoning === undefined ? [] : [`<|channel|>analysis<|message|>${reasoning}`]),
    ...(content === '' && call !== undefined ? [] : [`<|channel|>final<|message|>${content}`]),
    ...(call === undefined ? [] : [`<|channel|>commentary to=functions.${call.name} <|constrain|>json<|message|>${call.arguments}`]),
  ]
  return channels.join('<|end|><|start|>assistant')
}
