// From unknown JSON to a validated body, or the error that names the field.

import type { z } from 'zod'
import { ApiError } from '../protocol/errors.js'

interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly errors?: ReadonlyArray<readonly Issue[]> | undefined
}

/**
 * @throws ApiError `invalid_value` with the path of the field as `param`. The message never repeats the value.
 */
export function validate<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const { path, message } = innermost(issue ?? { path: [], message: 'invalid' })
  const param = path.length === 0 ? null : path.map(String).join('.')
  throw new ApiError('invalid_value', `${param ?? 'the request body'}: ${message}`, param)
}

/** Of a union's branches, the one that got furthest says best what is wrong. */
function innermost(issue: Issue): Issue {
  const branches = (issue.errors ?? []).flatMap((branch) => branch.slice(0, 1)).map(innermost)
  const [first, ...rest] = branches
  if (issue.code !== 'invalid_union' || first === undefined) return issue
  const best = rest.reduce((deepest, next) => (next.path.length > deepest.path.length ? next : deepest), first)
  if (best.path.length === 0) return issue.path.length === 0 ? best : { ...issue, message: alternatives(branches) }
  return { ...best, path: [...issue.path, ...best.path] }
}

function alternatives(branches: readonly Issue[]): string {
  return [...new Set(branches.map(({ message }) => message))].join('; or: ')
}
