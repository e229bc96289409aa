import test from 'ava'
import { circleFindings, rustCircleFindings } from './rules/circles.js'
import { describe, readSources } from './rules/tree.js'
import known from './rust-circles.json' with { type: 'json' }

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

const RUST = /^(crates|benches)\/[^/]+\/src\/.*\.rs$/

test('no files of a crate use each other in a circle, but for those that did when the rule came', (t) => {
  const findings = rustCircleFindings(readSources(RUST))
  t.is(describe(findings.filter(({ path }) => !known.includes(path))), '')
  const stale = known.filter((path) => !findings.some((finding) => finding.path === path))
  t.deepEqual(stale, [], 'these lie on no circle any more: take them out of test/tidy/rust-circles.json')
})

const rust = (path: string, text: string) => ({ path: `crates/a/src/${path}`, text })

test('circles of Rust files are found through crate, super, braces and paths inside a function', (t) => {
  const findings = rustCircleFindings([
    rust('lib.rs', 'mod b;\nmod c;\nmod d;\nmod e;'),
    rust('b.rs', 'use crate::{c::{self, C}, outside::X};'),
    rust('c/mod.rs', 'mod inner;\nfn f() { inner::g() }\nuse inner::g;'),
    rust('c/inner.rs', 'use super::super::b::B;'),
    rust('d.rs', 'fn d() { crate::e::e() }'),
    rust('e.rs', 'fn e() { super::d::d() }'),
  ])
  t.deepEqual(findings.map(({ path }) => path.replace('crates/a/src/', '')), ['b.rs', 'c/mod.rs', 'c/inner.rs', 'd.rs', 'e.rs'])
})

test('a module that passes names on, and tests, make no circle', (t) => {
  const findings = rustCircleFindings([
    rust('c/mod.rs', 'mod one;\nmod two;\npub use one::One;\npub(crate) use two::{Two, Other};'),
    rust('c/one.rs', 'use super::Two;'),
    rust('c/two.rs', 'pub struct Two;\n#[cfg(test)]\nmod tests {\n    use crate::c::One;\n}'),
  ])
  t.deepEqual(findings, [])
})

test('a file that is used under another crate\'s name is none of this crate\'s', (t) => {
  const files = [rust('b.rs', 'use other::c::C;'), rust('c.rs', 'use crate::b::B;')]
  t.deepEqual(rustCircleFindings(files), [])
})
