// The package's own files and version, from the sources and from dist/ alike.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

function findRoot(directory: string): string {
  return existsSync(join(directory, 'package.json')) ? directory : findRoot(dirname(directory))
}

/** The directory of package.json. */
export const PACKAGE_ROOT = findRoot(import.meta.dirname)

const description = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }

export const VERSION = description.version
