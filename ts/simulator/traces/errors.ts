// The faults of a trace file.

import { ExitError } from '../../protocol/errors.js'

/** Exit code 2; `place` says where: `line 12`, `a.json`. */
export function invalidTrace(path: string, place: string, sentence: string): ExitError {
  const where = place === '' ? path : `${path}, ${place}`
  return new ExitError(2, 'invalid_trace', `--trace: ${where}: ${sentence}`, { path, place })
}

/** Exit code 3. */
export function missingTrace(path: string, cause: unknown): ExitError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new ExitError(3, 'trace_missing', `--trace: ${path} cannot be read: ${reason}`, { path }, { cause })
}
