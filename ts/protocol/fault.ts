/** A fault that was handled where it was met: the work goes on, and the log has a line. */
export interface Fault {
  /** One of few fixed sentences, never a user's text: `a save failed`. */
  readonly message: string
  /** The stable code of the error. Lines are limited by message and code. */
  readonly code: string
  readonly context: Readonly<Record<string, string | number | boolean | null>>
}
