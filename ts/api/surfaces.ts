// The surfaces that the server offers.

import { anthropic } from '../surfaces/anthropic/surface.js'
import { openai } from '../surfaces/openai/surface.js'
import { responses } from '../surfaces/responses/surface.js'
import type { Surface } from '../surfaces/surface.js'

export const SURFACES: readonly Surface[] = [openai, anthropic, responses]

/** The shape of the server's own routes, and of answers to paths that no route has. */
export const OWN_SHAPE: Pick<Surface, 'errors' | 'events'> = openai
