// Sampling defaults of a model, from generation_config.json or GGUF's general.sampling.*: no one has checked them.

import type { EngineInfo } from '../types.js'

type Defaults = EngineInfo['defaults']
type Name = keyof Defaults

/** The values that a request may have too. */
const IS_USABLE: Readonly<Record<Name, (value: number) => boolean>> = {
  temperature: (value) => value >= 0 && value <= 100,
  topP: (value) => value > 0 && value <= 1,
  topK: (value) => value >= 0 && value <= 0x7fff_ffff,
  minP: (value) => value >= 0 && value <= 1,
  repetitionPenalty: (value) => value > 0 && value <= 100,
}

/** A value that no request may have would fail every request without one of its own: it counts as left out. */
export function usableDefaults(given: Readonly<Record<Name, number | undefined>>): Defaults {
  const names = Object.keys(IS_USABLE) as Name[]
  return Object.fromEntries(names.flatMap((name) => {
    const value = given[name]
    return value !== undefined && IS_USABLE[name](value) ? [[name, value]] : []
  }))
}
