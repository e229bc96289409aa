import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { blobFindings, lengthFindings, MAX_BYTES, MAX_LINES } from './rules/sizes.js'
import { committablePaths, describe, readSources, sizeOf } from './rules/tree.js'

function readRatchet(): Record<string, number> {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'long-files.json'), 'utf8')) as Record<string, number>
}

test('no source file is over the bound, and the list of long ones only shrinks', (t) => {
  // Files that a script writes are read where they are described.
  const written = readSources(/\.(ts|vue|rs|cu|js|css|sh)$/).filter(({ path }) => !/\bgenerated\.(ts|rs)$/.test(path))
  t.is(describe(lengthFindings(written, readRatchet())), '')
})

test('no file that could be committed is too large', (t) => {
  t.is(describe(blobFindings(new Map(committablePaths().map((path) => [path, sizeOf(path)])))), '')
})

test('a file that grows over the bound or over its ratchet is found', (t) => {
  const file = (path: string, lines: number) => ({ path, text: 'x\n'.repeat(lines) })
  const files = [file('a.ts', MAX_LINES), file('b.ts', MAX_LINES + 1), file('c.ts', 701), file('d.ts', 600)]
  t.deepEqual(
    lengthFindings(files, { 'c.ts': 700, 'd.ts': 650 }).map(({ path }) => path),
    ['b.ts', 'c.ts', 'd.ts'],
  )
})

test('a large file is found', (t) => {
  t.deepEqual(
    blobFindings(
      new Map([
        ['small', MAX_BYTES],
        ['large', MAX_BYTES + 1],
      ]),
    ).map(({ path }) => path),
    ['large'],
  )
})
