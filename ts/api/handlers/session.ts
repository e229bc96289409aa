// The dashboard's login.

import type { Login } from '../../auth/access-control.js'
import type { Session, SessionEnded, SessionState } from '../../protocol/index.js'
import { SessionRequest } from '../../protocol/schemas/session.js'
import { json } from '../../surfaces/surface.js'
import { validate } from '../../surfaces/validate.js'
import type { Handler } from '../route.js'

function sessionBody({ record, session }: Login): Session {
  return { name: record.name, tenant: record.tenant, expires_at_ms: session.expiresAt }
}

/** GET /admin/session */
export const sessionState: Handler = ({ credentials }, { auth }) => {
  const login = auth.sessionOf(credentials)
  const body: SessionState = {
    login_required: auth.needsLogin(credentials.headers),
    session: login === null ? null : sessionBody(login),
  }
  return json(body)
}

/** POST /admin/session */
export const beginSession: Handler = ({ body, credentials, address }, { auth }) => {
  const login = auth.login(validate(SessionRequest, body).key, credentials.headers, address)
  return json(sessionBody(login), { 'set-cookie': login.cookie })
}

/** DELETE /admin/session */
export const endSession: Handler = ({ credentials }, { auth }) => {
  const { ended, cookie } = auth.logout(credentials)
  const body: SessionEnded = { ended }
  return json(body, { 'set-cookie': cookie })
}
