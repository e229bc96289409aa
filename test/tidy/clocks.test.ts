import test from 'ava'
import { clockFindings } from './rules/clocks.js'
import { describe, readSources } from './rules/tree.js'

// Files of tests/ that are about time itself, with the reason.
const ALLOWED: Readonly<Record<string, string>> = {
  'test/soak/duration.ts': 'a soak lasts a given time',
  'test/tidy/rules/clocks.ts': 'names what it bans',
  'test/tidy/clocks.test.ts': 'its fixtures break the rule on purpose',
}

test('no test sleeps or asserts on the wall clock', (t) => {
  const findings = clockFindings(readSources(/\.(ts|rs)$/), ALLOWED)
  t.is(describe(findings), '')
})

test('a sleep and a clock in a TypeScript test are found, and what only looks like one is not', (t) => {
  const text = 'await new Promise((resolve) => setTimeout(resolve, 50))\nconst t0 = Date.now()\nsetTimeout(() => child.kill(), limit)'
  t.deepEqual(
    clockFindings([{ path: 'ts/a.test.ts', text }], {}).map(({ line }) => line),
    [1, 2],
  )
  t.deepEqual(clockFindings([{ path: 'ts/a.ts', text }], {}), [])
  t.deepEqual(clockFindings([{ path: 'benches/a.ts', text }], {}), [])
})

test('a sleep is found in the test part of a Rust file only', (t) => {
  const text = 'fn wait() { thread::sleep(d) }\n#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(d); start.elapsed() } }\nlet origin = Instant::now();'
  const lines = (path: string) => clockFindings([{ path, text }], {}).map(({ line }) => line)
  t.deepEqual(lines('crates/kv/src/a.rs'), [3, 3])
  t.deepEqual(lines('crates/kv/tests/a.rs'), [1, 3, 3])
})
