// Tests that need something from outside the repository: skipped by name where it is missing, failed where
// REQUIRE=model,browser names it.

import { spawnSync } from 'node:child_process'
import test, { type ExecutionContext } from 'ava'
import { browserPath, BROWSERS } from './browser-path.js'
import { corpusFile } from './corpus.js'
import { defaultModelPath } from './model.js'

export type Requirement = 'model' | 'browser' | 'corpus' | 'promtool' | 'systemd-analyze'

const MISSING: Readonly<Record<Requirement, () => string | null>> = {
  model: () => (defaultModelPath() === null ? 'the default model is not in the cache' : null),
  browser: () => (browserPath() === null ? `none of CHROMIUM_PATH, ${BROWSERS.join(', ')}` : null),
  promtool: () => missingProgram('promtool'),
  'systemd-analyze': () => missingProgram('systemd-analyze'),
  corpus: () => (corpusFile('oasst_en') === null ? 'the corpora of shared data' : null),
}

function missingProgram(name: string): string | null {
  return spawnSync(name, ['--version']).error === undefined ? null : `${name} is not on the PATH`
}

type Implementation = (t: ExecutionContext) => void | Promise<void>

/** `test.serial` for tests that need these: skips or fails them where one is missing. */
export function testNeeding(...requirements: readonly Requirement[]): (title: string, run: Implementation) => void {
  const required = (process.env['REQUIRE'] ?? '').split(',')
  const missing = requirements.filter((requirement) => MISSING[requirement]() !== null)
  if (missing.length === 0) return (title, run) => test.serial(title, run)
  if (!missing.some((requirement) => required.includes(requirement))) {
    return (title, run) => test.serial.skip(`${title} (needs ${missing.join(', ')})`, run)
  }
  const why = missing.map((requirement) => MISSING[requirement]()).join('; ')
  return (title) => test.serial(title, (t) => t.fail(`REQUIRE names what is missing: ${why}`))
}

/** Whether all are there: for hooks that set up what only such tests use. */
export function has(...requirements: readonly Requirement[]): boolean {
  return requirements.every((requirement) => MISSING[requirement]() === null)
}
