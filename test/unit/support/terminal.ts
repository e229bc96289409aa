// A terminal without a screen: what is typed, and what was shown.

import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import { main } from '../../../ts/cli/main.js'
import type { OpenEngine } from '../../../ts/engine-choice.js'
import { systemClock } from '../../../ts/engine/clock.js'
import type { Written } from '../../../ts/telemetry/line-sinks.js'
import { LineWriter } from '../../../ts/telemetry/line-writer.js'
import type { Terminal } from '../../../ts/cli/terminal.js'

export class FakeTerminal implements Terminal {
  readonly input = new PassThrough()
  readonly showsProgress = false
  readonly columns = (): number => 80
  stdout = ''
  stderr = ''
  readonly #events = new EventEmitter()

  constructor(
    readonly env: Readonly<Record<string, string>> = {},
    /** How `serve` comes by its engine. @default as usual */
    readonly open?: OpenEngine,
    /** A person types, key by key: `input` gets what the keys send. */
    readonly isInteractive = false,
  ) {}

  readonly out = (text: string): void => {
    this.stdout += text
    this.#events.emit('out')
  }

  readonly err = (text: string): void => {
    this.stderr += text
    this.#events.emit('out')
  }

  onStop(listener: (signal: NodeJS.Signals) => void): () => void {
    this.#events.on('stop', listener)
    return () => void this.#events.off('stop', listener)
  }

  onHangup(listener: () => void): () => void {
    this.#events.on('hangup', listener)
    return () => void this.#events.off('hangup', listener)
  }

  /** The process's own warnings and errors stay the test's. */
  onTrouble(): () => void {
    return () => {}
  }

  /** Its lines are part of `stderr` at once. */
  openLog(): LineWriter {
    const writeNow = (bytes: Buffer): void => this.err(bytes.toString())
    const write = (bytes: Buffer, written: Written): void => {
      writeNow(bytes)
      written(null, bytes.length)
    }
    return new LineWriter({ write, writeNow, close: () => {} }, { mostBytes: 2 ** 20, clock: systemClock })
  }

  onOrphaned(listener: () => void): () => void {
    this.#events.on('orphaned', listener)
    return () => void this.#events.off('orphaned', listener)
  }

  /** As the end of npx would. */
  orphan(): void {
    this.#events.emit('orphaned')
  }

  /** As `kill -HUP` would. */
  hangUp(): void {
    this.#events.emit('hangup')
  }

  /** As an operator would. */
  stop(): void {
    this.#events.emit('stop', 'SIGTERM')
  }

  /** Waits until standard output matches. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match) return match
      await once(this.#events, 'out')
    }
  }

  /** Types lines and ends the input. */
  type(...lines: readonly string[]): void {
    this.input.end(lines.map((line) => `${line}\n`).join(''))
  }

  run(...args: readonly string[]): Promise<number> {
    return main(args, this, this.open)
  }
}
