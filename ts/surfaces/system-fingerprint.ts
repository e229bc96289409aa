import { createHash } from 'node:crypto'
import type { EngineInfo } from '../engine/types.js'

/** Tells two servers apart that may answer the same request differently: another model, tokenizer, template or version. */
export function systemFingerprint({ fingerprint, textFingerprint }: Pick<EngineInfo, 'fingerprint' | 'textFingerprint'>, version: string): string {
  const hash = createHash('sha256').update(JSON.stringify([fingerprint, textFingerprint, version]))
  return `fp_${hash.digest('hex').slice(0, 12)}`
}
