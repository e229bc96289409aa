// A small client of OpenAI-compatible servers: streams of server-sent events, read as they come.

/** One event: its parsed JSON, and when its bytes arrived. */
export interface StreamedEvent {
  readonly value: unknown
  /** On the clock of `performance.now()`. */
  readonly at: number
}

/** The server answered with an error, or broke off. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'
  constructor(
    message: string,
    readonly status: number | null,
  ) {
    super(message)
  }
}

export interface StreamOptions {
  /** Sent as `Authorization: Bearer`; null: none. */
  readonly apiKey: string | null
  readonly signal?: AbortSignal
}

export function authorization(apiKey: string | null): Record<string, string> {
  return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
}

/**
 * Posts `body` and yields the events of the answer until `[DONE]`.
 * @throws RequestFailed for a status other than 200, an error event, or an end without `[DONE]`.
 */
export async function* postStream(url: string, body: unknown, { apiKey, signal }: StreamOptions): AsyncGenerator<StreamedEvent> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...authorization(apiKey) },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  }).catch((cause: unknown) => {
    throw new RequestFailed(`${url} cannot be reached: ${reasonOf(cause)}`, null)
  })
  if (!response.ok || response.body === null) throw new RequestFailed(await errorText(response), response.status)
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return
    const value: unknown = JSON.parse(data)
    const failure = errorMessage(value)
    if (failure !== null) throw new RequestFailed(failure, response.status)
    yield { value, at: performance.now() }
  }
  throw new RequestFailed('the stream ended early', response.status)
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error ? (cause.cause ?? cause) : cause
  return inner instanceof Error ? inner.message : String(inner)
}

/** `data:` lines of a stream of server-sent events; comments and other fields are passed over. */
export async function* eventData(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('data:')) yield line.slice('data:'.length).trimStart()
    }
  }
}

async function errorText(response: Response): Promise<string> {
  const text = await response.text()
  try {
    return errorMessage(JSON.parse(text)) ?? `status ${response.status}`
  } catch {
    return `status ${response.status}`
  }
}

/** The message of an OpenAI error body; null if it is none. */
export function errorMessage(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('error' in value)) return null
  const { error } = value
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message)
  return String(error)
}
