// promises.oxlintrc.json, which `make check` holds ts/ to: no promise is left alone, so no rejection is without a handler.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { temporaryFolder } from '../support/paths.js'
import { ROOT } from './rules/tree.js'

const SOURCE = `
declare const f: () => Promise<void>
export async function g(): Promise<void> {
  f() // found
  void f() // found
  f().then(() => {}) // found
  for (const work of [f]) work() // found
  ;[1].forEach(async () => f()) // found
  await f()
  f().catch(() => {})
  f().then(() => {}, () => {})
}
`

/** Lines of the file that the rule finds, from 1. */
function linesFound(path: string): Promise<number[]> {
  const args = [join(ROOT, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--config', 'promises.oxlintrc.json', '-f', 'json', path]
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT }, (_, stdout) => {
      const { diagnostics } = JSON.parse(stdout) as { diagnostics: ReadonlyArray<{ labels: ReadonlyArray<{ span: { line: number } }> }> }
      resolve(diagnostics.map(({ labels }) => labels[0]?.span.line ?? 0).toSorted((a, b) => a - b))
    })
  })
}

test('a promise that is neither awaited nor caught is found, and void is no way out', async (t) => {
  const path = join(temporaryFolder(), 'promises.ts')
  writeFileSync(path, SOURCE)
  const wanted = SOURCE.split('\n').flatMap((line, index) => (line.endsWith('// found') ? [index + 1] : []))
  t.deepEqual(await linesFound(path), wanted)
})
