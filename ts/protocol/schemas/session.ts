// The dashboard's login. The page itself is open; what it shows needs the admin key once one is configured.
//
// POST /admin/session with the admin key sets a cookie that scripts cannot read. The browser then sends it by itself:
// with requests to /admin, with the socket's handshake, and with the playground's requests to /v1, which run as the
// tenant of the admin key. A socket that is refused gets `connect_error`; GET /admin/session says whether a login helps.

import { z } from 'zod'

export const SessionRequest = z
  .object({ key: z.string().min(1).max(512).meta({ description: 'the admin key' }) })
  .meta({ id: 'SessionRequest' })

export const Session = z
  .object({
    name: z.string().meta({ description: 'name of the admin key' }),
    tenant: z.string().meta({ description: 'whose conversations the playground holds' }),
    expires_at_ms: z.int().meta({ description: 'milliseconds since the Unix epoch' }),
  })
  .meta({ id: 'Session' })

/** GET /admin/session, open to all: what the page needs to know before it shows a login. */
export const SessionState = z
  .object({
    login_required: z.boolean().meta({ description: 'the admin routes and the socket need a session or the admin key' }),
    session: Session.nullable().meta({ description: "that of this request's cookie" }),
  })
  .meta({ id: 'SessionState' })

export const SessionEnded = z.object({ ended: z.boolean() }).meta({ id: 'SessionEnded' })
