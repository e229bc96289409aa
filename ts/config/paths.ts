// Where things lie by default: the XDG base directories.

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

function base(env: Environment, variable: string, fallback: string): string {
  const given = env[variable]
  // The XDG specification: relative paths are to be ignored.
  return given !== undefined && given.startsWith('/') ? given : join(env['HOME'] ?? homedir(), fallback)
}

/** Models that were downloaded or put there by hand. */
export function modelsDirectory(env: Environment): string {
  return join(base(env, 'XDG_CACHE_HOME', '.cache'), 'attentionstore', 'models')
}

/** Compiled kernels of GPUs. */
export function kernelsDirectory(env: Environment): string {
  return join(base(env, 'XDG_CACHE_HOME', '.cache'), 'attentionstore', 'kernels')
}

/** Default of `--data-dir`. */
export function dataDirectory(env: Environment): string {
  return join(base(env, 'XDG_DATA_HOME', '.local/share'), 'attentionstore')
}

/** Lines that were typed into `chat`. */
export function inputHistoryFile(env: Environment): string {
  return join(base(env, 'XDG_STATE_HOME', '.local/state'), 'attentionstore', 'chat-history')
}

/** An absolute path; `~/` is the home directory, also where no shell has expanded it. */
export function absolutePath(path: string, env: Environment): string {
  if (path === '~' || path.startsWith('~/')) return join(env['HOME'] ?? homedir(), path.slice(1))
  return resolve(path)
}
