// Turns with several answers, of which none was continued yet: any of them may go on in the same conversation.

import type { ChainHash } from './chain.js'

/** Where an answer stands: after which messages, and the stored answer before those. */
export interface Spot {
  /** Chain hash after the messages of the request. */
  readonly question: ChainHash
  /** The answer that the messages continue; null: they continue none. */
  readonly before: ChainHash | null
}

export interface OpenTurn extends Spot {
  /** Chain hashes of its answers so far. */
  readonly answers: readonly ChainHash[]
}

/** How many turns are remembered as open, and how many answers of them all; the oldest is forgotten first. */
export interface OpenBounds {
  readonly turns: number
  readonly answers: number
}

/** A turn with several answers begins, or begins again. */
export function openTurn(turns: readonly OpenTurn[], { question, before }: Spot, most: OpenBounds): OpenTurn[] {
  const known = turns.find(turn => turn.question === question)
  const others = turns.filter(turn => turn !== known)
  return [...others, { question, before, answers: known?.answers ?? [] }].slice(-most.turns)
}

/** One more answer of an open turn. Of a turn that is not open any more nothing is added. */
export function addAnswer(turns: readonly OpenTurn[], { question }: Spot, answer: ChainHash, most: OpenBounds): OpenTurn[] {
  const added = turns.map(turn => {
    if (turn.question !== question || turn.answers.includes(answer)) return turn
    return { ...turn, answers: [...turn.answers, answer] }
  })
  let tooMany = added.reduce((sum, { answers }) => sum + answers.length, -most.answers)
  return added.flatMap(turn => {
    if (tooMany <= 0) return [turn]
    const answers = turn.answers.slice(tooMany)
    tooMany -= turn.answers.length - answers.length
    return answers.length === 0 ? [] : [{ ...turn, answers }]
  })
}

/** The open turn that this is an answer of. */
export function openTurnOf(turns: readonly OpenTurn[], answer: ChainHash): OpenTurn | undefined {
  return turns.find(({ answers }) => answers.includes(answer))
}

/** The conversation goes on from this spot: what was open there is closed. */
export function closeTurns(turns: readonly OpenTurn[], { question, before }: Spot): OpenTurn[] {
  return turns.filter(turn => turn.before !== before || (before === null && turn.question !== question))
}
