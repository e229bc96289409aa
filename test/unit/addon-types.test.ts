import test from 'ava'
import { addonTypes } from '../../scripts/addon/types.js'

const line = (value: object): string => JSON.stringify(value)

const LINES = [
  line({ kind: 'struct', name: 'Engine', js_doc: '/** One card. */\n', def: '' }),
  line({ kind: 'impl', name: 'Engine', js_doc: '', def: ' info(): Info' }),
  line({ kind: 'impl', name: 'Engine', js_doc: '', def: ' drop(): void' }),
  line({ kind: 'interface', name: 'Info', js_doc: '', def: 'layers: number\nbytes: number' }),
  line({ kind: 'fn', name: 'detect', js_doc: '', def: 'function detect(): Info' }),
]
const written = (lines: readonly string[]): string => addonTypes(`${lines.join('\n')}\n`)

test('objects, classes and functions become one module', (t) => {
  const module = written(LINES)
  t.true(module.includes('/** One card. */\nexport interface Engine {\n  drop(): void\n  info(): Info\n}'), module)
  t.true(module.includes('export interface Info {\n  layers: number\n  bytes: number\n}'), module)
  t.true(module.includes('export interface Addon {\n  detect(): Info\n}'), module)
})

test('two compilations that append at once give the same module as one', (t) => {
  const once = written(LINES)
  t.is(written([...LINES, ...LINES]), once)
  t.is(written(LINES.flatMap((each) => [each, each])), once)
  t.is(written([...LINES.slice(3), ...LINES.toReversed()]), once)
})

test('an export of a kind without a form here is refused by name', (t) => {
  t.throws(() => written([line({ kind: 'enum', name: 'Colour', js_doc: '', def: '' })]), { message: /enum, Colour/ })
})
