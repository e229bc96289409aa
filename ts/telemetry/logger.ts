// The log: JSON lines on standard error, levels as words. It names routes, codes and times; never what a user wrote.

import { destination, pino, type Logger } from 'pino'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

/** The id of the request that a line is about; the name that answers and records have for it too. */
export const REQUEST_ID_KEY = 'request_id'

/** @param write Takes the lines instead of standard error, for tests. */
export function createLogger(level: LogLevel, write?: (line: string) => void): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (word: string) => ({ level: word }) },
  }
  return write ? pino(options, { write }) : pino(options, destination(2))
}
