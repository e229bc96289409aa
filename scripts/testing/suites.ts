// The suites of `make test`, in the order in which they run: what is quick to fail comes first.

import { LibtestReader } from './libtest.js'
import type { OutputReader } from './tally.js'
import { TapReader } from './tap.js'

export interface Suite {
  readonly command: string
  readonly args: readonly string[]
  readonly reader: () => OutputReader
}

function ava(name: string): Suite {
  return {
    command: process.execPath,
    args: ['node_modules/ava/entrypoints/cli.mjs', '--tap', '--config', `test/ava/${name}.config.js`],
    reader: () => new TapReader(),
  }
}

const REQUIRED = (process.env['REQUIRE'] ?? '').split(',').filter((word) => word !== '')

// The whole workspace, the binding too: cargo then chooses the features that the addon was built with.
const CARGO_ARGS = ['test', '--release', '--locked', '--workspace', '--no-fail-fast']

export const SUITES: Readonly<Record<string, Suite>> = {
  rust: { command: 'cargo', args: [...CARGO_ARGS, '--', '--show-output'], reader: () => new LibtestReader(REQUIRED) },
  // The same crates with the engine's threads under a model checker: only the engine is compiled again.
  protocol: {
    command: 'cargo',
    args: ['test', '--release', '--locked', '--workspace', '--features', 'attentionstore-engine/shuttle', '--lib', 'protocol_model'],
    reader: () => new LibtestReader(REQUIRED),
  },
  unit: ava('unit'),
  contracts: ava('contracts'),
  e2e: ava('e2e'),
  // AVA and pytest, against servers that both share.
  clients: { command: process.execPath, args: ['--import=tsx', 'test/clients/run.ts'], reader: () => new TapReader() },
  browser: ava('browser'),
  soak: ava('soak'),
  tidy: ava('tidy'),
}

/** What `make test` runs when no suite is named. Tidy rules belong to `make check`. */
export const DEFAULT_SUITES: readonly string[] = ['rust', 'protocol', 'unit', 'contracts', 'e2e', 'clients', 'browser', 'soak']

/** Suites with tests that need the default model. */
export const SUITES_WITH_MODEL: ReadonlySet<string> = new Set(['rust', 'contracts', 'e2e', 'soak'])
