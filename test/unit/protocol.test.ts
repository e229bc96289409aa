import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ROUTES } from '../../ts/api/routes.js'
import { OPTION_KEYS, kebab } from '../../ts/config/options.js'
import * as api from '../../ts/index.js'
import * as protocol from '../../ts/protocol/index.js'
import { PACKAGE_ROOT } from '../../ts/version.js'

test('the package exports what its users import, and nothing by accident', (t) => {
  t.deepEqual(Object.keys(api).toSorted(), ['ApiError', 'AttentionStoreError', 'EngineError', 'ExitError', 'VERSION', 'startServer'])
  t.deepEqual(Object.keys(protocol).toSorted(), [
    'ApiError',
    'AttentionStoreError',
    'CELL_STATES',
    'EngineError',
    'ExitError',
    'LANES',
    'LOWER_TIERS',
    'NO_AGE',
    'STREAM_NAMES',
    'TIERS',
    'TIER_NAMES',
    'diskSentence',
    'perStream',
    'perTier',
    'sumTiers',
    'wayOf',
  ])
})

test('docs/interface.md names every option and every route', (t) => {
  const text = readFileSync(join(PACKAGE_ROOT, '../docs/interface.md'), 'utf8')
  const compact = new Set([...text.matchAll(/--[a-z][a-z-]*/g)].map(([name]) => name))
  for (const key of OPTION_KEYS) t.true(compact.has(`--${kebab(key)}`), key)
  for (const { path } of ROUTES) t.true(text.includes(path.replace(/\*(\w+)/, '{$1}')), path)
})
