// How each place that the server writes to fares. Parts report changes; the log has one line a change of the place.

import type { Logger } from 'pino'
import type { Clock } from '../engine/clock.js'
import { DISK_STATES, diskSentence, type DiskCondition, type DiskPlace, type DiskReport, type DiskState } from '../protocol/disk.js'

type PartReport = Pick<DiskReport, 'state' | 'reason'>

interface Place {
  lostLines?: () => number
  readonly parts: Map<string, PartReport>
  condition: Omit<DiskCondition, 'lostLines'>
}

export class DiskConditions {
  readonly #log: Pick<Logger, 'warn'>
  readonly #clock: Pick<Clock, 'now'>
  readonly #places = new Map<DiskPlace, Place>()

  constructor(log: Pick<Logger, 'warn'>, clock: Pick<Clock, 'now'>) {
    this.#log = log
    this.#clock = clock
  }

  /** The server writes to this place: it is listed, and works until a part says otherwise. `lostLines`: of a log. */
  watch(name: DiskPlace, lostLines?: () => number): void {
    const place = this.#placeOf(name)
    if (lostLines) place.lostLines = lostLines
  }

  report({ place: name, part = '', state, reason }: DiskReport): void {
    const place = this.#placeOf(name)
    place.parts.set(part, { state, reason })
    const worst = [...place.parts.values()].reduce((a, b) => (rank(b.state) > rank(a.state) ? b : a))
    const hasChanged = worst.state !== place.condition.state
    place.condition = { place: name, ...worst, since: hasChanged ? this.#clock.now() : place.condition.since }
    if (hasChanged) this.#log.warn(contextOf(place), diskSentence(place.condition))
  }

  /** Those that were watched or reported, in the order of that. */
  list(): DiskCondition[] {
    return Array.from(this.#places.values(), ({ condition, lostLines }) => (lostLines ? { ...condition, lostLines: lostLines() } : condition))
  }

  #placeOf(name: DiskPlace): Place {
    const known = this.#places.get(name)
    if (known) return known
    const place: Place = { parts: new Map(), condition: { place: name, state: 'ok', reason: null, since: this.#clock.now() } }
    this.#places.set(name, place)
    return place
  }
}

function contextOf({ condition: { place, state, reason }, lostLines }: Place): Record<string, unknown> {
  const lost = lostLines?.() ?? 0
  return { place, state, ...(reason === null ? {} : { reason }), ...(lost === 0 ? {} : { lost_lines: lost }) }
}

function rank(state: DiskState): number {
  return DISK_STATES.indexOf(state)
}
