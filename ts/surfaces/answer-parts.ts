// A turn's events as a row of parts, one open at a time: formats with blocks or items are written from them, whole and in
// streams alike.

import type { TokenLogprob } from '../engine/types.js'
import type { Turn, TurnEvent } from '../service/types.js'
import { ClientGone, type DoneEvent } from './turns.js'

export type PartHead = { readonly kind: 'text' } | { readonly kind: 'reasoning' } | { readonly kind: 'call'; readonly id: string; readonly name: string }

export type AnswerPart = PartHead & {
  /** Of a call: the JSON text of its arguments. */
  readonly text: string
  /** Of a text, every token's since the part before. */
  readonly logprobs: readonly TokenLogprob[]
}

export type PartEvent =
  | { readonly type: 'open'; readonly index: number; readonly part: PartHead }
  | { readonly type: 'more'; readonly index: number; readonly part: PartHead; readonly text: string; readonly logprobs: readonly TokenLogprob[] }
  | { readonly type: 'close'; readonly index: number; readonly part: AnswerPart }
  | { readonly type: 'done'; readonly done: DoneEvent }

interface OpenPart {
  readonly index: number
  readonly head: PartHead
  text: string
  readonly logprobs: TokenLogprob[]
}

/**
 * Parts are numbered from 0. A part opens with its first text, or with its call; tokens without a text open none.
 * @throws ClientGone where the turn was cancelled.
 */
export async function* partEvents(turn: Turn): AsyncGenerator<PartEvent> {
  let open: OpenPart | null = null
  let next = 0
  let early: TokenLogprob[] = []
  for await (const event of turn) {
    if (event.type === 'done') {
      if (open) yield closing(open)
      yield { type: 'done', done: event }
      return
    }
    if (event.type === 'delta' && event.text === '' && open?.head.kind !== 'text') {
      early.push(...event.logprobs)
      continue
    }
    if (open === null || begins(event, open.head)) {
      const head = headOf(event)
      if (head === null) continue
      if (open) yield closing(open)
      open = { index: next++, head, text: '', logprobs: [] }
      yield { type: 'open', index: open.index, part: head }
    }
    if (event.type === 'call') continue
    const logprobs: readonly TokenLogprob[] = event.type === 'delta' ? [...early, ...event.logprobs] : []
    if (event.type === 'delta') early = []
    if (event.text === '' && logprobs.length === 0) continue
    open.text += event.text
    open.logprobs.push(...logprobs)
    yield { type: 'more', index: open.index, part: open.head, text: event.text, logprobs }
  }
  throw new ClientGone('The turn was cancelled.')
}

export interface WholeAnswer {
  readonly parts: readonly AnswerPart[]
  readonly done: DoneEvent
}

/**
 * Reads a turn to its end.
 * @throws ClientGone if it was cancelled.
 */
export async function readParts(turn: Turn): Promise<WholeAnswer> {
  const parts: AnswerPart[] = []
  for await (const event of partEvents(turn)) {
    if (event.type === 'close') parts.push(event.part)
    if (event.type === 'done') return { parts, done: event.done }
  }
  throw new ClientGone('The turn was cancelled.')
}

type Piece = Exclude<TurnEvent, { type: 'done' }>

function begins(event: Piece, { kind }: PartHead): boolean {
  if (event.type === 'call') return true
  if (event.type === 'arguments') return false
  return kind !== (event.type === 'delta' ? 'text' : 'reasoning') && event.text !== ''
}

/** null: the event begins no part. */
function headOf(event: Piece): PartHead | null {
  if (event.type === 'call') return { kind: 'call', id: event.id, name: event.name }
  if (event.type === 'arguments' || event.text === '') return null
  return { kind: event.type === 'delta' ? 'text' : 'reasoning' }
}

function closing({ index, head, text, logprobs }: OpenPart): PartEvent {
  return { type: 'close', index, part: { ...head, text, logprobs } }
}
