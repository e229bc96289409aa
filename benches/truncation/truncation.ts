// A conversation of ten windows with KV that stays valid beyond a truncation, and without: the paper's ablation. Tokens
// are counted, not timed, so another load on the machine changes nothing.

import { reuseBound, reusedFrom, type Answer } from '../../test/support/conversation.js'
import { converse } from '../../test/support/long-conversation.js'
import { TestServer } from '../../test/support/server.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { showShare } from '../support/figures.js'

const WINDOW = 512
const WINDOWS = 10
const TIERS = ['--hbm-bytes', '64MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '0'] as const
const ARGS = ['--context-window', `${WINDOW}`, '--max-context', `${2 * WINDOW}`, ...TIERS] as const
const VARIANTS = ['on', 'off'] as const

interface Counted {
  readonly variant: (typeof VARIANTS)[number]
  readonly turns: number
  /** Prompt tokens inside the view, over all turns: taken from a tier, and computed. */
  readonly reused: number
  readonly computed: number
  /** Tokens of the view that had KV when the turn before ended, and how many of them were reused; over all later turns. */
  readonly known: number
  readonly found: number
}

function count(variant: Counted['variant'], answers: readonly Answer[]): Counted {
  const later = answers.slice(1)
  const knownOf = later.map(({ usage }, i) => Math.max(0, reuseBound(answers[i] as Answer) - usage.attentionstore.outside_view_tokens))
  return {
    variant,
    turns: answers.length,
    reused: answers.reduce((sum, answer) => sum + reusedFrom(answer), 0),
    computed: answers.reduce((sum, { usage }) => sum + usage.attentionstore.computed_tokens, 0),
    known: knownOf.reduce((sum, known) => sum + known, 0),
    found: later.reduce((sum, answer, i) => sum + Math.min(reusedFrom(answer), knownOf[i] as number), 0),
  }
}

async function measure(variant: Counted['variant'], { modelPath, threads }: BenchContext): Promise<Counted> {
  const args = ['--model', modelPath, '--threads', String(threads), ...ARGS, '--reuse-after-truncation', variant]
  const server = await TestServer.start({ args })
  try {
    return count(variant, await converse(server, WINDOWS * WINDOW))
  } finally {
    await server.stop()
  }
}

async function run(context: BenchContext): Promise<Report> {
  const counted: Counted[] = []
  for (const variant of VARIANTS) {
    context.progress(`${WINDOWS} windows of ${WINDOW} tokens, --reuse-after-truncation ${variant}`)
    counted.push(await measure(variant, context))
  }
  const hitRate = ({ reused, computed }: Counted): number => reused / (reused + computed)
  return {
    tables: [
      {
        title: `One conversation of ${WINDOWS} windows of ${WINDOW} tokens: prompt tokens inside the view`,
        columns: ['--reuse-after-truncation', 'turns', 'reused', 'computed', 'hit rate', 'reused of what had KV and is in the view'],
        rows: counted.map((one) => [one.variant, `${one.turns}`, `${one.reused}`, `${one.computed}`, showShare(hitRate(one)), showShare(one.found / one.known)]),
      },
    ],
    plots: [],
    notes: [],
    data: counted.map((one) => ({ ...one, hit_rate: hitRate(one) })),
  }
}

export const truncation: Bench = { name: 'truncation', about: 'a conversation of ten windows, with KV that outlives a truncation and without', isLong: true, run }
