// How the process ends.

import { ExitError, type AttentionStoreError } from '../protocol/errors.js'

/** Milliseconds that are left to whatever still runs when a command has failed. */
const LAST_MS = 2000

/** The exit code of a command that an error ended. */
export function exitCodeOf(error: AttentionStoreError): number {
  return error instanceof ExitError ? error.exitCode : 3
}

/**
 * Ends the process with `code` as soon as nothing runs any more. A failed engine may leave a thread that never comes back
 * from its device; `process.exit` would wait for it, so a failed command that does not end by itself is killed.
 */
export function endWith(code: number): void {
  process.exitCode = code
  if (code !== 0) setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_MS).unref()
}
