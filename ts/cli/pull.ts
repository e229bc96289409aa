// `pull`: a model from the Hugging Face Hub onto this machine.

import { Command } from 'commander'
import { pullModel } from '../config/hub/pull.js'
import { hubReference, nameOf } from '../config/hub/reference.js'
import { invalidOption } from '../config/units.js'
import { progressLine } from './progress.js'
import type { Terminal } from './terminal.js'

export function pullCommand(terminal: Terminal): Command {
  return new Command('pull')
    .description('download a model from the Hugging Face Hub, into the cache that other programs share')
    .argument('<model>', 'ORG/MODEL[:QUANT][@REV]: a GGUF file (Q4_K_M where no quantisation is named), else safetensors')
    .addHelpText('after', '\nHF_TOKEN opens models with terms, HF_ENDPOINT names a mirror, HF_HOME or HF_HUB_CACHE the folder.\n')
    .action((model: string) => pull(model, terminal))
}

async function pull(model: string, terminal: Terminal): Promise<void> {
  const reference = hubReference(model)
  if (reference === null) throw invalidOption('pull', `${JSON.stringify(model)} is no name such as ORG/MODEL, ORG/MODEL:Q8_0 or ORG/MODEL@REV`)
  const onNotice = (sentence: string): void => terminal.err(`${sentence}\n`)
  const path = await pullModel(reference, terminal.env, { onNotice, onShare: progressLine(terminal, 'downloading') })
  terminal.out(`${path}\n`)
  terminal.err(`attentionstore serve --model ${nameOf(reference)} serves it\n`)
}
