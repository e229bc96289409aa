import test from 'ava'
import { TIER_NAMES } from '../../ts/protocol/tiers.js'
import { tierListFindings } from './rules/tiers.js'
import { describe, readSources } from './rules/tree.js'

// Files whose figures differ from tier to tier. The type checker asks each of them for a tier that is new in the table.
const ALLOWED: Readonly<Record<string, string>> = {
  'ts/engine/simulated/options.ts': 'the sizes of a small machine',
  'ts/engine/simulated/profiles/cpu-2.ts': 'the sizes of a machine',
  'ts/engine/simulated/profiles/hopper.ts': 'the sizes of a machine',
  'ts/engine/simulated/profiles/paper-4xa100.ts': 'the sizes of a machine',
  'ts/engine/native/addon.generated.ts': 'generated from the addon',
  'ts/engine/native/wire.generated.ts': 'generated from crates/engine/wire.json',
  'benches/scheduler/scheduler.ts': 'the sizes of a machine',
  'benches/ttft/ttft.ts': 'a bound for each tier',
  'web/src/shell/AppShell.vue': 'the brand is a drawing of three bars',
}

test('only the table lists the tiers', (t) => {
  t.is(describe(tierListFindings(readSources(/\.(ts|vue)$/), TIER_NAMES, ALLOWED)), '')
})

const linesIn = (path: string, text: string, allowed = {}) => tierListFindings([{ path, text }], ['hot', 'warm', 'cold'], allowed).map(({ line }) => line)

test('a list of the tiers is found whatever its form', (t) => {
  const bad = [
    "const names = ['hot', 'warm', 'cold']",
    "const more = ['gone', ...others, 'cold', 'warm', 'hot']",
    'const counts = { hot: 0, warm: 0, cold: 0 }',
    'const { hot, warm, cold } = counts',
    'const { hot: a, warm: b, cold: c } = counts',
    'const sum = counts.hot + counts.warm + counts.cold',
    "if (a.hot.state === 'x' || a.warm.state === 'x' || (a.cold.state === 'x')) f()",
    "type Name = 'none' | 'hot' | 'warm' | 'cold'",
    'type Counts = { hot: number; warm: number; cold: number }',
    'interface Sizes { hot: number; warm: number; cold: number }',
    "switch (x) { case 'hot': f(); case 'warm': f(); case 'cold': f() }",
    "const series = [{ label: 'hot' }, { label: 'warm' }, { label: 'cold' }]",
    'const most = Math.max(counts.hot, counts.warm, counts.cold)',
  ]
  t.deepEqual(linesIn('ts/a.ts', bad.join('\n')), bad.map((_, at) => at + 1))
})

test('a list in a page is found in its script and in its template', (t) => {
  const legend = '  <Item kind="hot">in hot</Item>\n  <Item kind="warm">in warm</Item>\n  <Item class="is-cold" />'
  t.deepEqual(linesIn('web/src/A.vue', `<script setup lang="ts">\nconst a = ['hot', 'warm', 'cold']\n</script>\n<template>\n${legend}\n</template>`), [2, 5])
})

test('rules about single tiers, pairs, texts, tests and files with a reason are left alone', (t) => {
  const fine = "const ends = { hot: 1, warm: 2 }\nif (tier === 'cold') f(ends.hot)\n// ['hot', 'warm', 'cold']\nconst text = 'hot, warm and cold'"
  t.deepEqual(linesIn('ts/a.ts', fine), [])
  const list = "const names = ['hot', 'warm', 'cold']"
  for (const path of ['ts/protocol/tiers.ts', 'ts/a.test.ts', 'test/unit/a.ts']) t.deepEqual(linesIn(path, list), [])
  t.deepEqual(linesIn('ts/a.ts', list, { 'ts/a.ts': 'sizes' }), [])
})

test('each file with a reason still needs it', (t) => {
  for (const path of Object.keys(ALLOWED)) {
    t.not(describe(tierListFindings(readSources(/\.(ts|vue)$/, [path]), TIER_NAMES)), '', path)
  }
})
