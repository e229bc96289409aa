// deploy/attentionstore.service and its drop-ins: by systemd's own checks, and against the server that it starts.

import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { SERVE_OPTIONS } from '../../../ts/config/options.js'
import { resolveOptions } from '../../../ts/config/resolve.js'
import { ROOT, temporaryFolder } from '../../support/paths.js'
import { testNeeding } from '../../support/requirements.js'

const folder = join(ROOT, 'deploy')
const dropIns = readdirSync(join(folder, 'attentionstore.service.d'))

type Settings = ReadonlyMap<string, readonly string[]>

/** Values by name; a name may come more than once. */
function settingsOf(path: string): Settings {
  const settings = new Map<string, string[]>()
  for (const [, name = '', value = ''] of readFileSync(join(folder, path), 'utf8').matchAll(/^([A-Z]\w+)=(.*)$/gm)) {
    settings.set(name, [...(settings.get(name) ?? []), value])
  }
  return settings
}

/** With the directories of a service of the system in place of `%S` and so on. */
function environmentOf(settings: Settings): Record<string, string> {
  const places: Readonly<Record<string, string>> = { '%S': '/var/lib', '%C': '/var/cache', '%d': '/run/credentials/attentionstore.service' }
  const pairs = (settings.get('Environment') ?? []).flatMap((line) => line.split(' ')).map((pair) => pair.split('=', 2))
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value.replace(/%\w/g, (place) => places[place] ?? place)]))
}

const unit = settingsOf('attentionstore.service')
const one = (name: string, of: Settings = unit): string => of.get(name)?.join(' ') ?? ''

/** `90s` in milliseconds. */
const milliseconds = (text: string): number => Number(/^(\d+)s$/.exec(text)?.[1] ?? NaN) * 1000

test('a stop leaves running answers their time, and a failure of the engine starts the server again', (t) => {
  t.true(milliseconds(one('TimeoutStopSec')) >= 2 * SERVE_OPTIONS.drainTimeout.default)
  t.is(one('Restart'), 'on-failure')
  // 1 is the end of an engine; 3 may be a network that is not there yet.
  t.deepEqual(one('RestartPreventExitStatus').split(' '), ['2'])
  t.is(one('ExecStart'), '/usr/bin/env attentionstore serve')
})

test('the server keeps its state where systemd lets it write', (t) => {
  const env = environmentOf(unit)
  t.is(resolveOptions({ env }).dataDir, `/var/lib/${one('StateDirectory')}`)
  t.is(env['XDG_CACHE_HOME'], `/var/cache/${one('CacheDirectory')}`)
  t.is(one('ProtectSystem'), 'strict')
  t.is(one('DynamicUser'), 'yes')
})

test('memory may be locked, the disk tier has io_uring, and Node may compile', (t) => {
  t.is(one('LimitMEMLOCK'), 'infinity')
  t.true(Number(one('LimitNOFILE')) >= 65536)
  const [allowed, denied, again] = unit.get('SystemCallFilter') ?? []
  t.is(allowed, '@system-service')
  t.is(denied, '~@privileged @resources')
  // V8 stops where it cannot use the memory keys that it was given.
  t.is(again, '@pkey setpriority')
  t.false(unit.has('MemoryDenyWriteExecute'))
  t.false(unit.has('ProcSubset'), '/proc/meminfo is read before memory is taken')
})

test('the keys of the drop-in are options of the server, and are those that systemd hands over', (t) => {
  const settings = settingsOf('attentionstore.service.d/keys.conf')
  const { apiKeys, adminKeyFile } = resolveOptions({ env: environmentOf(settings) })
  const names = (settings.get('LoadCredential') ?? []).map((line) => line.split(':')[0])
  t.deepEqual([apiKeys, adminKeyFile], names.map((name) => `/run/credentials/attentionstore.service/${name}`))
})

test('the drop-in for a card opens its devices alone', (t) => {
  const settings = settingsOf('attentionstore.service.d/gpu.conf')
  t.is(one('DevicePolicy', settings), 'closed')
  t.is(one('PrivateDevices', settings), 'no')
  t.true((settings.get('DeviceAllow') ?? []).every((device) => /^char-nvidia[\w-]* rw$/.test(device)))
})

/** The unit with these drop-ins, in a folder of its own. */
function installed(names: readonly string[]): string {
  const target = temporaryFolder()
  cpSync(join(folder, 'attentionstore.service'), join(target, 'attentionstore.service'))
  for (const name of names) cpSync(join(folder, 'attentionstore.service.d', name), join(target, 'attentionstore.service.d', name))
  return join(target, 'attentionstore.service')
}

function analyze(...args: readonly string[]): { readonly code: number | null; readonly out: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, '--no-pager'], { encoding: 'utf8' })
  return { code: status, out: stdout + stderr }
}

testNeeding('systemd-analyze')('systemd takes the unit and its drop-ins, and finds them as closed as the documents say', (t) => {
  t.deepEqual(dropIns.toSorted(), ['gpu.conf', 'keys.conf'])
  for (const [names, figure] of [[[], 14], [['gpu.conf'], 16], [dropIns, 16]] as const) {
    const path = installed(names)
    // Where node is not in /usr/bin the program is not missing: env looks for it.
    t.deepEqual(analyze('verify', path), { code: 0, out: '' })
    const security = analyze('security', '--offline=true', `--threshold=${figure}`, path)
    t.is(security.code, 0, security.out.split('\n').slice(-3).join('\n'))
  }
})
