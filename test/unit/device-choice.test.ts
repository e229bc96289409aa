import test from 'ava'
import { fitTiers } from '../../ts/config/machine.js'
import { resolveOptions } from '../../ts/config/resolve.js'
import { chooseDevice, defaultBatchTokens, isDeviceRefusal } from '../../ts/device-choice.js'
import { EngineError, ExitError } from '../../ts/protocol/errors.js'

const GPUS = { devices: [{ ordinal: 0, name: 'A' }, { ordinal: 1, name: 'B' }] }

test('auto is the first GPU with the CPU behind it, or the CPU with the reason', (t) => {
  t.deepEqual(chooseDevice('auto', GPUS), { first: 'cuda:0', fallBack: true, notice: null })
  const none = chooseDevice('auto', { devices: [], reason: 'no CUDA driver' })
  t.deepEqual(none, { first: 'cpu', fallBack: false, notice: 'computing on the CPU: no CUDA driver' })
  t.is(chooseDevice('auto', { devices: [] }).notice, 'computing on the CPU: no GPU was found')
})

test('a device that is named is that device or an error, never another one', (t) => {
  for (const name of ['cpu', 'cuda', 'cuda:1'] as const) {
    t.deepEqual(chooseDevice(name, GPUS), { first: name, fallBack: false, notice: null })
    t.deepEqual(chooseDevice(name, { devices: [] }), { first: name, fallBack: false, notice: null })
  }
})

test('only what concerns the device sends auto to the CPU', (t) => {
  t.true(isDeviceRefusal(new ExitError(3, 'model_device', 'no card')))
  t.true(isDeviceRefusal(new ExitError(2, 'model_invalid', 'head dim 80')))
  for (const code of ['kv_locked', 'model_malformed', 'model_io', 'invalid_option']) {
    t.false(isDeviceRefusal(new ExitError(2, code, 'no')), code)
  }
  t.false(isDeviceRefusal(new EngineError('native', 'no')))
  t.false(isDeviceRefusal(new Error('model_device')))
})

test('a device is named as the driver counts', (t) => {
  const device = (name: unknown) => resolveOptions({ flags: { device: name } }).device
  for (const name of ['auto', 'cpu', 'simulated', 'cuda', 'cuda:0', 'cuda:15'] as const) t.is(device(name), name)
  for (const wrong of ['gpu', 'cuda:', 'cuda:-1', 'cuda:01', 'cuda:1.5', 'cuda:x', 'CUDA', '', 'cuda:12345']) {
    const error = t.throws(() => device(wrong), { instanceOf: ExitError }, wrong)
    t.regex(error?.message ?? '', /--device/, wrong)
    t.is(error?.exitCode, 2)
  }
})

test('a GPU takes larger steps, and its first tier is what it has left', (t) => {
  t.is(defaultBatchTokens('cpu'), 256)
  t.is(defaultBatchTokens('cuda:3'), 2048)
  const machine = { memoryLimit: 2 ** 34, availableMemory: 2 ** 34, freeDisk: 2 ** 34, storedBytes: 0 }
  t.is(fitTiers(resolveOptions({}), machine, 0, true).hbmBytes, 0)
  t.is(fitTiers(resolveOptions({ flags: { hbmBytes: '1GiB' } }), machine, 0, true).hbmBytes, 2 ** 30)
  t.true(fitTiers(resolveOptions({}), machine, 0, false).hbmBytes > 0)
})

test('the directory of the toolkit is a variable, not an unknown option', (t) => {
  t.notThrows(() => resolveOptions({ env: { ATTENTIONSTORE_NVRTC_DIR: '/opt/cuda' } }))
  t.throws(() => resolveOptions({ env: { ATTENTIONSTORE_NVRTC: '/opt/cuda' } }), { instanceOf: ExitError })
})
