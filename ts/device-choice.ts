// Which device computes: what is asked for, or with `auto` the first GPU and, where that cannot, the CPU.

import type { DeviceName } from './config/names.js'
import { AttentionStoreError } from './protocol/errors.js'

/** GPUs of this machine, or the sentence that says why there are none. */
export interface DetectedGpus {
  readonly devices: ReadonlyArray<{ readonly ordinal: number; readonly name: string }>
  readonly reason?: string
}

export interface DeviceChoice {
  /** The native engine's name of the device. */
  readonly first: string
  /** Whether the CPU computes where the first one cannot. */
  readonly fallBack: boolean
  /** What is said before anything is opened. */
  readonly notice: string | null
}

/** Codes of a device that is missing or cannot use what it is given; everything else the CPU would refuse too. */
const DEVICE_CODES: ReadonlySet<string> = new Set(['model_device', 'model_invalid'])

export function chooseDevice(asked: DeviceName, detected: DetectedGpus): DeviceChoice {
  if (asked !== 'auto') return { first: asked, fallBack: false, notice: null }
  const [gpu] = detected.devices
  if (gpu) return { first: `cuda:${gpu.ordinal}`, fallBack: true, notice: null }
  return { first: 'cpu', fallBack: false, notice: `computing on the CPU: ${detected.reason ?? 'no GPU was found'}` }
}

export function isDeviceRefusal(thrown: unknown): thrown is AttentionStoreError {
  return thrown instanceof AttentionStoreError && DEVICE_CODES.has(thrown.code)
}

export function isGpu(device: string): boolean {
  return device.startsWith('cuda')
}

/** Rows of a step: as many as keep the device busy without delaying others' tokens for long. */
export function defaultBatchTokens(device: string): number {
  return isGpu(device) ? 2048 : 256
}
