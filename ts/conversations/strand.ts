// A conversation's id is one for all cache salts, and all else of it is apart for each: a request with another salt learns
// neither where the conversation can go on nor the day since which it is held.

import type { ChainHash, SaltName } from './chain.js'

/** What the turns with one cache salt made of a conversation. */
export interface Strand {
  /** ISO day of the first of these turns: the date that a template asks for stays the same. null: there was none yet. */
  date: string | null
  /** Chain hashes of the answers that no further turn continues, oldest first. */
  tips: ChainHash[]
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

/** An answer of the last turn ends at `tip`; it continued `before`, if that was a tip. */
export function advanceStrand(conversation: Stranded, before: ChainHash | null, tip: ChainHash): void {
  const salt = conversation.lastSalt ?? ''
  const strand = strandOf(conversation, salt)
  if (!strand) return
  strand.tips = strand.tips.filter(hash => hash !== before && hash !== tip)
  strand.tips.push(tip)
  strand.tips.splice(0, strand.tips.length - (salt === '' ? MOST_TIPS : MOST_SALTED_TIPS))
}

/** Of a conversation that goes on where the last turn of `origin` ended: that turn's strand, with its last tip. */
export function forkStrand(origin: Stranded): Stranded {
  const salt = origin.lastSalt ?? ''
  const { date, tips } = strandOf(origin, salt) ?? { date: null, tips: [] }
  const last = { date, tips: tips.slice(-1) }
  return salt === '' ? last : { date: null, tips: [], salted: new Map([[salt, last]]), lastSalt: salt }
}
