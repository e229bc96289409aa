// A request's phases as lanes over time, and how long loading and computing overlapped.

import { LANES, type RequestPhases, type RequestRecord } from 'attentionstore/protocol'

export type Phase = keyof RequestPhases
export type Span = readonly [from: number, to: number]

export interface PhaseWords {
  readonly phase: Phase
  readonly name: string
  readonly meaning: string
  /** Names the colour, `is-…`. */
  readonly kind: string
}

export const PHASE_WORDS: readonly PhaseWords[] = [
  { phase: 'queued', name: 'queued', meaning: 'waited for room', kind: 'queued' },
  { phase: 'read', name: 'fetched', meaning: 'from SSD to host memory', kind: LANES.read.from },
  { phase: 'load', name: 'loaded', meaning: 'from host memory to hbm', kind: LANES.load.from },
  { phase: 'prefill', name: 'computed', meaning: 'the prompt, up to the first token', kind: 'computed' },
  { phase: 'decode', name: 'decoded', meaning: 'the answer, token by token', kind: 'generated' },
  { phase: 'save', name: 'saved', meaning: 'from hbm to host memory', kind: LANES.save.from },
  { phase: 'write', name: 'written', meaning: 'to SSD', kind: 'written' },
]

export interface Bar {
  /** Share of the shown time, 0 to 1. */
  readonly from: number
  readonly width: number
}

export interface Lane extends PhaseWords {
  readonly bars: readonly Bar[]
  /** Time in this phase, milliseconds. */
  readonly ms: number
}

export interface Waterfall {
  /** End of the shown time, milliseconds since acceptance. */
  readonly untilMs: number
  readonly lanes: readonly Lane[]
  /** Where the first token stands, share of the shown time; null: none. */
  readonly firstToken: number | null
  readonly overlap: readonly Bar[]
  readonly overlapMs: number
}

/** A thinner bar would not be seen. */
const LEAST_WIDTH = 0.003

const length = (spans: readonly Span[]) => spans.reduce((total, [from, to]) => total + to - from, 0)

/** Where both are under way; each ascending and disjoint. */
export function intersect(a: readonly Span[], b: readonly Span[]): readonly Span[] {
  return a.flatMap(([from, to]) =>
    b.map(([start, end]): Span => [Math.max(from, start), Math.min(to, end)]).filter(([start, end]) => end > start),
  )
}

/** Sum of two lists of spans as one, ascending and disjoint. */
export function unite(a: readonly Span[], b: readonly Span[]): readonly Span[] {
  const united: [number, number][] = []
  for (const [from, to] of [...a, ...b].toSorted((x, y) => x[0] - y[0])) {
    const last = united.at(-1)
    if (last && from <= last[1]) last[1] = Math.max(last[1], to)
    else united.push([from, to])
  }
  return united
}

/** @param scope `start`: up to a little after the first token; `whole`: to the end of the last phase. */
export function waterfallOf({ phases, ttft_ms: ttft, duration_ms: duration }: RequestRecord, scope: 'start' | 'whole'): Waterfall {
  const end = Math.max(duration, ...PHASE_WORDS.map(({ phase }) => phases[phase].at(-1)?.[1] ?? 0))
  const untilMs = Math.max(scope === 'start' && ttft !== null ? Math.min(end, ttft * 1.15) : end, 1e-3)
  const overlap = intersect(unite(phases.read, phases.load), phases.prefill)
  return {
    untilMs,
    lanes: PHASE_WORDS.map((words) => ({
      ...words,
      bars: barsOf(phases[words.phase], untilMs),
      ms: length(phases[words.phase]),
    })),
    firstToken: ttft === null ? null : ttft / untilMs,
    overlap: barsOf(overlap, untilMs),
    overlapMs: length(overlap),
  }
}

function barsOf(spans: readonly Span[], untilMs: number): readonly Bar[] {
  return spans
    .filter(([from]) => from < untilMs)
    .map(([from, to]) => {
      const start = Math.min(from / untilMs, 1 - LEAST_WIDTH)
      return { from: start, width: Math.max(LEAST_WIDTH, Math.min(to, untilMs) / untilMs - start) }
    })
}
