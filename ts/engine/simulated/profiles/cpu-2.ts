// SmolLM2-135M on two Zen 3 cores, as measured (docs/design/cpu-backend.md): prefill 290 tokens/s at 512 and 190 at 4K,
// decode 110 tokens/s, host copies at 9 GB/s, a disk of 0.8 GB/s. The price is that of a small virtual machine.

import type { HardwareProfile } from './profile.js'

export const cpu2: HardwareProfile = {
  name: 'cpu-2',
  device: 'simulated (cpu-2)',
  layers: 30,
  kvBytesPerToken: 23_040,
  modelContext: 8192,
  maxBatchTokens: 256,
  maxRunning: 256,
  tierBytes: { hbm: 2 ** 30, dram: 4 * 2 ** 30, ssd: 20 * 2 ** 30 },
  stepBaseMs: 6,
  stepPerRowMs: 3.2,
  stepPerHistoryTokenMs: 0.001,
  loadRate: 9e6,
  saveRate: 9e6,
  readRate: 0.8e6,
  writeRate: 0.8e6,
  diskLatencyMs: 0.1,
  flushMs: 8,
  prices: { acceleratorHour: 0.08, dramGibHour: 0.0088, ssdGibHour: 0.000082 },
}

// The same on two cores of a Xeon with AVX-512, as measured (docs/bench/cpu.md): prefill 1,100 tokens/s at 512 and 690 at
// 4K, decode 185 tokens/s, host copies at 6.5 GB/s, a disk that gives 1.6 GB/s of verified blocks.
export const cpu2Avx512: HardwareProfile = {
  ...cpu2,
  name: 'cpu-2-avx512',
  device: 'simulated (cpu-2-avx512)',
  stepBaseMs: 4.4,
  stepPerRowMs: 0.8,
  stepPerHistoryTokenMs: 0.000_38,
  loadRate: 6.5e6,
  saveRate: 6.5e6,
  readRate: 1.6e6,
  writeRate: 2.2e6,
}
