// A conversation's id is one for all cache salts, and all else of it is apart for each: a request with another salt learns
// neither where the conversation can go on nor the day since which it is held.

import type { ChainHash, OpeningName, SaltName } from './chain.js'
import { addAnswer, closeTurns, openTurn, openTurnOf, type OpenBounds, type OpenTurn, type Spot } from './open-turns.js'

/** What the turns with one cache salt made of a conversation. */
export interface Strand {
  /** ISO day of the first of these turns: the date that a template asks for stays the same. null: there was none yet. */
  date: string | null
  /** Chain hashes of the answers that no further turn continues, oldest first. */
  tips: ChainHash[]
  /** Turns with several answers of which none is continued yet, oldest first. None: there is no such turn. */
  open?: readonly OpenTurn[]
  /** Of the histories that a key brought to the conversation: names of their openings, the earliest first. None: a key brought none. */
  openings?: readonly OpeningName[]
}

/** The strand of the turns without a salt, and those of the others by salt, the longest unused first. */
export interface Stranded extends Strand {
  /** None: no turn had a salt. */
  salted?: Map<SaltName, Strand>
  /** The salt of the last turn. None: it had none. */
  lastSalt?: SaltName
}

/** Branches that are remembered, without a salt and of each salt; the oldest is forgotten first. */
const MOST_TIPS = 64
const MOST_SALTED_TIPS = 8
/** The same of turns with several answers: no request has more answers than the fewest that are remembered. */
const MOST_OPEN: OpenBounds = { turns: 8, answers: 64 }
const MOST_SALTED_OPEN: OpenBounds = { turns: 2, answers: 16 }
/**
 * Unlike openings under one key beyond which it names no conversation. A client that summarises its history, or asks beside it
 * for a title, brings some under a key of one user's.
 */
export const MOST_OPENINGS = 8
/** Salts of one conversation that are remembered; the longest unused is forgotten first. A turn writes all of them. */
const MOST_SALTS = 16

/** undefined: no turn of the conversation had this salt. */
export function strandOf(conversation: Stranded, salt: SaltName): Strand | undefined {
  if (salt !== '') return conversation.salted?.get(salt)
  return conversation.date === null ? undefined : conversation
}

/** A turn with this salt is the last one; if it is the salt's first, its strand begins on the day `date`. */
export function useStrand(conversation: Stranded, salt: SaltName, date: string): void {
  conversation.lastSalt = salt
  if (salt === '') {
    conversation.date ??= date
    return
  }
  const salted = (conversation.salted ??= new Map<SaltName, Strand>())
  const strand = salted.get(salt) ?? { date, tips: [] }
  salted.delete(salt)
  salted.set(salt, strand)
  for (const longestUnused of salted.keys()) {
    if (salted.size <= MOST_SALTS) break
    salted.delete(longestUnused)
  }
}

/** The key of the conversation stands for histories that have nothing in common but a system prompt, this one included. */
export function isShared(conversation: Stranded, salt: SaltName, opening: OpeningName): boolean {
  const openings = strandOf(conversation, salt)?.openings ?? []
  return openings.length > MOST_OPENINGS || (openings.length === MOST_OPENINGS && !openings.includes(opening))
}

/** A history that begins so came under the conversation's key. False: it was known, or the key is known to be shared. */
export function addOpening(conversation: Stranded, salt: SaltName, opening: OpeningName): boolean {
  const strand = strandOf(conversation, salt)
  const openings = strand?.openings ?? []
  if (!strand || openings.length > MOST_OPENINGS || openings.includes(opening)) return false
  strand.openings = [...openings, opening]
  return true
}

/** An answer of the last turn ends at `tip`; it stands at `spot`, and continues the tip before it, if that was one. */
export function advanceStrand(conversation: Stranded, spot: Spot, tip: ChainHash): void {
  const strand = lastStrand(conversation)
  if (!strand) return
  replaceTip(strand, spot.before, tip, conversation.lastSalt ?? '')
  setOpen(strand, closeTurns(strand.open ?? [], spot))
}

/** The last turn is to have several answers. None of them is a tip before it is continued, so its own tip stays one. */
export function openStrand(conversation: Stranded, spot: Spot): void {
  const strand = lastStrand(conversation)
  if (strand) setOpen(strand, openTurn(strand.open ?? [], spot, mostOpen(conversation)))
}

/** One of the answers of a turn with several, as long as none of them is continued. */
export function addToStrand(conversation: Stranded, spot: Spot, answer: ChainHash): void {
  const strand = lastStrand(conversation)
  if (strand?.open) setOpen(strand, addAnswer(strand.open, spot, answer, mostOpen(conversation)))
}

/** The last turn continues this answer. If it is one of several, it is the one that counts: it is a tip from now on. */
export function chooseInStrand(conversation: Stranded, answer: ChainHash): void {
  const strand = lastStrand(conversation)
  const chosen = openTurnOf(strand?.open ?? [], answer)
  if (!strand || !chosen) return
  replaceTip(strand, chosen.before, answer, conversation.lastSalt ?? '')
  setOpen(strand, closeTurns(strand.open ?? [], chosen))
}

/** Whether the conversation may go on after this answer: it is a tip, or one of several that may become one. */
export function goesOnFrom({ tips, open = [] }: Strand, answer: ChainHash): boolean {
  return tips.includes(answer) || openTurnOf(open, answer) !== undefined
}

function lastStrand(conversation: Stranded): Strand | undefined {
  return strandOf(conversation, conversation.lastSalt ?? '')
}

function replaceTip(strand: Strand, before: ChainHash | null, tip: ChainHash, salt: SaltName): void {
  strand.tips = strand.tips.filter(hash => hash !== before && hash !== tip)
  strand.tips.push(tip)
  strand.tips.splice(0, strand.tips.length - (salt === '' ? MOST_TIPS : MOST_SALTED_TIPS))
}

function mostOpen({ lastSalt = '' }: Stranded): OpenBounds {
  return lastSalt === '' ? MOST_OPEN : MOST_SALTED_OPEN
}

function setOpen(strand: Strand, open: readonly OpenTurn[]): void {
  if (open.length > 0) strand.open = open
  else delete strand.open
}

/** Of a conversation that goes on where the last turn of `origin` ended: that turn's strand, with its last tip. */
export function forkStrand(origin: Stranded): Stranded {
  const salt = origin.lastSalt ?? ''
  const { date, tips } = strandOf(origin, salt) ?? { date: null, tips: [] }
  const last = { date, tips: tips.slice(-1) }
  return salt === '' ? last : { date: null, tips: [], salted: new Map([[salt, last]]), lastSalt: salt }
}
