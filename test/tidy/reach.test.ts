import test from 'ava'
import { deadRust, deadScripts } from './rules/reach.js'
import { describe, readSources } from './rules/tree.js'

const file = (path: string, text = '') => ({ path, text })
const paths = (findings: readonly { readonly path: string }[]) => findings.map(({ path }) => path)

test('no TypeScript or Vue file is dead', (t) => {
  t.is(describe(deadScripts(readSources(/\.(ts|js|vue)$/))), '')
})

test('no Rust file is dead', (t) => {
  t.is(describe(deadRust(readSources(/^crates\/.*\.rs$/))), '')
})

test('a script that nothing imports is dead, one that is imported under its output name is not', (t) => {
  const sources = [
    file('ts/index.ts', "export * from './api/a.js'"),
    file('ts/api/a.ts', "const b = await import('./b.js')"),
    file('ts/api/b.ts', "import { dead } from './nowhere.js'"),
    file('ts/api/dead.ts', "import './a.js'"),
    file('ts/bin/run.js', "import '../dist/cli/main.js'"),
    file('ts/cli/main.ts'),
    file('web/src/main.ts', "import App from './App.vue'"),
    file('web/src/App.vue', "<script setup lang=\"ts\">\nimport x from './x.ts'\n</script>"),
    file('web/src/x.ts'),
  ]
  t.deepEqual(paths(deadScripts(sources)), ['ts/api/dead.ts'])
})

test('a Rust file that no module declares is dead', (t) => {
  const sources = [
    file('crates/kv/src/lib.rs', 'mod a;\npub(crate) mod b;\n// mod dead;'),
    file('crates/kv/src/a.rs', 'mod inner;'),
    file('crates/kv/src/a/inner.rs'),
    file('crates/kv/src/b/mod.rs', '#[path = "odd.rs"]\nmod renamed;'),
    file('crates/kv/src/b/odd.rs'),
    file('crates/kv/src/dead.rs'),
    file('crates/kv/tests/suite.rs', 'mod common;'),
    file('crates/kv/tests/common/mod.rs'),
    file('crates/kv/tests/lost/mod.rs'),
  ]
  t.deepEqual(paths(deadRust(sources)), ['crates/kv/src/dead.rs', 'crates/kv/tests/lost/mod.rs'])
})
