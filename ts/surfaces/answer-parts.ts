// A turn's events as a row of parts, one open at a time: streams with blocks or items are written from them.

import type { TokenLogprob } from '../engine/types.js'
import type { Turn, TurnEvent } from '../service/types.js'
import { ClientGone, type AnswerPart, type DoneEvent } from './turns.js'

export type PartHead = { readonly kind: 'content' } | { readonly kind: 'reasoning' } | { readonly kind: 'call'; readonly id: string; readonly name: string }

export type PartEvent =
  | { readonly type: 'open'; readonly index: number; readonly head: PartHead }
  /** `logprobs`: of content, every token's since the event before. */
  | { readonly type: 'more'; readonly index: number; readonly head: PartHead; readonly text: string; readonly logprobs: readonly TokenLogprob[] }
  | { readonly type: 'close'; readonly index: number; readonly part: AnswerPart; readonly logprobs: readonly TokenLogprob[] }
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
  /** Of tokens that gave no text yet. */
  let early: TokenLogprob[] = []
  for await (const event of turn) {
    if (event.type === 'done') {
      if (open) yield closing(open)
      yield { type: 'done', done: event }
      return
    }
    if (event.type === 'arguments' && open?.head.kind !== 'call') throw new Error('arguments without a call')
    if (event.type === 'delta' && event.text === '' && open?.head.kind !== 'content') {
      early.push(...event.logprobs)
      continue
    }
    if (open === null || begins(event, open.head)) {
      const head = headOf(event)
      if (head === null) continue
      if (open) yield closing(open)
      open = { index: next++, head, text: '', logprobs: [] }
      yield { type: 'open', index: open.index, head }
    }
    if (event.type === 'call') continue
    const logprobs: readonly TokenLogprob[] = event.type === 'delta' ? [...early, ...event.logprobs] : []
    if (event.type === 'delta') early = []
    if (event.text === '' && logprobs.length === 0) continue
    open.text += event.text
    open.logprobs.push(...logprobs)
    yield { type: 'more', index: open.index, head: open.head, text: event.text, logprobs }
  }
  throw new ClientGone('The turn was cancelled.')
}

type Piece = Exclude<TurnEvent, { type: 'done' }>

function begins(event: Piece, { kind }: PartHead): boolean {
  if (event.type === 'call') return true
  if (event.type === 'arguments' || event.text === '') return false
  return kind !== (event.type === 'delta' ? 'content' : 'reasoning')
}

/** null: the event begins no part. */
function headOf(event: Piece): PartHead | null {
  if (event.type === 'call') return { kind: 'call', id: event.id, name: event.name }
  if (event.text === '') return null
  return { kind: event.type === 'delta' ? 'content' : 'reasoning' }
}

function closing({ index, head, text, logprobs }: OpenPart): PartEvent {
  const part: AnswerPart = head.kind === 'call' ? { kind: 'call', call: { id: head.id, name: head.name, arguments: text } } : { kind: head.kind, text }
  return { type: 'close', index, part, logprobs }
}
