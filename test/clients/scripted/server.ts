// Real servers over scripted models, one a family, in a process of their own. Prints one line of JSON: what each family
// can, and where it listens. Ends with its standard input.

import { join } from 'node:path'
import { resolveOptions } from '../../../ts/config/resolve.js'
import { openEngine } from '../../../ts/engine-choice.js'
import { startResolvedServer, type RunningServer } from '../../../ts/server.js'
import { temporaryFolder } from '../../support/paths.js'
import { addKey } from '../../unit/support/keys.js'
import { ScriptedEngine } from './engine.js'
import { FAMILIES, familiesThere } from './families.js'
import { makeModel } from './model-folder.js'

/** What the tests are told of a family. */
export interface ScriptedFamily {
  readonly url: string
  readonly key: string
  readonly format: string
  readonly parallel: boolean
  readonly reasons: boolean
}

async function open(name: string, folder: string): Promise<ScriptedFamily & { server: RunningServer }> {
  const family = FAMILIES[name]?.()
  if (family === undefined) throw new Error(`no family ${name}`)
  const { path, special } = makeModel(join(folder, name, 'model'), family)
  const keys = join(folder, name, 'keys.jsonl')
  const key = addKey(keys, 'clients', 'clients')
  const flags = {
    model: path,
    servedModelName: [name],
    device: 'cpu',
    port: '0',
    threads: '1',
    hbmBytes: '32MiB',
    dramBytes: '32MiB',
    ssdBytes: '0',
    dataDir: join(folder, name, 'data'),
    apiKeys: keys,
    strictFields: true,
    logLevel: 'error',
  }
  const server = await startResolvedServer(resolveOptions({ flags }), {}, async (places, listeners) => {
    const opened = await openEngine(places, listeners)
    const { outputFormat } = opened.engine.info
    if (outputFormat !== family.format) throw new Error(`${name}: the output format is ${outputFormat}`)
    return { ...opened, engine: new ScriptedEngine(opened.engine, { write: family.write, special }) }
  })
  const { format, parallel, reasons } = family
  return { url: server.url, key, format, parallel, reasons, server }
}

const folder = temporaryFolder('attentionstore-clients-')
const names = process.argv.slice(2)
const opened = await Promise.all((names.length > 0 ? names : familiesThere()).map(async (name) => [name, await open(name, folder)] as const))
const told = opened.map(([name, { url, key, format, parallel, reasons }]): [string, ScriptedFamily] => [name, { url, key, format, parallel, reasons }])
console.log(JSON.stringify(Object.fromEntries(told)))

process.stdin.resume()
await new Promise((ended) => process.stdin.once('end', ended))
await Promise.all(opened.map(([, { server }]) => server.close(0)))
