import { json } from '../../surfaces/surface.js'
import type { Handler } from '../route.js'

/** GET /openapi.json */
export const openapi: Handler = (_, { description }) => json(description)
