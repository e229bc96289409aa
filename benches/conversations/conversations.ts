// The list of conversations with as many as a server remembers: a page, and a search. Blocks are left out.

import type { PageQuery } from '../../ts/conversations/query.js'
import { ConversationRegistry, type Conversation } from '../../ts/conversations/registry.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'

const COUNT = 100_000
const PAGE: PageQuery = { tenant: null, text: null, before: null, limit: 100 }

const QUERIES: Readonly<Record<string, PageQuery>> = {
  'first page of 100': PAGE,
  'page in the middle': { ...PAGE, before: COUNT / 2 },
  'last page': { ...PAGE, before: 100 },
  'search that matches a sixteenth': { ...PAGE, text: 'conv_a' },
  'search that matches nothing': { ...PAGE, text: 'zzz' },
}

function conversation(number: number): Conversation {
  const tokens = { turns: 1, tokens: 64, leftOut: 0, leaf: null, tips: [] }
  return { id: `conv_${crypto.randomUUID()}`, tenant: '', date: '2026-01-01', forkedFrom: null, createdAt: number, lastUse: number, ...tokens }
}

/** Milliseconds of one call, ascending. */
function times(repetitions: number, call: () => unknown): number[] {
  const measured = Array.from({ length: repetitions }, () => {
    const start = performance.now()
    call()
    return performance.now() - start
  })
  return measured.toSorted((a, b) => a - b)
}

async function run({ quick }: BenchContext): Promise<Report> {
  const registry = new ConversationRegistry(null, COUNT)
  for (let number = 0; number < COUNT; number++) registry.touch(conversation(number))
  const repetitions = quick ? 50 : 500
  const rows = Object.entries(QUERIES).map(([name, query]) => {
    times(repetitions, () => registry.page(query))
    const sorted = times(repetitions, () => registry.page(query))
    return { name, medianMs: sorted[repetitions >> 1] ?? 0, worstMs: sorted.at(-1) ?? 0 }
  })
  const cells = rows.map(({ name, medianMs, worstMs }) => [name, medianMs.toFixed(3), worstMs.toFixed(3)])
  return {
    tables: [{ title: `${COUNT} conversations, milliseconds`, columns: ['query', 'median', 'worst'], rows: cells }],
    plots: [],
    notes: [],
    data: rows,
  }
}

export const conversations: Bench = { name: 'conversations', about: 'the list of 100,000 conversations', isLong: true, run }
