import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { plainFindings, unknownEntries } from './rules/plain.js'
import { textsOf } from './rules/texts.js'
import { committablePaths, describe, readSources, ROOT } from './rules/tree.js'

/** Folders and files whose every comment and sentence follows the rule; it grows as files are touched. */
const held = JSON.parse(readFileSync(join(import.meta.dirname, 'plain-sentences.json'), 'utf8')) as string[]

test('messages, documents for users and the held files are written in plain sentences', (t) => {
  t.is(describe(plainFindings(readSources(/\.(ts|js|vue|rs|cu|md)$/), held)), '')
})

test('each held entry names a file or folder, once, in order', (t) => {
  t.deepEqual(unknownEntries(committablePaths(), held), [])
  t.deepEqual(held, [...new Set(held)].toSorted())
})

const linesOver = (text: string, most: number) => text.split('\n').flatMap((line, index) => ([...line].length > most ? [index + 1] : []))

test('no line of README, CHANGELOG and the interface is too long to be read', (t) => {
  for (const path of ['README.md', 'CHANGELOG.md', 'docs/interface.md']) {
    t.deepEqual(linesOver(readFileSync(join(ROOT, path), 'utf8'), 400), [], path)
  }
  t.deepEqual(linesOver(`${'ä'.repeat(401)}\n${'ä'.repeat(400)}`, 400), [1])
})

const lines = (path: string, text: string, all = false) => plainFindings([{ path, text }], all ? [path] : []).map(({ line, message }) => [line, message.split('"')[1]])

test('the worst subjects are found in what users read', (t) => {
  t.deepEqual(lines('README.md', 'Fine.\n\nWhat no longer fits goes.\nIt waits. What\ncomes is `What is`.\n| a | What was read |\n'), [
    [3, 'What no'],
    [4, 'What comes'],
    [6, 'What was'],
  ])
  t.deepEqual(lines('docs/interface.md', 'Whoever asks waits, and nobody is\nso many as somebody.'), [
    [1, 'Whoever'],
    [1, 'nobody'],
    [2, 'somebody'],
    [2, 'so many'],
  ])
})

test('questions, the what-if page, code and other words are left alone', (t) => {
  t.deepEqual(lines('README.md', '> What can a beekeeper do?\n\n## What if\n\nWhat-if curves show what comes.\n\n```\nWhat is this\n```\n'), [])
})

test('a message is a string literal of the shipped code, not of its tests', (t) => {
  const text = "// nobody\nconst a = `x ${'What is left'} nobody`\nimport 'nobody'\n"
  t.deepEqual(lines('ts/api/a.ts', text), [
    [2, 'What is'],
    [2, 'nobody'],
  ])
  t.deepEqual(lines('ts/api/a.test.ts', text), [])
  t.deepEqual(lines('crates/kv/src/a.rs', 'let a = "nobody \\\n   waits"; // somebody\n#[cfg(test)]\nmod tests { const B: &str = "nobody"; }'), [[1, 'nobody']])
  t.deepEqual(lines('web/src/A.vue', '<script setup lang="ts">\n// nobody\nconst a = "whoever"\n</script>\n\n<template>\n  <p>What is kept</p>\n</template>\n'), [
    [3, 'whoever'],
    [7, 'What is'],
  ])
})

test('comments are read where the list says so', (t) => {
  const text = '// Fine. What\n// is left goes.\nconst a = 1 /* nobody */\n/**\n * One.\n * Somebody.\n */\nfunction f() {} // "whoever"\n'
  t.deepEqual(lines('ts/api/a.ts', text), [])
  t.deepEqual(lines('ts/api/a.ts', text, true), [
    [1, 'What is'],
    [3, 'nobody'],
    [6, 'Somebody'],
    [8, 'whoever'],
  ])
  t.deepEqual(lines('crates/kv/src/a.rs', "//! What is\n/// so many\nlet q = '\"'; // nobody", true), [
    [1, 'What is'],
    [2, 'so many'],
    [3, 'nobody'],
  ])
})

test('an entry that names nothing is found', (t) => {
  t.deepEqual(unknownEntries(['a/b.ts'], ['a/', 'a/b.ts', 'b/', 'a/b']), ['b/', 'a/b'])
})

test('comments that follow each other are one text', (t) => {
  t.deepEqual(
    textsOf({ path: 'a.ts', text: '// one\n// two\n\n// three\n' }).map(({ line, text }) => [line, text.replace(/\s+/g, ' ').trim()]),
    [
      [1, 'one two'],
      [4, 'three'],
    ],
  )
})
