// The ways to a first answer, for a server that has had no request.

import type { ServerInfo } from 'attentionstore/protocol'

export interface FirstSteps {
  /** The base URL that OpenAI clients take. */
  readonly baseUrl: string
  readonly curl: string
  readonly chat: string
}

/** `page`: the address of the page, wherever a proxy has put it. */
export function firstSteps(page: string, info: Pick<ServerInfo, 'models'>): FirstSteps {
  const root = new URL('.', page).href.replace(/\/$/, '')
  const model = info.models[0] ?? ''
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] })
  return {
    baseUrl: `${root}/v1`,
    // A quote in a model's name must not end the shell's.
    curl: `curl ${root}/v1/chat/completions -H 'content-type: application/json' -d '${body.replaceAll("'", String.raw`'\''`)}'`,
    chat: `attentionstore chat --url ${root}`,
  }
}
