// A request that was refused, or that never arrived, as the page sees it.

import type { ErrorBody } from 'attentionstore/protocol'

export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  /** @param status 0: no answer came. */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** The server's own sentence where it sent one. */
export async function failureOf(response: Response): Promise<HttpFailure> {
  const body = (await response.json().catch(() => null)) as Partial<ErrorBody> | null
  const { code, message } = body?.error ?? { code: 'unknown', message: `the server answered ${response.status}` }
  return new HttpFailure(response.status, code, message)
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
