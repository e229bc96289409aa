// Which model is meant, and where its files are.

import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ExitError } from '../protocol/errors.js'
import { DEFAULT_MODEL, fetchDefaultModel } from './default-model.js'
import { findCached } from './hub/cache.js'
import { pullModel } from './hub/pull.js'
import { hubReference, type HubReference } from './hub/reference.js'
import { absolutePath, modelsDirectory } from './paths.js'
import { invalidOption } from './units.js'

type Environment = Readonly<Record<string, string | undefined>>

export interface ModelFiles {
  /** A GGUF file or a Hugging Face directory. */
  readonly path: string
  /** Bytes of its weights on disk. */
  readonly weightBytes: number
  /** Of a model that the program knows by its file. */
  readonly known?: KnownModel
}

export type KnownModel = Pick<typeof DEFAULT_MODEL, 'id' | 'sampling' | 'chat'>

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/

/**
 * Finds a model by path or name; null is the default model, which is downloaded once.
 * @param onProgress gets a sentence when something takes time.
 * @throws ExitError: 2 if it is not there, 3 if the default model can not be had.
 */
export async function findModel(
  model: string | null,
  env: Environment,
  onProgress: (sentence: string) => void,
): Promise<ModelFiles> {
  const path = model === null ? await defaultModel(env, onProgress) : await namedModel(model, env, onProgress)
  const bytes = await weightBytes(path)
  const isDefault = basename(path) === DEFAULT_MODEL.file && bytes === DEFAULT_MODEL.bytes
  return { path, weightBytes: bytes, ...(isDefault ? { known: DEFAULT_MODEL } : {}) }
}

/**
 * The shape of random weights: a name as it is, or the absolute path of a directory.
 * @throws ExitError with exit code 2 if there is no such directory. Names are the engine's to judge.
 */
export function findShape(shape: string, env: Environment): string {
  if (!/^[./~]/.test(shape)) return shape
  const path = absolutePath(shape, env)
  if (existsSync(path)) return path
  throw new ExitError(2, 'model_not_found', `--random-weights: ${path} does not exist`, { path })
}

async function namedModel(model: string, env: Environment, onProgress: (sentence: string) => void): Promise<string> {
  if (/^[./~]/.test(model)) {
    const path = absolutePath(model, env)
    if (existsSync(path)) return onlyGguf(path)
    throw new ExitError(2, 'model_not_found', `--model: ${path} does not exist`, { path })
  }
  const reference = hubReference(model)
  if (!NAME.test(model) && reference === null) {
    throw invalidOption('--model', `${JSON.stringify(model)} is neither a path (with a leading ., / or ~) nor a name (A-Z a-z 0-9 . _ - and /), nor one of the Hub (ORG/MODEL:QUANT@REV)`)
  }
  const directory = modelsDirectory(env)
  const found = [model, `${model}.gguf`].map((name) => join(directory, name)).find((path) => existsSync(path))
  if (found !== undefined) return onlyGguf(found)
  if (reference !== null) return (await findCached(reference, env)) ?? fetchFromHub(reference, env, onProgress)
  const hint = `a path needs a leading ., / or ~, and a model of the Hub is ORG/MODEL`
  throw new ExitError(2, 'model_not_found', `--model: there is no ${model} in ${directory}; ${hint}`, { model, directory })
}

function fetchFromHub(reference: HubReference, env: Environment, onProgress: (sentence: string) => void): Promise<string> {
  let told = 0
  return pullModel(reference, env, {
    onNotice: onProgress,
    onShare(share) {
      const tenths = Math.floor(share * 10)
      if (tenths <= told) return
      told = tenths
      onProgress(`downloaded ${tenths * 10} %`)
    },
  })
}

/** A directory with one GGUF file and no Hugging Face model is that file. */
async function onlyGguf(path: string): Promise<string> {
  if (!(await stat(path)).isDirectory() || existsSync(join(path, 'config.json'))) return path
  const ggufs = (await readdir(path)).filter((name) => name.endsWith('.gguf'))
  const [only, ...others] = ggufs
  if (only === undefined) return path
  if (others.length > 0) throw invalidOption('--model', `${path} has ${ggufs.length} GGUF files; name one of them: ${ggufs.toSorted().join(', ')}`)
  return join(path, only)
}

async function defaultModel(env: Environment, onProgress: (sentence: string) => void): Promise<string> {
  const directory = modelsDirectory(env)
  const path = join(directory, DEFAULT_MODEL.file)
  // Its bytes were checked when it came; a file of another size was put there by hand and is not it.
  if (existsSync(path) && (await stat(path)).size === DEFAULT_MODEL.bytes) return path
  return fetchDefaultModel(directory, env, onProgress)
}

async function weightBytes(path: string): Promise<number> {
  const entry = await stat(path)
  if (entry.isFile()) return entry.size
  const names = (await readdir(path)).filter((name) => /\.(safetensors|gguf)$/.test(name))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size))
  return sizes.reduce((total, size) => total + size, 0)
}
