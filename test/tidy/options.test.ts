import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { documentedOptions, optionFindings } from './rules/options.js'
import { describe, ROOT } from './rules/tree.js'

test('the options of serve are those of docs/interface.md', (t) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['ts/bin/attentionstore.js', 'serve', '--help'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  t.is(status, 0, stderr)
  t.is(describe(optionFindings(readFileSync(join(ROOT, 'docs/interface.md'), 'utf8'), stdout)), '')
})

const DOCUMENT = [
  '# Interface',
  '## Command line',
  '`serve` options (`--config` names a file):',
  '| option | default |',
  '|---|---|',
  '| `--model` | the default, see `--cache` |',
  '| `--host`, `--port` | 127.0.0.1 |',
  '| `--device auto\\|cpu\\|cuda†` | auto |',
  '| `--window`†, `--ratio`† | 0.5 |',
  '## HTTP',
  '`--elsewhere`',
].join('\n')

test('the table is read: promised in its first column, later with a dagger', (t) => {
  const { promised, later, named } = documentedOptions(DOCUMENT)
  t.deepEqual([...promised], ['--model', '--host', '--port', '--device'])
  t.deepEqual([...later], ['--window', '--ratio'])
  t.deepEqual([...named], ['--config', '--model', '--cache', '--host', '--port', '--device', '--window', '--ratio'])
})

test('an option that is missing, undocumented or early is found', (t) => {
  const right = '  --model <path>  x\n  --host <h>\n  --port <p>\n  --device <d>\n  --config <f>\n  -h, --help\n'
  t.deepEqual(optionFindings(DOCUMENT, right), [])
  t.deepEqual(
    optionFindings(DOCUMENT, `${right.replace('  --port <p>\n', '')}  --window <n>\n  --secret <x>\n`).map(({ message }) => message),
    [
      '--port is documented, but serve does not know it',
      '--secret is accepted, but not documented',
      '--window is accepted, but marked † as not there yet',
    ],
  )
})
