// The packed form in which plans and transfers go to Rust and events come back: little-endian 32-bit words.
// `crates/engine/wire.json` describes it; here is only what it means where the two sides name things in their own way.

import type { EngineEvent, FinishReason, TierCommitted, OutputPart, RowResult, StepPlan, Transfer, TransferDone } from '../types.js'
import { readEngineEvent, writeStepPlan, writeTransfer } from './wire.generated.js'
import type * as packed from './wire.generated.js'
import { WordReader, WordWriter } from './words.js'

/** Packs plans and transfers into one reused array of words; what it returns is valid until the next call. */
export class WireWriter {
  readonly #to = new WordWriter()

  plan(plan: StepPlan): Uint32Array {
    writeStepPlan(this.#to.begin(), plan)
    return this.#to.taken()
  }

  transfers(transfers: readonly Transfer[]): Uint32Array {
    const to = this.#to.begin()
    for (const transfer of transfers) writeTransfer(to, transfer)
    return to.taken()
  }
}

/** Reads the events that Rust packed into `bytes`, which begin at a multiple of four. */
export function readEvents(bytes: Buffer): EngineEvent[] {
  const from = new WordReader(bytes)
  const events: EngineEvent[] = []
  while (!from.isAtEnd) events.push(engineEvent(readEngineEvent(from)))
  return events
}

function engineEvent(event: packed.EngineEvent): EngineEvent {
  if (event.kind === 'step') return { ...event, rows: event.rows.map(rowResult) }
  if (event.kind === 'committed') return tierCommitted(event)
  return event.kind === 'transfer' ? transferDone(event) : event
}

function tierCommitted({ tier, slots, refused }: packed.TierCommitted): TierCommitted {
  const committed = { kind: 'committed', tier, slots } as const
  return refused === undefined ? committed : { ...committed, error: refused.code, detail: refused.detail }
}

function transferDone({ id, bytes, ms, error }: packed.TransferDone): TransferDone {
  const done = { kind: 'transfer', id, bytes, ms } as const
  return error === undefined ? done : { ...done, error: error.code, detail: error.detail }
}

/** Written field by field: spreading objects would take longer than all the rest. */
function rowResult({ sequence, status, parts, scored, filled, sampled, finished }: packed.RowResult): RowResult {
  const result: { -readonly [Field in keyof RowResult]: RowResult[Field] } = { sequence, status, parts: parts.length === 0 ? NO_PARTS : parts.map(outputPart), filled }
  if (sampled !== undefined) {
    const { token, logprob, top } = sampled
    result.token = token
    if (logprob !== undefined) result.logprob = { token, logprob, top }
  }
  if (scored.length > 0) result.scored = scored
  return finished === undefined ? result : Object.assign(result, ending(finished))
}

const NO_PARTS: readonly OutputPart[] = []

function outputPart(part: packed.OutputPart): OutputPart {
  return part.kind === 'call' ? part : { kind: part.kind, text: part.value }
}

type End = Required<Pick<RowResult, 'finish' | 'stopped' | 'insideTokens' | 'insideBytes' | 'reasoningTokens' | 'computedTokens' | 'tailKey'>>

function ending({ reason, insideTokens, insideBytes, reasoningTokens, computedTokens, tailKey }: packed.Finished): End {
  return { ...reasonToEnd(reason), insideTokens, insideBytes, reasoningTokens, computedTokens, tailKey: tailKey ?? null }
}

/** End tokens, stop tokens and stop strings are one reason; they differ in what the stop was. */
function reasonToEnd(reason: packed.Finish): { readonly finish: FinishReason; readonly stopped: string | number | null } {
  switch (reason.kind) {
    case 'end_token':
      return { finish: 'stop', stopped: null }
    case 'stop_token':
    case 'stop_string':
      return { finish: 'stop', stopped: reason.value }
    case 'length':
    case 'none_allowed':
    case 'constraint_failed':
      return { finish: reason.kind, stopped: null }
  }
}
