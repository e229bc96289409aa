// The log: JSON lines on standard error. It names routes, codes and times; never what a user wrote.

import { destination, pino, type Logger } from 'pino'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug'

/** @param write Takes the lines instead of standard error, for tests. */
export function createLogger(level: LogLevel, write?: (line: string) => void): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` }
  return write ? pino(options, { write }) : pino(options, destination(2))
}
