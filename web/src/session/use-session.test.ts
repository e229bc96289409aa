import test from 'ava'
import { FakeHttp } from '../testing/http.js'
import { createSession } from './use-session.js'

const SESSION = { name: 'ops', tenant: '', expires_at_ms: 1 }

test('a page is locked exactly where a login is needed and there is none', async (t) => {
  for (const [login_required, session, locked] of [
    [false, null, false],
    [true, null, true],
    [true, SESSION, false],
  ] as const) {
    const [page, http] = [createSession(), new FakeHttp()]
    t.is(page.locked.value, null)
    const checking = page.check(http)
    await (await http.next()).answer({ login_required, session })
    await checking
    t.is(page.locked.value, locked)
  }
})

test('a server that does not answer locks nothing: a login could not help', async (t) => {
  const [page, http] = [createSession(), new FakeHttp()]
  const checking = page.check(http)
  await (await http.next()).refuse(new Error('unreachable'))
  await checking
  t.false(page.locked.value)
})

test('a wrong key leaves the page locked, the right one opens it, logging out locks it', async (t) => {
  const [page, http] = [createSession(), new FakeHttp()]
  page.lock()
  const wrong = page.login(http, 'no')
  await (await http.next()).refuse(new Error('not the key'))
  await t.throwsAsync(wrong)
  t.true(page.locked.value)
  const right = page.login(http, 'yes')
  const asked = await http.next()
  t.deepEqual(asked.options, { method: 'POST', body: { key: 'yes' } })
  await asked.answer(SESSION)
  await right
  t.deepEqual([page.locked.value, page.holder.value?.name], [false, 'ops'])
  const leaving = page.logout(http)
  await (await http.next()).answer({ ended: true })
  await leaving
  t.deepEqual([page.locked.value, page.holder.value], [true, null])
})
