// The codes that cross the boundary between the crates and TypeScript.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { startError } from '../../ts/engine/native/errors.js'
import { causeOf, NATIVE_CODES } from '../../ts/protocol/engine-codes.js'
import { EngineError, type ExitError } from '../../ts/protocol/errors.js'
import { ROOT } from '../support/paths.js'

/** Crates whose errors the binding passes on. */
const CRATES = ['engine', 'model', 'grammar', 'kv', 'binding'] as const

/** The texts in the bodies of `fn code(&self) -> &'static str`. */
function codesOf(source: string): string[] {
  const bodies = source.split(/fn code\(&self\) -> &'static str \{/).slice(1)
  return bodies.flatMap((body) => [...body.slice(0, body.indexOf('\n    }\n')).matchAll(/=> "(\w+)"/g)].map(([, code = '']) => code))
}

test('TypeScript knows every code that the crates send, and no other', (t) => {
  const files = CRATES.flatMap((crate) => {
    const folder = join(ROOT, 'crates', crate, 'src')
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.rs')).map((name) => join(folder, name))
  })
  const sent = [...new Set(files.flatMap((file) => codesOf(readFileSync(file, 'utf8'))))]
  t.true(sent.length > 20, 'the sources are not written as this test reads them')
  t.deepEqual(sent.toSorted(), Object.keys(NATIVE_CODES).toSorted())
})

test('a code decides the exit code of a start', (t) => {
  for (const code of Object.keys(NATIVE_CODES)) {
    const error = startError(new Error(JSON.stringify({ code, message: 'why', context: {} })))
    t.is(error.code, code)
    const cause = causeOf(code)
    if (cause === 'configuration' || cause === 'device') t.is((error as ExitError).exitCode, cause === 'device' ? 3 : 2, code)
    else t.true(error instanceof EngineError, code)
  }
  t.is(causeOf('toString'), 'engine')
})
