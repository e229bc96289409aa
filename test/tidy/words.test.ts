import test from 'ava'
import { bannedWordFindings } from './rules/words.js'
import { describe, readSources } from './rules/tree.js'

const TEXT = /\.(ts|vue|rs|cu|js|json|toml|md|css|html|sh|yml)$|^Makefile$|^\.ci\/|^[^/]*$/

test('no banned word is in the repository', (t) => {
  t.is(describe(bannedWordFindings(readSources(TEXT))), '')
})

test('each banned word is found, with what to write instead', (t) => {
  const bad = [
    `const a = '${'/wo'}rk/main/x'`,
    `join(root, '${'../sha'}red/data')`,
    `// ${'TO'}DO later`,
    `https://${'registry.'}npmjs.org`,
    `see ${'iss'}ue 3`,
    `value ${'as'} any`,
    `${'todo'}!()`,
  ]
  const findings = bannedWordFindings([{ path: 'ts/a.ts', text: bad.join('\n') }])
  t.deepEqual(
    findings.map(({ line }) => line).toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7],
  )
  t.true(findings.every(({ message }) => message.includes(': ')))
})

test('ordinary text is left alone', (t) => {
  const good = 'a workhorse; an issue arises; path.join(root, "work"); "/v1/models"; https://host/root/x'
  t.deepEqual(bannedWordFindings([{ path: 'ts/a.ts', text: good }]), [])
})
