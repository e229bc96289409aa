// Grammars as regular expressions: the texts that they match, and the grammars that are refused.

import test from 'ava'
import { patternOf } from '../../../ts/surfaces/responses/grammar/pattern.js'
import { APPLY_PATCH } from '../../support/apply-patch.js'

const whole = (lark: string) => new RegExp(`^(?:${patternOf(lark)})$`)

/** Grammar, texts of it, texts that are not. */
const CASES: ReadonlyArray<readonly [name: string, lark: string, right: readonly string[], wrong: readonly string[]]> = [
  ['rules, counts and names of branches', 'start: a+ b? -> whole\na: "x" | "y"\nb: "(" /[0-9]+/ ")"', ['x', 'yx', 'x(12)'], ['', '(1)', 'x()', 'x(1)(2)']],
  ['alternatives on lines of their own', 'start: "one"\n  | "two"\n\n     | "three" // a remark\n# and another', ['one', 'two', 'three'], ['four', 'onetwo']],
  ['groups over several lines, and optional ones', 'start: ("a"\n | "b"\n)~2 ["c" "d"]', ['ab', 'bbcd'], ['a', 'abc', 'abcdcd']],
  ['numbers of repetitions', 'start: "a"~2..3 "b"~2', ['aabb', 'aaabb'], ['abb', 'aaaabb', 'aab']],
  ['ranges', 'start: "a".."f" "0".."9"+', ['a0', 'f99'], ['g0', 'a', '-0']],
  ['texts with marks of regular expressions', String.raw`start: "*** [a.b] (c|d) {1}? \\ ^$ a-b /"`, ['*** [a.b] (c|d) {1}? \\ ^$ a-b /'], ['*** [aXb] (c|d) {1}? \\ ^$ a-b /']],
  ['escapes', String.raw`start: "\"a\n\t\x41\u00e9" /\/\//`, ['"a\n\tAé//'], ['"a\\n']],
  ['terminals of the library', 'start: INT WS CNAME LF\n%import common.INT\n%import common (WS, CNAME)\n%import common.LF', ['12 \t a_1\n'], ['a a\n', '12a\n']],
  ['a library terminal under another name', 'start: N\n%import common.SIGNED_NUMBER -> N', ['-1.5e3', '7', '.5', '+2.'], ['e3', '--1']],
  ['ignored texts, between terminals and not inside of them', 'start: "let" NAME "=" N\nNAME: LETTER LETTER\nN: /[0-9]{2}/\n%import common.LETTER\n%ignore /[ ]+/', ['let ab = 12', 'letab=12', ' let ab=12 '], ['l et ab=12', 'let a b = 12', 'let ab = 1 2']],
  ['marks that shape the tree alone', '?start: _a | b\n!b.2: "b"\n_a: "a"', ['a', 'b'], ['ab']],
  ['an empty alternative', 'start: "a" (| "b")', ['a', 'ab'], ['b']],
]

for (const [name, lark, right, wrong] of CASES) {
  test(`${name} match what Lark says`, (t) => {
    const pattern = whole(lark)
    for (const text of right) t.regex(text, pattern)
    for (const text of wrong) t.notRegex(text, pattern)
  })
}

test('flags go with their regular expression and their text', (t) => {
  t.true(patternOf('start: "ab"i').includes('(?i:ab)'))
  t.true(patternOf('start: /a.b/isu').includes('(?is:a.b)'))
})

test('the grammar of Codex’s patches matches patches and nothing else', (t) => {
  const pattern = whole(APPLY_PATCH)
  const patch = (...lines: string[]) => ['*** Begin Patch', ...lines, '*** End Patch'].join('\n')
  t.regex(patch('*** Add File: a.txt', '+Hello', '+'), pattern)
  t.regex(`${patch('*** Update File: a b.py', '*** Move to: c.py', '@@ def f():', ' x', '-y', '+z', '*** End of File', '*** Delete File: d')}\n`, pattern)
  for (const wrong of [patch(), patch('*** Add File: a.txt'), patch('*** Update File: a', 'x'), 'diff --git a b', `\n${patch('*** Delete File: d')}`, '*** Begin Patch\n*** Delete File: d']) {
    t.notRegex(wrong, pattern)
  }
})

test('a grammar that cannot be held to is refused with its line and its reason', (t) => {
  for (const [lark, part] of [
    ['start: "(" start ")" | "x"', 'line 1: "start" comes back to itself'],
    ['start: a\n\na: b\nb: a | "x"', 'line 3: "a" comes back to itself'],
    ['start: a', 'line 1: "a" is not defined'],
    ['a: "x"', 'no rule "start"'],
    ['start: "x"\nstart: "y"', 'line 2: "start" is defined twice'],
    ['start: "x" )', 'line 1: Where the end of the line is expected, ")" stands'],
    ['start: ("x"', 'the grammar ends'],
    ['start: "x', 'line 1: The server does not know what'],
    ['start: "z".."a"', 'line 1: A range'],
    ['start: /a/q', 'flags'],
    ['start: X\n%import common.MOON -> X', 'common.MOON'],
    ['start: X\n%import python.X', 'line 2: Terminals are imported from "common" only'],
    ['start: "x"\n%declare Y', 'line 2: The server does not support %declare'],
    ['start{x}: "a"', 'line 1: The server does not know'],
    ['', 'no rule "start"'],
    [`start: ${'('.repeat(200)}"a"${')'.repeat(200)}`, 'more than 64 deep'],
    [Array.from({ length: 400 }, (_, at) => `r${at}: r${at + 1}`).join('\n').replace('r0', 'start'), 'chain of more than 128'],
    [`start: ${'a0 '.repeat(3000)}\n${Array.from({ length: 40 }, (_, at) => `a${at}: a${at + 1} a${at + 1}`).join('\n')}\na40: "x"`, 'more than 65536 characters'],
  ] as const) {
    const error = t.throws(() => patternOf(lark), undefined, lark.slice(0, 80))
    t.true(error?.message.includes(part), `${lark.slice(0, 80)} | ${error?.message}`)
  }
})
