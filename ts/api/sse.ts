// Server-sent events: the only writer of `text/event-stream`.

import type { ServerResponse } from 'node:http'
import { systemClock, type Clock } from '../engine/clock.js'
import type { ApiError } from '../protocol/errors.js'
import type { Surface } from '../surfaces/surface.js'
import { errorBody, toApiError } from './errors.js'
import { Silence } from './silence.js'

export interface StreamBounds {
  /** Milliseconds of silence after which a sign of life is written; null: none is. */
  readonly keepAliveMs: number | null
  /** Bytes that may wait for a client that does not read. */
  readonly maxBufferedBytes: number
  /** @default the machine's */
  readonly clock?: Clock
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
  const { keepAliveMs, clock = systemClock } = bounds
  const silence = keepAliveMs === null ? null : new Silence(clock, keepAliveMs, () => response.write(events.keepAlive))
  try {
    for await (const item of items) {
      if (response.destroyed) return 'gone'
      response.write(events.event(item))
      silence?.broken()
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
    silence?.end()
  }
}

export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}
