import test from 'ava'
import { LibtestReader } from './libtest.js'
import { closingLine, sumTallies, type OutputReader } from './tally.js'
import { TapReader } from './tap.js'

function read(reader: OutputReader, text: string) {
  for (const line of text.split('\n')) reader.line(line)
  return reader.tally
}

test('TAP: passed, failed and skipped tests are told apart, and diagnostics are not tests', (t) => {
  const tally = read(
    new TapReader(),
    'TAP version 13\nok 1 - a block is found # of its key\nnot ok 2 - a › b\n  ---\n  message: ok 3 - no\n  ...\nok 3 - needs a model # SKIP\nnot ok 4 - later # TODO\n1..4',
  )
  t.deepEqual(tally, {
    passed: 1,
    failed: ['a › b'],
    skipped: ['needs a model', 'later'],
  })
})

test('TAP of pytest: tests have their file and parameters, and the words of a failure are no test', (t) => {
  const text = [
    'ok 1 - test_openai.py::test_a_stream_of_calls[hermes]',
    'not ok 2 - test_openai.py::test_models',
    '  E   assert 1 == 2',
    '  not ok 7 - no test',
    'ok 3 - test_openresponses.py::test_x (could not import) # SKIP',
    'ok 4 - the clients of Python (needs clients) # SKIP',
    '1 failed, 1 passed, 1 skipped in 3.20s',
  ]
  t.deepEqual(read(new TapReader(), text.join('\n')), {
    passed: 1,
    failed: ['test_openai.py::test_models'],
    skipped: ['test_openresponses.py::test_x (could not import)', 'the clients of Python (needs clients)'],
  })
})

test('libtest: a test that says it skipped is not counted as passed', (t) => {
  const tally = read(
    new LibtestReader(),
    [
      'running 4 tests',
      'test a::one ... ok',
      'test a::two ... FAILED',
      'test a::three ... ignored',
      'test a::four ... ok',
      '---- a::one stdout ----',
      'seed 7',
      '---- a::four stdout ----',
      'skipped: the default model is not on this machine',
      'test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out',
    ].join('\n'),
  )
  t.deepEqual(tally, {
    passed: 1,
    failed: ['a::two'],
    skipped: ['a::three', 'a::four (the default model is not on this machine)'],
  })
})

test('libtest: a skip for what REQUIRE names is a failure', (t) => {
  const text = 'test a ... ok\n---- a stdout ----\nskipped: the default model is not there\ntest result: ok.'
  t.deepEqual(read(new LibtestReader(['model']), text), { passed: 0, failed: ['a (the default model is not there)'], skipped: [] })
  t.deepEqual(read(new LibtestReader(['browser']), text), { passed: 0, failed: [], skipped: ['a (the default model is not there)'] })
})

test('the closing line sums all suites', (t) => {
  const sum = sumTallies(
    new Map([
      ['rust', { passed: 2, failed: [], skipped: ['x'] }],
      ['unit', { passed: 3, failed: ['y'], skipped: [] }],
    ]),
  )
  t.is(closingLine(sum), '5 passed, 1 failed, 1 skipped')
  t.deepEqual(sum.failed, ['unit: y'])
})
