// Running turns: started together, read together, cancelled when the client goes.

import type { ToolCall, Turn, TurnEvent, TurnRequest } from '../service/types.js'
import { choicesOf } from './choices.js'
import type { SurfaceContext } from './surface.js'

/** The request's client has gone: no one is left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export type DoneEvent = Extract<TurnEvent, { type: 'done' }>
export type DeltaEvent = Extract<TurnEvent, { type: 'delta' }>

/**
 * Starts one turn for each answer: `choices` of them a request, next to each other. If one request is refused, the turns of
 * the others are cancelled and its error is thrown.
 */
export async function startTurns(
  requests: readonly TurnRequest[],
  signal: AbortSignal,
  { service, telemetry }: SurfaceContext,
  choices = 1,
): Promise<Turn[]> {
  const startedAt = performance.now()
  const isAlone = requests.length * choices === 1
  const start = (request: TurnRequest, index: number) => service.startChoices(request, choicesOf(request, choices, isAlone ? null : index * choices))
  const outcomes = await Promise.allSettled(requests.map(start))
  const turns = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))
  const cancelAll = (): void => turns.forEach((turn) => turn.cancel())
  const refused = outcomes.find((outcome) => outcome.status === 'rejected')
  if (refused) {
    cancelAll()
    throw refused.reason
  }
  if (signal.aborted) cancelAll()
  signal.addEventListener('abort', cancelAll, { once: true })
  return turns.map((turn) => telemetry.observed(turn, startedAt))
}

/** A part of an answer, as it is shown: parts of one kind that follow each other are one. */
export type AnswerPart =
  | { readonly kind: 'content'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'call'; readonly call: ToolCall }

export interface Answer {
  /** In order; none is empty. */
  readonly parts: readonly AnswerPart[]
  /** The content, the reasoning and the calls, each joined in order. */
  readonly text: string
  readonly reasoning: string
  readonly calls: readonly ToolCall[]
  readonly deltas: readonly DeltaEvent[]
  readonly done: DoneEvent
}

/**
 * Reads a turn to its end.
 * @throws ClientGone if it was cancelled.
 */
export async function readAnswer(turn: Turn): Promise<Answer> {
  const parts: AnswerPart[] = []
  const deltas: DeltaEvent[] = []
  for await (const event of turn) {
    if (event.type === 'done') return answerOf(parts, deltas, event)
    if (event.type === 'delta') deltas.push(event)
    addEvent(parts, event)
  }
  throw new ClientGone('The turn was cancelled.')
}

function answerOf(parts: readonly AnswerPart[], deltas: readonly DeltaEvent[], done: DoneEvent): Answer {
  const joined = (kind: 'content' | 'reasoning') => parts.map((part) => (part.kind === kind ? part.text : '')).join('')
  const calls = parts.flatMap((part) => (part.kind === 'call' ? [part.call] : []))
  return { parts, text: joined('content'), reasoning: joined('reasoning'), calls, deltas, done }
}

function addEvent(parts: AnswerPart[], event: Exclude<TurnEvent, DoneEvent>): void {
  if (event.type === 'call') {
    parts.push({ kind: 'call', call: { id: event.id, name: event.name, arguments: '' } })
    return
  }
  if (event.text === '') return
  const last = parts.at(-1)
  if (event.type === 'arguments') {
    if (last?.kind !== 'call') throw new Error('arguments without a call')
    parts[parts.length - 1] = { kind: 'call', call: { ...last.call, arguments: last.call.arguments + event.text } }
    return
  }
  const kind = event.type === 'delta' ? 'content' : 'reasoning'
  if (last?.kind === kind) parts[parts.length - 1] = { kind, text: last.text + event.text }
  else parts.push({ kind, text: event.text })
}
