// Progress of loading a model: one line that changes on a screen, a line a quarter elsewhere.

import type { Terminal } from './terminal.js'

const QUARTERS = 4

export function loadingProgress(terminal: Terminal): (share: number) => void {
  let shown = -1
  return (share) => {
    const part = terminal.showsProgress ? Math.floor(share * 100) : Math.floor(share * QUARTERS)
    if (part <= shown) return
    shown = part
    const percent = Math.floor(share * 100)
    if (!terminal.showsProgress) terminal.err(`loading the model: ${percent} %\n`)
    else terminal.err(`\rloading the model: ${percent} %${share >= 1 ? '\n' : ''}`)
  }
}
