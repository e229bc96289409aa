// llama.cpp as node-llama-cpp ships it: prebuilt, the CPU back end that it picks for this machine.

import { getLlama } from 'node-llama-cpp'
import type { Subject } from './subjects.js'

const BATCH = 512

export async function startLlamaCpp(modelPath: string, threads: number, contextSize: number): Promise<Subject> {
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' })
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 })
  const context = await model.createContext({ contextSize, batchSize: BATCH, threads })
  const sequence = context.getSequence()
  const greedy = { temperature: 0, yieldEogToken: true }
  return {
    name: 'llama.cpp (prebuilt)',
    async prefill(tokens) {
      await sequence.clearHistory()
      const start = performance.now()
      // The first token: its sampling is part of our time, too.
      for await (const token of sequence.evaluate([...tokens], greedy)) {
        if (token >= 0) break
      }
      return performance.now() - start
    },
    async decode(tokens, count) {
      await sequence.clearHistory()
      let start = 0
      let seen = 0
      for await (const token of sequence.evaluate([...tokens], greedy)) {
        if (token < 0) break
        if (seen === 0) start = performance.now()
        seen += 1
        if (seen === count) break
      }
      return (performance.now() - start) / (seen - 1)
    },
    async close() {
      await context.dispose()
      await model.dispose()
      await llama.dispose()
    },
  }
}
