// Progress of what takes time: one line that changes on a screen, a line a quarter elsewhere.

import type { Logger } from 'pino'
import type { Terminal } from './terminal.js'

const QUARTERS = 4

const LOADING = 'loading the model'

export function loadingProgress(terminal: Terminal): (share: number) => void {
  return progressLine(terminal, LOADING)
}

export function loggedLoading(log: Logger): (share: number) => void {
  return loggedProgress(log, LOADING)
}

/** Where standard error is a log: a line a quarter. */
function loggedProgress(log: Logger, what: string): (share: number) => void {
  let shown = -1
  return (share) => {
    const part = Math.floor(share * QUARTERS)
    if (part <= shown) return
    shown = part
    log.info({ share }, what)
  }
}

/** Shows `what: 40 %` as the share grows from 0 to 1. */
export function progressLine(terminal: Terminal, what: string): (share: number) => void {
  let shown = -1
  return (share) => {
    const part = terminal.showsProgress ? Math.floor(share * 100) : Math.floor(share * QUARTERS)
    if (part <= shown) return
    shown = part
    const percent = Math.floor(share * 100)
    if (!terminal.showsProgress) terminal.err(`${what}: ${percent} %\n`)
    else terminal.err(`\r${what}: ${percent} %${share >= 1 ? '\n' : ''}`)
  }
}
