// One H100 or H200 on PCIe 5, with the shapes of Mistral-7B and LLaMA-13B in bf16. Step times are those that vLLM took on an
// H100 (2K and 8K of prefill: 53 and 219 ms, 92 and 383 ms; decoding 6.2 ms a step alone, 9.7 for 64); the H200 computes
// as fast and reads memory 1.37 times as fast. Batch DMA moves 54 GB/s each way. Disks (6 and 4 GB/s) and prices are assumed.

import type { HardwareProfile } from './profile.js'

const GIB = 2 ** 30

interface Gpu {
  readonly name: string
  readonly device: string
  readonly memoryBytes: number
  /** Bytes a millisecond. */
  readonly memoryRate: number
  readonly hour: number
}

interface Model {
  readonly name: string
  readonly layers: number
  readonly weightBytes: number
  readonly kvBytesPerToken: number
  readonly perRowMs: number
  readonly context: number
}

const MISTRAL: Model = { name: 'mistral-7b', layers: 32, weightBytes: 14.5e9, kvBytesPerToken: 131_072, perRowMs: 0.0255, context: 131_072 }
const LLAMA: Model = { name: 'llama-13b', layers: 40, weightBytes: 26e9, kvBytesPerToken: 819_200, perRowMs: 0.0445, context: 32_768 }

const H100: Gpu = { name: 'h100-pcie5', device: 'H100', memoryBytes: 80e9, memoryRate: 3.07e9, hour: 3 }
const H200: Gpu = { name: 'h200-pcie5', device: 'H200', memoryBytes: 141e9, memoryRate: 4.2e9, hour: 3.8 }

/** Of memory bandwidth, what a decoding step reaches on weights. */
const DECODE_SHARE = 0.78
const WORKSPACE_BYTES = 5e9

function profileOf(gpu: Gpu, model: Model): HardwareProfile {
  return {
    name: `${gpu.name}/${model.name}`,
    device: `simulated (${gpu.device}, ${model.name})`,
    layers: model.layers,
    kvBytesPerToken: model.kvBytesPerToken,
    modelContext: model.context,
    maxBatchTokens: 2048,
    maxRunning: 256,
    tierBytes: { hbm: gpu.memoryBytes - model.weightBytes - WORKSPACE_BYTES, dram: 128 * GIB, ssd: 4096 * GIB },
    stepBaseMs: model.weightBytes / (gpu.memoryRate * DECODE_SHARE),
    stepPerRowMs: model.perRowMs,
    stepPerHistoryTokenMs: model.kvBytesPerToken / (gpu.memoryRate * DECODE_SHARE),
    loadRate: 53.9e6,
    saveRate: 53.9e6,
    readRate: 6e6,
    writeRate: 4e6,
    diskLatencyMs: 0.1,
    flushMs: 1,
    prices: { acceleratorHour: gpu.hour, dramGibHour: 0.0088, ssdGibHour: 0.000082 },
  }
}

export const hopper: readonly HardwareProfile[] = [H100, H200].flatMap(gpu => [MISTRAL, LLAMA].map(model => profileOf(gpu, model)))
