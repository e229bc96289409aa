// Server-sent events: the only writer of `text/event-stream`.

import type { ServerResponse } from 'node:http'
import type { ApiError } from '../protocol/errors.js'
import type { Surface } from '../surfaces/surface.js'
import { errorBody, toApiError } from './errors.js'

export interface StreamBounds {
  /** Milliseconds between signs of life. */
  readonly keepAliveMs: number
  /** Bytes that may wait for a client that does not read. */
  readonly maxBufferedBytes: number
}

export type StreamEnd = 'done' | 'failed' | 'cut off' | 'gone'

/**
 * Writes each event, then the end, as the surface writes them. An error after the first byte becomes an event in the place
 * of the end. A client with more than the bound unread is disconnected.
 */
export async function writeEventStream(
  response: ServerResponse,
  items: AsyncIterable<unknown>,
  shape: Pick<Surface, 'errors' | 'events'>,
  bounds: StreamBounds,
  onError: (error: ApiError) => void,
): Promise<StreamEnd> {
  const { events } = shape
  const timer = setInterval(() => response.write(events.keepAlive), bounds.keepAliveMs)
  try {
    for await (const item of items) {
      if (response.destroyed) return 'gone'
      response.write(events.event(item))
      if (response.writableLength > bounds.maxBufferedBytes) {
        response.destroy()
        return 'cut off'
      }
    }
    if (response.destroyed) return 'gone'
    response.end(events.end)
    return 'done'
  } catch (thrown) {
    if (response.destroyed) return 'gone'
    const error = toApiError(thrown)
    onError(error)
    response.end(events.failure(errorBody(error, shape)))
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
