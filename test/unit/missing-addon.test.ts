// What a user is told who has no native addon.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { missingAddon, PREBUILT, readSystem, type System } from '../../ts/engine/native/missing-addon.js'
import { VERSION } from '../../ts/version.js'
import { ROOT } from '../support/paths.js'

type Description = Readonly<Record<'name' | 'version' | 'main', string> & Record<'os' | 'cpu' | 'libc', readonly string[]>>

const installed: System = { platform: 'linux', arch: 'x64', libc: 'gnu', isClone: false, version: VERSION }

test('each reason for a missing addon has a sentence of its own that says what to do', (t) => {
  const reasons: ReadonlyArray<readonly [system: Partial<System>, found: string | null, sentence: RegExp]> = [
    [{}, null, /attentionstore-linux-x64-gnu.*is not installed; .*--omit=optional.*: npm install attentionstore-linux-x64-gnu@/],
    [{}, '0.0.1', new RegExp(`is of version 0\\.0\\.1, and ${VERSION.replaceAll('.', '\\.')} is needed: npm install`)],
    [{ libc: 'musl' }, null, /needs glibc.*musl.*glibc 2\.28/],
    [{ arch: 'arm64' }, null, /no prebuilt addon for linux-arm64: build AttentionStore from a clone with make build/],
    [{ platform: 'darwin', arch: 'arm64', libc: '' }, null, /runs on Linux, and this is darwin-arm64: .*WSL 2/],
    [{ platform: 'win32', libc: '' }, null, /this is win32-x64/],
    [{ isClone: true }, null, /not built: run make build/],
    [{ isClone: true, arch: 'arm64' }, null, /not built: run make build/],
  ]
  const sentences = reasons.map(([system, found, sentence]) => {
    const { exitCode, code, message } = missingAddon({ ...installed, ...system }, found)
    t.deepEqual([exitCode, code], [3, 'addon_missing'])
    t.regex(message, sentence)
    return message
  })
  t.is(new Set(sentences).size, reasons.length - 1)
})

test('the program knows the prebuilt packages that there are, which name their platform and have its version', (t) => {
  const described = readdirSync(join(ROOT, 'npm')).map((folder) => {
    const description = JSON.parse(readFileSync(join(ROOT, 'npm', folder, 'package.json'), 'utf8')) as Description
    const { name, version, main, os, cpu, libc } = description
    t.deepEqual([name, version, main], [`attentionstore-${folder}`, VERSION, `attentionstore.${folder}.node`])
    t.deepEqual(libc, ['glibc'])
    return [`${os.join()}-${cpu.join()}`, name]
  })
  t.deepEqual(Object.fromEntries(described), PREBUILT)
})

test('the system is that of this process, in a clone', (t) => {
  const { platform, arch } = process
  t.like(readSystem(join(ROOT, 'ts')), { platform, arch, isClone: true, version: VERSION })
})
