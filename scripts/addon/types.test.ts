import test from 'ava'
import { addonTypes } from './types.js'

const line = (exported: object): string => `${JSON.stringify(exported)}\n`

test('objects, classes with all their parts, and functions become types', (t) => {
  const lines = [
    line({ kind: 'fn', name: 'open', def: 'function open(path: string): Promise<Thing>' }),
    line({ kind: 'struct', name: 'Thing', js_doc: '/** A thing. */\n', def: '' }),
    line({ kind: 'impl', name: 'Thing', def: 'one(): number\n/** Two. */\ntwo(): void' }),
    line({ kind: 'interface', name: 'Size', def: '/** Bytes. */\nbytes: number' }),
    line({ kind: 'impl', name: 'Thing', def: 'three(): Size' }),
  ].join('')
  t.is(
    addonTypes(lines).split('\n').slice(2).join('\n'),
    `export interface Size {
  /** Bytes. */
  bytes: number
}

/** A thing. */
export interface Thing {
  one(): number
  /** Two. */
  two(): void
  three(): Size
}

export interface Addon {
  open(path: string): Promise<Thing>
}
`,
  )
})

test('an export of a kind that has no form here is named', (t) => {
  t.throws(() => addonTypes(line({ kind: 'enum', name: 'Colour', def: '' })), { message: /enum, Colour/ })
})
