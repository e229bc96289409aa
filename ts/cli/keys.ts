// `keys`: makes, lists and removes keys of a server.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { appendKey, KEY_NAME, KeyFileError, readKeyFile, removeKey, type KeyRecord } from '../auth/key-file.js'
import { keyHash, newKey } from '../auth/keyring.js'
import { absolutePath, dataDirectory } from '../config/paths.js'
import { invalidOption } from '../config/units.js'
import { variable } from '../config/options.js'
import { ExitError } from '../protocol/errors.js'
import { TENANT_NAME } from '../protocol/schemas/conversations.js'
import type { Terminal } from './terminal.js'

interface FileValues {
  readonly file?: string
  readonly apiKeys?: string
}

interface AddValues extends FileValues {
  readonly name: string
  readonly tenant: string
}

const HELP = `
A server reads the file with --api-keys FILE, and again when it gets SIGHUP (kill -HUP PID). Keys of --admin-key-file have
the same form: keys add --name me --tenant ops --file admin.jsonl. The file holds SHA-256 hashes; a lost key cannot be
found again. Tenants share nothing: neither conversations nor cached blocks.
`

export function keysCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  const command = new Command('keys').description('make, list and remove the keys of a server').addHelpText('after', HELP)
  command
    .addCommand(
      withFile(new Command('add').description('print a new key, once, and append its hash to the file'))
        .requiredOption('--name <name>', 'name of the key\'s owner, for people')
        .requiredOption('--tenant <tenant>', 'tenant that the key opens')
        .action((values: AddValues) => add(values, terminal)),
    )
    .addCommand(
      withFile(new Command('list').description('show the keys of the file: id, tenant, name, time of making')).action((values: FileValues) =>
        list(values, terminal),
      ),
    )
    .addCommand(
      withFile(new Command('remove').description('take a key out of the file (exit 1: there is none of this id)'))
        .alias('revoke')
        .argument('<id>', 'id of the key, as keys list shows it')
        .action((id: string, values: FileValues) => setExitCode(remove(id, values, terminal))),
    )
  return command
}

function withFile(command: Command): Command {
  return command
    .option('--file <file>', `the file of keys (default: ${variable('apiKeys')}, else api-keys.jsonl in the data directory)`)
    .option('--api-keys <file>', 'the same, as serve calls it')
}

function add(values: AddValues, terminal: Terminal): void {
  if (!KEY_NAME.test(values.name)) throw invalidOption('--name', 'it has 1 to 64 characters, none of them a control character')
  if (!TENANT_NAME.test(values.tenant)) throw invalidOption('--tenant', 'it has up to 64 of A-Z a-z 0-9 . _ : -')
  const path = fileOf(values, terminal)
  const key = newKey()
  const record: KeyRecord = {
    id: `key_${randomBytes(6).toString('hex')}`,
    name: values.name,
    tenant: values.tenant,
    sha256: keyHash(key).toString('hex'),
    created: new Date().toISOString(),
  }
  checked(() => appendKey(path, record))
  terminal.out(`${key}\n`)
  terminal.err(`${record.id} was added to ${path}; the key is shown only this once\n`)
}

function list(values: FileValues, terminal: Terminal): void {
  const records = checked(() => readKeyFile(fileOf(values, terminal)))
  const rows = [['id', 'tenant', 'name', 'created'], ...records.map(({ id, tenant, name, created }) => [id, tenant, name, created])]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  for (const row of rows) terminal.out(`${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`)
}

function remove(id: string, values: FileValues, terminal: Terminal): number {
  const path = fileOf(values, terminal)
  const removed = checked(() => removeKey(path, id))
  if (removed === null) {
    terminal.err(`${path} has no key ${JSON.stringify(id)}; keys list shows the keys that it has\n`)
    return 1
  }
  terminal.out(`${id} (${removed.name}) was removed from ${path}; a running server accepts it until SIGHUP\n`)
  return 0
}

function fileOf({ file, apiKeys }: FileValues, { env }: Terminal): string {
  const given = file ?? apiKeys ?? env[variable('apiKeys')]
  if (given !== undefined) return absolutePath(given, env)
  const directory = dataDirectory(env)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return join(directory, 'api-keys.jsonl')
}

/** A key file that cannot be used is a wrong configuration. */
function checked<T>(use: () => T): T {
  try {
    return use()
  } catch (cause) {
    if (cause instanceof KeyFileError) throw new ExitError(2, cause.code, `--file: ${cause.message}`, cause.context, { cause })
    throw cause
  }
}
