import test from 'ava'
import { crateArrowFindings, importArrowFindings, roomlessFindings } from './rules/arrows.js'
import { describe, readSources } from './rules/tree.js'

test('no import goes against the arrows of the house', (t) => {
  t.is(describe(importArrowFindings(readSources(/^(ts|web)\/.*\.(ts|vue|js)$/))), '')
})

test('every file of the scheduler is in a room', (t) => {
  t.is(describe(roomlessFindings(readSources(/^ts\/scheduler\/.*\.ts$/))), '')
})

test('a file of the scheduler in the wrong room, in none or in an unknown one is found', (t) => {
  const files = [
    { path: 'ts/scheduler/costs/planner.ts', text: "import type { Sequence } from '../sequence/sequence.js'" },
    { path: 'ts/scheduler/moves/queue.ts', text: "import { Scheduler } from '../loop/scheduler.js'" },
    { path: 'ts/scheduler/sequence/turn.ts', text: "import type { Turn } from '../../service/types.js'" },
    { path: 'ts/scheduler/loop/planner.ts', text: "import type { Room } from '../moves/room.js'\nimport { Rates } from '../costs/rates.js'" },
    { path: 'ts/scheduler/rates.ts', text: '' },
    { path: 'ts/scheduler/attic/rates.ts', text: '' },
  ]
  const wrong = importArrowFindings(files).map(({ path }) => path)
  t.deepEqual(wrong, ['ts/scheduler/costs/planner.ts', 'ts/scheduler/moves/queue.ts', 'ts/scheduler/sequence/turn.ts'])
  t.deepEqual(
    roomlessFindings(files).map(({ path }) => path),
    ['ts/scheduler/rates.ts', 'ts/scheduler/attic/rates.ts'],
  )
})

test('a contract that imports an implementation, and an API that imports past it, are found', (t) => {
  const findings = importArrowFindings([
    { path: 'ts/service/types.ts', text: "import type { TierName } from '../engine/types.js'\nimport type { Records } from './records/records.js'" },
    { path: 'ts/api/a.ts', text: "import type { Turn } from '../service/types.js'\nimport { createInferenceService } from '../service/service.js'" },
    { path: 'ts/simulator/a.ts', text: "import { createInferenceService } from '../service/service.js'" },
  ])
  t.deepEqual(
    findings.map(({ path, line }) => [path, line]),
    [
      ['ts/service/types.ts', 2],
      ['ts/api/a.ts', 2],
    ],
  )
})

test('a surface that imports another, the API, or past the contract is found; the published types may name its bodies', (t) => {
  const findings = importArrowFindings([
    { path: 'ts/surfaces/one/a.ts', text: "import '../surface.js'\nimport '../two/b.js'\nimport '../../api/errors.js'" },
    { path: 'ts/surfaces/one/b.ts', text: "import type { Turn } from '../../service/types.js'\nimport '../../service/messages.js'" },
    { path: 'ts/surfaces/turns.ts', text: "import '../service/types.js'\nimport './one/a.js'" },
    { path: 'ts/api/surfaces.ts', text: "import '../surfaces/one/surface.js'" },
    { path: 'ts/protocol/index.ts', text: "import type * as a from '../surfaces/one/schemas/a.js'\nimport '../surfaces/one/a.js'" },
    { path: 'ts/protocol/events.ts', text: "import type * as a from '../surfaces/one/schemas/a.js'" },
  ])
  t.deepEqual(
    findings.map(({ path, line }) => [path, line]),
    [
      ['ts/surfaces/one/a.ts', 2],
      ['ts/surfaces/one/a.ts', 3],
      ['ts/surfaces/one/b.ts', 2],
      ['ts/surfaces/turns.ts', 2],
      ['ts/protocol/index.ts', 2],
      ['ts/protocol/events.ts', 1],
    ],
  )
})

test('no crate depends on one above it', (t) => {
  t.is(describe(crateArrowFindings(readSources(/^crates\/.*Cargo\.toml$/))), '')
})

test('imports against the arrows are found', (t) => {
  const findings = importArrowFindings([
    { path: 'ts/protocol/a.ts', text: "import type { X } from '../engine/types.js'" },
    { path: 'ts/directory/a.ts', text: "import {\n  X,\n} from '../service/types.js'" },
    { path: 'ts/placement/a.ts', text: "const x = await import('../api/server.js')" },
    { path: 'ts/engine/native/a.ts', text: "import { serve } from '../../server.js'" },
    { path: 'web/src/a.vue', text: "<script setup>\nimport x from 'attentionstore'\nimport y from '../../ts/api/x.js'\n</script>" },
  ])
  t.deepEqual(
    findings.map(({ path }) => path),
    ['ts/protocol/a.ts', 'ts/directory/a.ts', 'ts/placement/a.ts', 'ts/engine/native/a.ts', 'web/src/a.vue', 'web/src/a.vue'],
  )
})

test('imports along the arrows are fine', (t) => {
  const findings = importArrowFindings([
    { path: 'ts/api/a.ts', text: "import '../service/types.js'\nimport x from 'express'" },
    { path: 'ts/cli/a.ts', text: "import '../api/x.js'" },
    { path: 'ts/engine/native/a.ts', text: "import '../types.js'\nimport type { A } from '../../native/index.js'" },
    { path: 'web/src/a.ts', text: "import './b.js'\nimport type { A } from 'attentionstore/protocol'" },
  ])
  t.deepEqual(findings, [])
})

test('a crate that looks upwards is found', (t) => {
  const text = '[dependencies]\nattentionstore-uring.workspace = true\nattentionstore-engine = { path = "../engine" }\n'
  t.deepEqual(
    crateArrowFindings([{ path: 'crates/kv/Cargo.toml', text }]).map(({ line }) => line),
    [3],
  )
  t.is(crateArrowFindings([{ path: 'crates/new/Cargo.toml', text }]).length, 1)
})
