// Which model is meant, and where its files are.

import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ExitError } from '../protocol/errors.js'
import { DEFAULT_MODEL, fetchDefaultModel } from './default-model.js'
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
  const path = model === null ? await defaultModel(env, onProgress) : namedModel(model, env)
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

function namedModel(model: string, env: Environment): string {
  if (/^[./~]/.test(model)) {
    const path = absolutePath(model, env)
    if (existsSync(path)) return path
    throw new ExitError(2, 'model_not_found', `--model: ${path} does not exist`, { path })
  }
  if (!NAME.test(model)) {
    throw invalidOption('--model', `${JSON.stringify(model)} is neither a path (with a leading ., / or ~) nor a name (A-Z a-z 0-9 . _ - and /)`)
  }
  const directory = modelsDirectory(env)
  const found = [model, `${model}.gguf`].map((name) => join(directory, name)).find((path) => existsSync(path))
  if (found !== undefined) return found
  const hint = `a path needs a leading ., / or ~`
  throw new ExitError(2, 'model_not_found', `--model: there is no ${model} in ${directory}; ${hint}`, { model, directory })
}

async function defaultModel(env: Environment, onProgress: (sentence: string) => void): Promise<string> {
  const directory = modelsDirectory(env)
  const path = join(directory, DEFAULT_MODEL.file)
  // Its bytes were checked when it came; a file of another size was put there by hand and is not it.
  if (existsSync(path) && (await stat(path)).size === DEFAULT_MODEL.bytes) return path
  return fetchDefaultModel(directory, onProgress)
}

async function weightBytes(path: string): Promise<number> {
  const entry = await stat(path)
  if (entry.isFile()) return entry.size
  const names = (await readdir(path)).filter((name) => /\.(safetensors|gguf)$/.test(name))
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size))
  return sizes.reduce((total, size) => total + size, 0)
}
