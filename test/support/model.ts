// The default model, if it is on this machine.

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf'

/** Path of the default model in the cache shared by clones, or null. `make test` fetches it before the suites run. */
export function defaultModelPath(): string | null {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const path = join(cache, 'attentionstore', 'models', FILE)
  return existsSync(path) ? path : null
}
