// The terminal as commands see it, so that tests can be one.

import type { Readable } from 'node:stream'
import { systemClock } from '../engine/clock.js'
import type { LineWriter } from '../telemetry/line-writer.js'
import { openLog } from '../telemetry/logger.js'
import { isStartedByNpm, watchParent } from './parent.js'

export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly input: Readable
  /** A person types: prompts are shown. */
  readonly isInteractive: boolean
  /** Standard error is a screen: one line can show progress. */
  readonly showsProgress: boolean
  /** Characters in a line of the screen. */
  readonly columns: () => number
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls `listener` for SIGINT and SIGTERM until the returned function is called. */
  onStop(listener: (signal: NodeJS.Signals) => void): () => void
  /** As `onStop`, for SIGHUP. */
  onHangup(listener: () => void): () => void
  /**
   * Takes what Node would print to standard error in words of its own: its warnings, and the error that nothing caught,
   * after which the process ends. Until the returned function is called.
   */
  onTrouble(warned: (warning: Error) => void, crashed: (thrown: unknown) => void): () => void
  /** The log of a command that runs until it is stopped. From now on no output that cannot be written ends the process. */
  openLog(): LineWriter
  /** As `onStop`, for the end of the npm or npx that started the command. */
  onOrphaned(listener: () => void): () => void
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

export const processTerminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  input: process.stdin,
  isInteractive: process.stdin.isTTY && process.stdout.isTTY,
  showsProgress: process.stderr.isTTY,
  columns: () => process.stdout.columns ?? 80,
  env: process.env,
  onStop(listener) {
    for (const signal of STOP_SIGNALS) process.on(signal, listener)
    return () => STOP_SIGNALS.forEach((signal) => process.off(signal, listener))
  },
  onHangup(listener) {
    process.on('SIGHUP', listener)
    return () => void process.off('SIGHUP', listener)
  },
  onTrouble(warned, crashed) {
    const printers = process.listeners('warning')
    const end = (thrown: unknown): never => {
      try {
        crashed(thrown)
      } finally {
        process.exit(1)
      }
    }
    process.removeAllListeners('warning')
    process.on('warning', warned)
    process.on('uncaughtException', end)
    return () => {
      process.off('uncaughtException', end)
      process.off('warning', warned)
      for (const printer of printers) process.on('warning', printer)
    }
  },
  openLog() {
    process.stdout.removeAllListeners('error').on('error', () => {})
    return openLog(systemClock)
  },
  onOrphaned: (listener) => (isStartedByNpm(process.env) ? watchParent(listener) : () => {}),
}

/**
 * A reader that has gone, as in `--help | head`, is no reason to fail; nor is a standard error that cannot be written. A result
 * that finds no room on its disk is.
 */
export function surviveClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  process.stderr.on('error', () => {})
}
