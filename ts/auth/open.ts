// From the options of a server to its access control.

import { isLoopback } from '../config/names.js'
import type { ServeOptions } from '../config/options.js'
import { absolutePath } from '../config/paths.js'
import { ExitError } from '../protocol/errors.js'
import { AccessControl } from './access-control.js'
import { KeyFileError } from './key-file.js'
import { Keyring } from './keyring.js'

type AuthOptions = Pick<ServeOptions, 'apiKeys' | 'adminKeyFile' | 'host'>

/** @throws ExitError with exit code 2 for a key file that cannot be used. */
export function openAccessControl(options: AuthOptions, env: Readonly<Record<string, string | undefined>>): AccessControl {
  return new AccessControl({
    apiKeys: openKeyring('--api-keys', options.apiKeys, env),
    adminKeys: openKeyring('--admin-key-file', options.adminKeyFile, env),
    isLoopback: isLoopback(options.host),
    now: Date.now,
  })
}

function openKeyring(option: string, path: string | null, env: Readonly<Record<string, string | undefined>>): Keyring | null {
  if (path === null) return null
  try {
    return new Keyring(absolutePath(path, env))
  } catch (cause) {
    if (cause instanceof KeyFileError) throw new ExitError(2, 'invalid_option', `${option}: ${cause.message}`, cause.context, { cause })
    throw cause
  }
}
