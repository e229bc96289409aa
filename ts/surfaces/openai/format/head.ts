import { randomUUID } from 'node:crypto'
import { systemFingerprint } from '../../system-fingerprint.js'
import type { SurfaceContext } from '../../surface.js'
import type { ResponseHead } from './chat.js'

/** The fields that all bodies of one answer begin with. */
export function responseHead(kind: 'chatcmpl' | 'cmpl', model: string, { engine, version }: SurfaceContext): ResponseHead {
  return {
    id: `${kind}-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: systemFingerprint(engine.info, version),
  }
}
