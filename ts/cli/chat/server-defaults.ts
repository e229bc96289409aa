// The first model of a server: its name, and the sampling that suits chats.

import { CHAT_MAX_TOKENS } from '../../protocol/generation-defaults.js'
import type { ModelRow } from '../../protocol/index.js'
import { authorization, RequestFailed } from '../client.js'

type Fields = Readonly<Record<string, number>>

export interface ServedModel {
  /** null: the server does not say. */
  readonly id: string | null
  /** Fields of requests, `max_tokens` among them. */
  readonly fields: Fields
}

const SILENT: ServedModel = { id: null, fields: { max_tokens: CHAT_MAX_TOKENS } }

/**
 * Asks the server at `url` for its first model. Other servers have no defaults for chats: there only the answer's length is
 * bounded.
 * @throws RequestFailed if the server cannot be reached.
 */
export async function servedModel(url: string, apiKey: string | null, signal: AbortSignal): Promise<ServedModel> {
  const response = await fetch(`${url}/v1/models`, { headers: authorization(apiKey), signal }).catch((cause: unknown) => {
    const reason = cause instanceof Error ? (cause.cause ?? cause) : cause
    throw new RequestFailed(`${url} cannot be reached: ${reason instanceof Error ? reason.message : String(reason)}`, null)
  })
  // What is wrong with a key or a path, the first turn says.
  const body: unknown = await response.json().catch(() => null)
  const row = (body as { data?: Array<Partial<ModelRow>> } | null)?.data?.[0]
  if (!response.ok || row === undefined) return SILENT
  return { id: row.id ?? null, fields: { ...SILENT.fields, ...valuesOf(row.generation_defaults?.chat) } }
}

function valuesOf(defaults: ModelRow['generation_defaults']['chat'] | undefined): Fields {
  return Object.fromEntries(Object.entries(defaults ?? {}).map(([name, { value }]) => [name, value]))
}
