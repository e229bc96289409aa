import test from 'ava'
import { verdictOf } from './verdict.js'

test('a gain that the estimate can tell from nothing is told, with its error', (t) => {
  t.deepEqual(verdictOf({ from: 0.264, to: 0.761, error: 0.021 }), { kind: 'gain', from: '26.4 %', to: '76.1 %', points: '49.7', error: '2.1' })
  t.like(verdictOf({ from: 0.5, to: 0.51, error: 0 }), { kind: 'gain', error: 'less than 0.1' })
})

test('where both figures would read the same there is no gain', (t) => {
  t.is(verdictOf({ from: 0.46, to: 0.46, error: 0.01 }).kind, 'nothing')
  t.is(verdictOf({ from: 0.46, to: 0.4604, error: 0 }).kind, 'nothing')
  t.is(verdictOf({ from: 0.46, to: 0.4599, error: 0 }).kind, 'nothing')
})

test('a gain within the error is told as unsure', (t) => {
  t.like(verdictOf({ from: 0.46, to: 0.464, error: 0.02 }), { kind: 'unsure', points: '0.4', error: '2' })
})
