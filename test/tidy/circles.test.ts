import test from 'ava'
import { circleFindings } from './rules/circles.js'
import { describe, readSources } from './rules/tree.js'

test('no files of ts/ import each other in a circle', (t) => {
  t.is(describe(circleFindings(readSources(/^ts\/.*\.ts$/))), '')
})

test('each file of a circle is found, with the way back to it', (t) => {
  const findings = circleFindings([
    { path: 'ts/a.ts', text: "import type { B } from './b/b.js'" },
    { path: 'ts/b/b.ts', text: "import { c } from '../c.js'\nimport { d } from './d.js'" },
    { path: 'ts/b/d.ts', text: "import express from 'express'" },
    { path: 'ts/c.ts', text: "export { a } from './a.js'" },
    { path: 'ts/outside.ts', text: "import './a.js'" },
  ])
  t.deepEqual(
    findings.map(({ path, message }) => [path, message]),
    [
      ['ts/a.ts', 'an import circle: ts/a.ts → ts/b/b.ts → ts/c.ts → ts/a.ts'],
      ['ts/b/b.ts', 'an import circle: ts/b/b.ts → ts/c.ts → ts/a.ts → ts/b/b.ts'],
      ['ts/c.ts', 'an import circle: ts/c.ts → ts/a.ts → ts/b/b.ts → ts/c.ts'],
    ],
  )
})

test('a file that imports itself is a circle', (t) => {
  t.is(circleFindings([{ path: 'ts/a.ts', text: "import { x } from './a.js'" }]).length, 1)
})
