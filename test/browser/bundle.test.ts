import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test from 'ava'
import { ROOT } from '../support/paths.js'

const BUILT = join(ROOT, 'ts/web-dist')
const BOUND_BYTES = 300 * 1000

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
}

test('everything that a browser loads is at most 300 kB of gzip', (t) => {
  t.true(existsSync(join(BUILT, 'index.html')), 'the page is not built: make build')
  const sizes = files(BUILT).map((path) => gzipSync(readFileSync(path)).length)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  t.log(`${total} bytes`)
  t.true(total > 20_000 && total <= BOUND_BYTES, `${total} bytes`)
})

test('no style and no script stands in the page itself', (t) => {
  const html = readFileSync(join(BUILT, 'index.html'), 'utf8')
  t.notRegex(html, /<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=/)
})
