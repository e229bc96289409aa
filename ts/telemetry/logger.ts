// The log: JSON lines on standard error, levels as words. It names routes, codes and times; never what a user wrote.

import { pino, type Logger } from 'pino'
import type { Clock } from '../engine/clock.js'
import { standardErrorSink } from './line-sinks.js'
import { LineWriter } from './line-writer.js'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

/** The id of the request that a line is about; the name that answers and records have for it too. */
export const REQUEST_ID_KEY = 'request_id'

/** Bytes of lines that wait while standard error is full or slow: the last some thousand. */
const MOST_WAITING_BYTES = 1024 * 1024

/** Where the lines of a server's log go: a full disk, or a pipe without a reader, holds up nothing. */
export function openLog(clock: Clock): LineWriter {
  return new LineWriter(standardErrorSink(), { mostBytes: MOST_WAITING_BYTES, clock })
}

/** @param write Takes the lines; each ends with a newline. */
export function createLogger(level: LogLevel, write: (line: string) => void): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (word: string) => ({ level: word }) },
  }
  return pino(options, { write })
}
