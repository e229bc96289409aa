#!/usr/bin/env node
// Committed so that npm links it before anything is built; the program itself is in ../dist.

import { existsSync } from 'node:fs'

const program = new URL('../dist/cli/main.js', import.meta.url)

if (existsSync(program)) {
  const { main } = await import('../dist/cli/main.js')
  const { endWith } = await import('../dist/cli/exit.js')
  endWith(await main(process.argv.slice(2)))
} else {
  process.stderr.write('attentionstore is not built yet; run: make build\n')
  process.exitCode = 3
}
