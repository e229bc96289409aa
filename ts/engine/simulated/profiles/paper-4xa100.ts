// The machine of the paper (arXiv 2403.19708, ATC'24). The paper's own: four A100 with 80 GB, PCIe 4 at about 26 GB/s, 128 GB
// of host memory, 10 TB of SSD; fp16; KV of 0.78, 2.5, 0.31 and 0.12 MB a token; two GPUs for LLaMA-13B and four for the
// others, batches of 24; $5 a GPU hour, $0.0088 and $0.000082 a GB hour of memory and disk; 5 GB of KV from 2K tokens of
// LLaMA-65B in 360 ms.
// Derived: those 360 ms are 59 % of the GPUs' peak, and the other models compute at the same share; a decoding step
// reads weights and history at 80 % of the memory's 2.04 TB/s. Assumed: disks of 5 and 4 GB/s (the paper says less than
// 5), workspace, and contexts: the paper's end at 4K (LLaMA-65B: 2K) and are halved there, these are as long as the traces'.

import type { HardwareProfile } from './profile.js'

const GB = 1e9
const GIB_IN_GB = 2 ** 30 / GB
const PEAK_FLOPS_MS = 312e9
const COMPUTE_SHARE = 0.59
const MEMORY_BYTES_MS = 2.04e9 * 0.8
const GPU_BYTES = 80 * GB
/** Activations and buffers beside weights and KV. */
const WORKSPACE_BYTES = 5 * GB

interface Model {
  readonly name: string
  readonly parameters: number
  readonly layers: number
  readonly kvBytesPerToken: number
  readonly context: number
  readonly gpus: number
}

const MODELS: readonly Model[] = [
  { name: 'llama-13b', parameters: 13e9, layers: 40, kvBytesPerToken: 819_200, context: 16_384, gpus: 2 },
  { name: 'llama-65b', parameters: 65e9, layers: 80, kvBytesPerToken: 2_621_440, context: 16_384, gpus: 4 },
  { name: 'llama-70b', parameters: 70e9, layers: 80, kvBytesPerToken: 327_680, context: 16_384, gpus: 4 },
  { name: 'falcon-40b', parameters: 40e9, layers: 60, kvBytesPerToken: 122_880, context: 16_384, gpus: 4 },
]

function profileOf({ name, parameters, layers, kvBytesPerToken, context, gpus }: Model): HardwareProfile {
  const weightBytes = 2 * parameters
  return {
    name: `paper-4xa100/${name}`,
    device: `simulated (${gpus} × A100, ${name})`,
    layers,
    kvBytesPerToken,
    modelContext: context,
    maxBatchTokens: 2048,
    maxRunning: 24,
    tierBytes: { hbm: gpus * (GPU_BYTES - WORKSPACE_BYTES) - weightBytes, dram: 128 * GB, ssd: 10_000 * GB },
    stepBaseMs: weightBytes / (gpus * MEMORY_BYTES_MS),
    stepPerRowMs: (2 * parameters) / (gpus * PEAK_FLOPS_MS * COMPUTE_SHARE),
    stepPerHistoryTokenMs: kvBytesPerToken / (gpus * MEMORY_BYTES_MS),
    loadRate: 26e6,
    saveRate: 26e6,
    readRate: 5e6,
    writeRate: 4e6,
    diskLatencyMs: 0.1,
    flushMs: 1,
    prices: { acceleratorHour: 5 * gpus, dramGibHour: 0.0088 * GIB_IN_GB, ssdGibHour: 0.000082 * GIB_IN_GB },
  }
}

export const paper4xA100: readonly HardwareProfile[] = MODELS.map(profileOf)
