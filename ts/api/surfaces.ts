// The surfaces that the server offers.

import { openai } from '../surfaces/openai/surface.js'
import type { Surface } from '../surfaces/surface.js'

export const SURFACES: readonly Surface[] = [openai]

/** The shape of the server's own routes, and of answers to paths that no route has. */
export const OWN_SHAPE: Pick<Surface, 'errors' | 'events'> = openai
