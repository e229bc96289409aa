// The default model, if it is on this machine.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_MODEL } from '../../ts/config/default-model.js'
import { modelsDirectory } from '../../ts/config/paths.js'

/** Path of the default model in the cache shared by clones, or null. `make test` fetches it before the suites run. */
export function defaultModelPath(): string | null {
  const path = join(modelsDirectory(process.env), DEFAULT_MODEL.file)
  return existsSync(path) ? path : null
}
