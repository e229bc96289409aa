// The files of a repository that make a model: one GGUF file, or safetensors with what belongs to them.

import { ExitError } from '../../protocol/errors.js'

export interface ModelChoice {
  readonly kind: 'gguf' | 'safetensors'
  /** Paths in the repository. */
  readonly files: readonly string[]
}

/** Without a wish: the quantisation that most people run, then the one without a loss to notice, then the first file. */
const PREFERRED = ['Q4_K_M', 'Q8_0']
const SPLIT = /-\d{5}-of-\d{5}\.gguf$/i
/** Projectors of images and matrices of importance are no models. */
const NO_MODEL = /(^|\/)(mmproj|imatrix)|[.-](mmproj|imatrix)[.-]/i
const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors$/
const BESIDE = /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|model\.safetensors\.index)\.json$|^chat_template\.jinja$/
const SAFE_PATH = /^[A-Za-z0-9_][A-Za-z0-9_. +=,-]*(\/[A-Za-z0-9_][A-Za-z0-9_. +=,-]*)*$/

/** A path that stays inside the folder that it is put into. */
export function isSafePath(path: string): boolean {
  return path.length <= 255 && SAFE_PATH.test(path) && !path.split('/').includes('..')
}

/**
 * @param paths of the repository; those that could leave a folder are passed over.
 * @throws ExitError with exit code 2 that lists what there is.
 */
export function chooseFiles(name: string, paths: readonly string[], quant: string | null): ModelChoice {
  const safe = paths.filter(isSafePath).toSorted()
  const ggufs = safe.filter((path) => /\.gguf$/i.test(path) && !NO_MODEL.test(path))
  if (ggufs.length > 0) return { kind: 'gguf', files: [chooseGguf(name, ggufs, quant)] }
  if (quant !== null) throw refused(`${name} has no GGUF file, so no ${quant}; without :${quant} its safetensors are taken`)
  const weights = safe.filter((path) => WEIGHTS.test(path))
  checkWhole(name, weights)
  if (!safe.includes('config.json')) throw refused(`${name} has safetensors without a config.json`)
  return { kind: 'safetensors', files: [...safe.filter((path) => BESIDE.test(path)), ...weights] }
}

/** @param paths of at least one GGUF file. */
function chooseGguf(name: string, paths: readonly string[], quant: string | null): string {
  const found = quant === null ? (PREFERRED.flatMap((one) => ofQuant(paths, one))[0] ?? paths[0]) : ofQuant(paths, quant)[0]
  if (found === undefined) throw refused(`${name} has no ${quant}. It has ${paths.join(', ')}`)
  if (!SPLIT.test(found)) return found
  throw refused(`${found} of ${name} is one of several parts, which are not supported; join them with llama-gguf-split --merge, or choose another file: ${paths.filter((path) => !SPLIT.test(path)).join(', ') || 'there is none'}`)
}

/** Files of a quantisation, whole ones first. */
function ofQuant(paths: readonly string[], quant: string): string[] {
  const escaped = quant.replace(/[.]/g, '\\.')
  const pattern = new RegExp(`(^|[-_./])${escaped}([-.]|/|$)`, 'i')
  return paths.filter((path) => pattern.test(path)).toSorted((a, b) => Number(SPLIT.test(a)) - Number(SPLIT.test(b)))
}

function checkWhole(name: string, weights: readonly string[]): void {
  const total = Number(/-of-(\d{5})\./.exec(weights[0] ?? '')?.[1] ?? 1)
  if (weights.length === 0) throw refused(`${name} has neither GGUF files nor model.safetensors; other formats are not read`)
  if (weights.length < total) throw refused(`${name} has ${weights.length} of its ${total} safetensors files`)
}

function refused(sentence: string): ExitError {
  return new ExitError(2, 'model_not_found', `--model: ${sentence}`)
}
