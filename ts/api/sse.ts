// Server-sent events: the only writer of `text/event-stream`.

import type { ServerResponse } from 'node:http'
import type { ApiError } from '../protocol/errors.js'
import { errorBody, toApiError } from './errors.js'

export interface StreamBounds {
  /** Milliseconds between `: keep-alive` comments. */
  readonly keepAliveMs: number
  /** Bytes that may wait for a client that does not read. */
  readonly maxBufferedBytes: number
}

export type StreamEnd = 'done' | 'failed' | 'cut off' | 'gone'

/**
 * Writes each event as one `data:` line of JSON (which has no line breaks), then `[DONE]`. An error after the first
 * byte becomes a `data:` line with an error body, and the stream closes without `[DONE]`. A client with more than the
 * bound unread is disconnected.
 */
export async function writeEventStream(
  response: ServerResponse,
  events: AsyncIterable<unknown>,
  bounds: StreamBounds,
  onError: (error: ApiError) => void,
): Promise<StreamEnd> {
  const timer = setInterval(() => response.write(': keep-alive\n\n'), bounds.keepAliveMs)
  try {
    for await (const event of events) {
      if (response.destroyed) return 'gone'
      response.write(`data: ${JSON.stringify(event)}\n\n`)
      if (response.writableLength > bounds.maxBufferedBytes) {
        response.destroy()
        return 'cut off'
      }
    }
    if (response.destroyed) return 'gone'
    response.end('data: [DONE]\n\n')
    return 'done'
  } catch (thrown) {
    if (response.destroyed) return 'gone'
    const error = toApiError(thrown)
    onError(error)
    response.end(`data: ${JSON.stringify(errorBody(error))}\n\n`)
    return 'failed'
  } finally {
    clearInterval(timer)
  }
}

export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}
