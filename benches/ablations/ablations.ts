// Conversations replayed on servers that differ in one thing each: the paper's ablations, each alone.

import { demoteAll } from '../../test/support/cache.js'
import { modelName, type Message } from '../../test/support/conversation.js'
import { TestServer } from '../../test/support/server.js'
import type { LowerTierName } from '../../ts/protocol/index.js'
import type { Bench, BenchContext, Plot, Report, Table } from '../support/bench.js'
import { barOf, showRatio, showSpread } from '../support/figures.js'
import { proseOf } from '../support/prompts.js'
import { timeAnswer } from '../support/server.js'

const ROUTE = '/v1/chat/completions'
const ANSWER_TOKENS = 16
/** Sentences, about 25 tokens each, of the first question and of the later ones. */
const FIRST_SENTENCES = 16
const NEXT_SENTENCES = 4
const TIERS = ['--hbm-bytes', '128MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '512MiB'] as const

interface Variant {
  readonly name: string
  readonly args: readonly string[]
}

const VARIANTS: readonly Variant[] = [
  { name: 'everything on', args: TIERS },
  { name: '--no-preload', args: [...TIERS, '--no-preload'] },
  { name: '--preload-layers 1', args: [...TIERS, '--preload-layers', '1'] },
  { name: '--sync-save', args: [...TIERS, '--sync-save'] },
  { name: '--no-prefetch', args: [...TIERS, '--no-prefetch'] },
  { name: '--no-reuse', args: ['--hbm-bytes', '128MiB', '--no-reuse'] },
]

/** A server and what it was measured at. */
class Contestant {
  /** Milliseconds to the first token: of first turns, and of turns whose history lay in a tier. */
  readonly ttft: Record<'first' | LowerTierName, number[]> = { first: [], dram: [], ssd: [] }
  /** Milliseconds of a whole conversation. */
  readonly conversations: number[] = []

  private constructor(
    readonly name: string,
    readonly server: TestServer,
    private readonly keeps: boolean,
  ) {}

  static async start({ name, args }: Variant, { modelPath, threads }: BenchContext): Promise<Contestant> {
    const server = await TestServer.start({ args: ['--model', modelPath, '--threads', String(threads), ...args] })
    return new Contestant(name, server, !args.includes('--no-reuse'))
  }

  /** Plays a conversation that no server has seen; before each later turn its history is moved to a tier. */
  async play(number: number, tiers: readonly LowerTierName[]): Promise<void> {
    const model = await modelName(this.server)
    const messages: Message[] = []
    let spent = 0
    for (const [turn, tier] of (['first', ...tiers] as const).entries()) {
      if (tier !== 'first' && this.keeps) await demoteAll(this.server, tier)
      const sentences = turn === 0 ? FIRST_SENTENCES : NEXT_SENTENCES
      messages.push({ role: 'user', content: `Conversation ${number}. ${proseOf(sentences, 100 * number + 20 * turn)} Which note is about water?` })
      const answer = await timeAnswer(this.server, ROUTE, { model, messages, temperature: 0, max_tokens: ANSWER_TOKENS, ignore_eos: true })
      messages.push({ role: 'assistant', content: answer.text })
      this.ttft[tier].push(answer.ttftMs)
      spent += answer.ttftMs + answer.restMs
    }
    this.conversations.push(spent)
  }

  forget(): void {
    for (const times of [...Object.values(this.ttft), this.conversations]) times.length = 0
  }
}

const FIGURES = [
  ['history in dram', ({ ttft }: Contestant) => ttft.dram],
  ['history in ssd', ({ ttft }: Contestant) => ttft.ssd],
  ['first turn', ({ ttft }: Contestant) => ttft.first],
  ['whole conversation', ({ conversations }: Contestant) => conversations],
] as const

function toTable(contestants: readonly Contestant[]): Table {
  const [whole] = contestants
  return {
    title: 'Milliseconds to the first token and of a whole conversation, with the spread, and how many times those with everything on',
    columns: ['', ...FIGURES.flatMap(([title]) => [title, ''])],
    rows: contestants.map((contestant) => [
      contestant.name,
      ...FIGURES.flatMap(([, of]) => {
        const bar = barOf('', of(contestant))
        return [showSpread(bar), showRatio(bar.value / barOf('', whole ? of(whole) : []).value)]
      }),
    ]),
  }
}

function toPlots(contestants: readonly Contestant[]): Plot[] {
  return FIGURES.map(([title, of]) => ({ title: `Replayed conversations, ${title}`, unit: 'ms', bars: contestants.map((one) => barOf(one.name, of(one))) }))
}

async function run(context: BenchContext): Promise<Report> {
  const contestants: Contestant[] = []
  try {
    for (const variant of VARIANTS) {
      context.progress(`starting a server: ${variant.name}`)
      contestants.push(await Contestant.start(variant, context))
    }
    context.progress('warm-up')
    for (const contestant of contestants) await contestant.play(0, [])
    contestants.forEach((contestant) => contestant.forget())
    const rounds = context.quick ? 1 : 2
    for (let round = 1; round <= rounds; round += 1) {
      // In turn: what disturbs the machine disturbs all.
      for (const contestant of contestants) {
        context.progress(`conversation ${round} of ${rounds}, ${contestant.name}`)
        await contestant.play(round, ['dram', 'ssd', 'dram', 'ssd'])
      }
    }
  } finally {
    for (const { server } of contestants) await server.stop()
  }
  return {
    tables: [toTable(contestants)],
    plots: toPlots(contestants),
    notes: ['one client: prefetching shows where requests wait for each other, which they do not here'],
    data: contestants.map(({ name, ttft, conversations }) => ({ name, ttft_ms: ttft, conversation_ms: conversations })),
  }
}

export const ablations: Bench = { name: 'ablations', about: 'replayed conversations with each of the paper’s ideas switched off', run }
