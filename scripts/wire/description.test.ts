import test from 'ava'
import { parseDescription, reachable, readDescription } from './description.js'
import { rustHalf } from './rust.js'
import { typescriptHalf } from './typescript.js'

const describe = (types: object, told: readonly string[] = ['A']): string => JSON.stringify({ sent: [], told, types })

test('a type that the description does not have is named', (t) => {
  t.throws(() => parseDescription(describe({ A: { in: 'crate::a', fields: { b: 'B[]' } } })), { message: /no type B/ })
  t.throws(() => parseDescription(describe({}, ['A'])), { message: /no type A/ })
})

test('both halves have every field of the description, in its order', (t) => {
  const description = parseDescription(
    describe({
      A: { in: 'crate::a', fields: { one: 'u32', second_one: 'text?', pairs: '(u32, f32)[]', kind: 'K' } },
      K: { in: 'crate::a', variants: { none: {}, some_more: { key: 'key' }, whole: 'B', number: 'u64' } },
      B: { in: 'other', fields: { flag: 'bool' } },
      Unused: { in: 'crate::a', values: ['x'] },
    }),
  )
  t.deepEqual(reachable(description, ['A']).map(({ name }) => name), ['A', 'K', 'B'])
  const rust = rustHalf(description)
  t.true(rust.includes('let Self { one, second_one, pairs, kind } = self;'))
  t.true(rust.includes('Self::SomeMore { key } => {'))
  t.true(rust.includes('use other::B;'))
  t.false(rust.includes('Unused'))
  const typescript = typescriptHalf(description)
  t.true(typescript.includes("export type A = { readonly one: number; readonly secondOne: string | undefined; "))
  t.true(typescript.includes("| ({ readonly kind: 'whole' } & B)"))
  t.true(typescript.includes("| { readonly kind: 'number'; readonly value: number }"))
  t.true(typescript.includes('return { one, secondOne, pairs, ...kind }'))
})

test('a record has no more options than its word of flags has bits', (t) => {
  for (const type of readDescription().types.values()) {
    if (type.kind === 'record') t.true(type.fields.filter(({ optional }) => optional).length <= 31, type.name)
  }
})
