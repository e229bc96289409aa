// The reader of shared objects, on two that a compiler made (test/fixtures/shared-objects), and the rule for an addon.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../wire/description.js'
import { readSharedObject } from './elf.js'
import { portabilityProblems } from './portable.js'

const fixture = (name: string): Buffer => readFileSync(join(ROOT, 'test/fixtures/shared-objects', name))

/** The fixture with `from` in place of `to`, texts of the same length. */
function changed(name: string, from: string, to: string): Buffer {
  const bytes = fixture(name)
  const at = bytes.indexOf(from)
  if (at === -1 || from.length !== to.length) throw new Error(`${from} is not in ${name}, or ${to} is of another length`)
  bytes.write(to, at, 'latin1')
  return bytes
}

test('a shared object tells its libraries, and the versions of them with the symbols that need each', (t) => {
  t.deepEqual(readSharedObject(fixture('old.so')), {
    machine: 62,
    libraries: ['libc.so.6'],
    versions: [{ library: 'libc.so.6', version: 'GLIBC_2.2.5', symbols: ['malloc'] }],
  })
  const { libraries, versions } = readSharedObject(fixture('new.so'))
  t.deepEqual(libraries, ['libm.so.6', 'libc.so.6'])
  const byVersion = versions.map(({ library, version, symbols }) => [`${library} ${version}`, symbols.toSorted()])
  t.deepEqual(Object.fromEntries(byVersion), {
    'libc.so.6 GLIBC_2.2.5': ['malloc'],
    'libc.so.6 GLIBC_2.34': ['dlopen', 'dlsym'],
    'libm.so.6 GLIBC_2.29': ['exp', 'pow'],
  })
})

test('an addon is portable down to the newest version that it needs', (t) => {
  t.deepEqual(portabilityProblems(fixture('old.so'), '2.28'), [])
  t.deepEqual(portabilityProblems(fixture('old.so'), '2.2.5'), [])
  t.regex(portabilityProblems(fixture('old.so'), '2.2.4').join(), /GLIBC_2\.2\.5 of libc\.so\.6 for malloc/)
  t.deepEqual(portabilityProblems(fixture('new.so'), '2.34'), [])
  const [libc, libm, ...others] = portabilityProblems(fixture('new.so'), '2.28').toSorted()
  t.regex(libm ?? '', /GLIBC_2\.34 of libc\.so\.6 for (dlopen, dlsym|dlsym, dlopen); glibc 2\.28 does not have it/)
  t.regex(libc ?? '', /GLIBC_2\.29 of libm\.so\.6/)
  t.deepEqual(others, [])
})

test('a foreign library, another machine and a private version are told', (t) => {
  t.regex(portabilityProblems(changed('new.so', 'libm.so.6', 'libz.so.1'), '2.34').join(), /needs libz\.so\.1, which is no part of glibc/)
  t.regex(portabilityProblems(changed('old.so', 'GLIBC_2.2.5', 'GLIBC_PRIVA'), '2.34').join(), /GLIBC_PRIVA/)
  const arm = fixture('old.so')
  arm.writeUInt16LE(183, 18)
  t.regex(portabilityProblems(arm, '2.28').join(), /built for the machine 183/)
})

test('files that are no shared object are refused', (t) => {
  t.throws(() => readSharedObject(Buffer.from('#!/bin/sh\n')), { message: /not an ELF file/ })
  const withoutSections = fixture('old.so')
  withoutSections.writeUInt16LE(0, 60)
  t.throws(() => readSharedObject(withoutSections), { message: /without section headers/ })
})
